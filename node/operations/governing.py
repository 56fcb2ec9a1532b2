"""`charter show | set | steward`: the swarm's constitution, changed by whoever has a steward's or the recovery key here."""

from dataclasses import fields
from typing import Any

import trio

from node.config import BACKENDS
from node.errors import Failed, NotFound, RefusedByPolicy, Usage
from node.events import instant, wall_ms
from node.governing import AddSteward, CharterRow, OtherCharter, RemoveSteward, SetCharter
from node.keys import STEWARD, new_key, set_key_aside, write_key
from node.operations import policy
from node.operations.bin import Bin
from node.operations.written import replicas_row
from node.parts import Parts
from node.quantities import plural
from protocol import fields as protocol_fields
from protocol.amending import amended, charter_of, differences, with_steward
from protocol.author import Author
from protocol.charter import Charter
from protocol.errors import Refused
from protocol.identity import KeyPair, PeerId, parse_peer_id
from protocol.life import ends_ms
from protocol.limits import COPIES_MAX, PEER_NAME_BYTES

ELSEWHERE = "the steward's peer can do it, or `charter steward add --recovery-key FILE` makes this one a steward's"


def steward_of(parts: Parts) -> Author:
    """The steward's key that lies here. Raises: RefusedByPolicy: none does."""
    steward = parts.records.steward
    if steward is None:
        raise RefusedByPolicy("no steward's key lies here", hint=ELSEWHERE)
    return steward


class Charters:
    """Shows and signs charters."""

    def __init__(self, parts: Parts, bin: Bin) -> None:
        self._parts = parts
        self._records = parts.records.counting
        self._bin = bin
        self._one_at_a_time = trio.Lock()  # two charters that follow the same one would be a fork of our own

    async def show(self) -> CharterRow:
        """See `Governing.charter`."""
        chain, charter = self._records.charters, self._in_force()
        assert chain.tip is not None
        signed = chain.valid[chain.tip]
        steward = self._parts.records.steward
        others = tuple(
            OtherCharter(
                hash=other.digest.hex(),
                number=charter_of(other).number,
                signed_by=other.author,
                signed_at=instant(other.stamp.ms),
                says={name: _plain(value) for name, value in differences(charter, charter_of(other)).items()},
            )
            for other in chain.unsettled
        )
        return CharterRow(
            swarm=self._parts.swarm_id,
            number=charter.number,
            hash=chain.tip.hex(),
            name=charter.name,
            replicas=replicas_row(charter.replicas),
            bounds=replicas_row(charter.bounds),
            counts=charter.counts,
            backends=charter.backends,
            serve=charter.serve,
            trash_days=charter.trash_days,
            append_only=charter.append_only,
            stewards=charter.stewards,
            recovery=charter.recovery,
            signed_by=signed.author,
            signed_at=instant(signed.stamp.ms),
            steward_here=None if steward is None else steward.peer_id,
            others=others,
        )

    async def change(self, request: SetCharter) -> CharterRow:
        """See `Governing.set_charter`."""
        async with self._one_at_a_time:
            policy.check_clock(self._parts)
            steward, charter = steward_of(self._parts), self._in_force()
            changes = {name: value for name, value in _changes(request).items() if value != getattr(charter, name)}
            if not changes and not self._records.charters.unsettled:
                raise Usage("nothing to change: the charter says so already", hint="`pinakothek charter show`")
            _check(charter, changes)
            self._check_trash(charter, changes.get("trash_days", charter.trash_days), force=request.force)
            return await self._sign(steward, changes)

    async def add_steward(self, request: AddSteward) -> CharterRow:
        """See `Governing.add_steward`: a new key is on disk before the charter that lists it is signed."""
        async with self._one_at_a_time:
            policy.check_clock(self._parts)
            charter = self._in_force()
            author = self._by_recovery(request.recovery_key) if request.recovery_key else steward_of(self._parts)
            key = _key_named(request.key) if request.key is not None else await self._new_steward(charter)
            if key in charter.stewards:
                raise RefusedByPolicy(f"{key} is a steward's already")
            return await self._sign(author, {"stewards": with_steward(charter, key)})

    async def remove_steward(self, request: RemoveSteward) -> CharterRow:
        """See `Governing.remove_steward`."""
        async with self._one_at_a_time:
            policy.check_clock(self._parts)
            charter = self._in_force()
            author = self._by_recovery(request.recovery_key)
            named = _key_named(request.key)
            left = tuple(key for key in charter.stewards if key != named)
            if left == charter.stewards:
                raise NotFound(f"{request.key}: no steward's key", hint="`pinakothek charter show` lists them")
            if not left:
                raise RefusedByPolicy(f"{request.key} is the only steward's", hint="add another one first")
            return await self._sign(author, {"stewards": left})

    def _in_force(self) -> Charter:
        charter = self._records.charter
        if charter is None:
            raise Failed("no charter is known here yet", hint="wait until this peer has caught up with a member")
        return charter

    def _by_recovery(self, text: str) -> Author:
        try:
            key = KeyPair(bytes.fromhex(text.strip()))
        except ValueError as error:
            raise Usage("the recovery key: expected the 64 hexadecimal digits that `init` printed") from error
        if key.peer_id != self._in_force().recovery:
            raise RefusedByPolicy(f"not the recovery key of this swarm: its id is {self._in_force().recovery}")
        return Author(key, self._parts.records.author.clock)

    async def _new_steward(self, charter: Charter) -> PeerId:
        """Make a steward's key that stays here; one that the charter does not list any more is kept beside it."""
        records, folder = self._parts.records, self._parts.settings.config.data_dir
        before = records.steward_key
        if before is not None and before.peer_id in charter.stewards:
            raise RefusedByPolicy(f"a steward's key lies here already: {before.peer_id}")
        key = new_key()

        def keep() -> None:
            if before is not None:
                set_key_aside(folder, STEWARD, before.key)
            write_key(folder, STEWARD, key)

        try:
            await trio.to_thread.run_sync(keep)
        except OSError as error:
            raise Failed(f"{folder / STEWARD}: {(error.strerror or str(error)).lower()}") from error
        records.steward_key = Author(key, records.author.clock)
        return key.peer_id

    def _check_trash(self, charter: Charter, days: int, *, force: bool) -> None:
        """Nothing irreplaceable goes at one keystroke: fewer days may end what is in the trash now."""
        if days >= charter.trash_days or force:
            return
        now_ms = wall_ms()
        pins = [pin.record for pin in self._bin.pins()]
        gone = sum((ends_ms(pin, days) or now_ms + 1) <= now_ms for pin in pins)
        if gone:
            raise RefusedByPolicy(
                f"trash-days {days}: {gone} in the trash would be deleted at once", hint="--force does it"
            )

    async def _sign(self, author: Author, changes: dict[str, Any]) -> CharterRow:
        settled = len(self._records.charters.unsettled)
        [signed] = await self._parts.records.write_by(author, amended(self._records.charters, **changes))
        if self._records.charters.tip != signed.digest:
            raise Failed("another charter came in between and holds", hint="look at `charter show`, then try again")
        said = ", ".join(f"{name} {_told(value)}" for name, value in changes.items()) or "nothing new"
        detail = f"{signed.record.number}: {said}" + (f"; settles {plural(settled, 'other')}" if settled else "")
        self._parts.events.tell("charter_signed", peer_id=author.peer_id, detail=detail)
        return await self.show()


def _key_named(text: str) -> PeerId:
    """Raises: Usage: it names no key."""
    try:
        return parse_peer_id(text)
    except Refused as error:
        raise Usage(
            f"{text[:64]!r}: expected a peer id or the id of a key, such as 12D3KooW…",
            hint="`pinakothek members` lists the peers, `pinakothek charter show` the stewards' keys",
        ) from error


def _changes(request: SetCharter) -> dict[str, Any]:
    given = {field.name: getattr(request, field.name) for field in fields(request) if field.name != "force"}
    changes = {name: value for name, value in given.items() if value is not None}
    for name in ("replicas", "bounds"):
        if name in changes:
            changes[name] = protocol_fields.Replicas(changes[name].min, changes[name].max)
    return changes


def _check(charter: Charter, changes: dict[str, Any]) -> None:
    """Whether the next charter makes sense. Raises: Usage, RefusedByPolicy: it does not."""
    name = changes.get("name", charter.name)
    if not name or len(name.encode()) > PEER_NAME_BYTES or not name.isprintable():
        raise Usage(f"name {name[:64]!r}: expected 1 to {PEER_NAME_BYTES} bytes without control characters")
    for field in ("counts", "backends"):
        unknown = [kind for kind in changes.get(field, ()) if kind not in BACKENDS]
        if unknown:
            raise Usage(f"{field} {unknown[0]!r}: expected some of {', '.join(sorted(BACKENDS))}")
    if not changes.get("counts", charter.counts):
        raise Usage("counts: copies on no backend would count")
    bounds = changes.get("bounds", charter.bounds)
    if bounds.max > COPIES_MAX:
        raise Usage(f"bounds {bounds.min}:{bounds.max}: at most {COPIES_MAX} copies")
    replicas = changes.get("replicas", charter.replicas)
    if not bounds.min <= replicas.min <= replicas.max <= bounds.max:
        raise RefusedByPolicy(
            f"replicas {replicas.min}:{replicas.max}: outside the charter's bounds {bounds.min}:{bounds.max}",
            hint="set both at once",
        )


def _plain(value: Any) -> Any:
    """A charter's value as JSON and people have it."""
    if isinstance(value, protocol_fields.Replicas):
        return {"min": value.min, "max": value.max}
    return list(value) if isinstance(value, tuple) else value


def _told(value: Any) -> str:
    if isinstance(value, protocol_fields.Replicas):
        return f"{value.min}:{value.max}"
    return " ".join(value) or "any" if isinstance(value, tuple) else str(value).lower()
