"""What this peer put aside when it came home (`protocol.touch`): records that do not count, and roots kept for them.

So do pins that others cut short (`node.swarm.sparing`).

They lie in `records/` as lines of their own, with the reason. What somebody let go is kept as long as the trash is; what
nobody who was in touch knew, until a pin wants its root again.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import libipld
import trio

from node.swarm.storing import readable
from protocol.codec import encode_value
from protocol.limits import MS_PER_DAY, RECORD_ID_BYTES
from protocol.records import Pin
from protocol.signed import body_of
from protocol.touch import Aside
from store.record_lines import ASIDE
from store.store import RecordEntry, Store

log = logging.getLogger("pinakothek.swarm")

KEY = b"aside/"
AT_ONCE = 500
"""Records written in one transaction."""
LOOKED_AT = 5000
"""Records looked at in one go, all of them in turn: some milliseconds."""
KEY_BYTES = 1 + RECORD_ID_BYTES


@dataclass(frozen=True, slots=True)
class Kept:
    """One record: its pin's root, None for a flow; and until when it is kept, None for as long as it takes."""

    root: bytes | None
    until_ms: int | None


class SetAside:
    """Keeps them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[bytes, Kept] = {}
        self._roots: dict[bytes, set[bytes]] = {}  # root -> keys
        self._unwritten: dict[bytes, RecordEntry] = {}
        self._to_look_at: list[bytes] = []
        self._going: set[bytes] = set()
        self._disk = trio.Lock()

    def load(self) -> None:
        """Take in what the store has (in a thread)."""
        for entry in self._store.load_records(aside=True):
            try:
                found = libipld.decode_dag_cbor(entry.raw)
                self._note(entry.key, Kept(found["root"], found["until_ms"]))
            except (ValueError, KeyError, TypeError) as error:
                log.warning("a record put aside is not readable, and left as it is: %s", error)

    def _note(self, key: bytes, kept: Kept) -> None:
        self._kept[key] = kept
        if kept.root is not None:
            self._roots.setdefault(kept.root, set()).add(key)

    def __len__(self) -> int:
        """How many records."""
        return len(self._kept)

    def __contains__(self, root: object) -> bool:
        return root in self._roots

    def untils_of(self, root: bytes) -> list[int | None]:
        """Of each record for which a root is kept, and goes on to be, until when."""
        return [self._kept[key].until_ms for key in self._roots.get(root, ()) if key not in self._going]

    @property
    def roots(self) -> tuple[bytes, ...]:
        return tuple(self._roots)

    async def put(self, asides: Sequence[Aside], now_ms: int, trash_days: int) -> None:
        """Keep them, durably, and none for less long than it is kept already.

        Args:
            now_ms: the latest that it may be, where clocks differ.

        Raises:
            StoreError: as `save`.
        """
        for aside in asides:  # in memory first: a disk that refuses must not be the reason to let them go
            kept = _longer(_kept(aside, now_ms, trash_days), self._kept.get(_key(aside)))
            self._note(_key(aside), kept)
            self._unwritten[_key(aside)] = _entry(aside, kept)
        await self.save()

    async def save(self) -> None:
        """Write what is not on disk yet. Raises: StoreError: it refuses; the next call tries again."""
        async with self._disk:
            while some := list(islice(self._unwritten.values(), AT_ONCE)):
                await trio.to_thread.run_sync(self._store.append_records, some)
                for entry in some:
                    if self._unwritten.get(entry.key) is entry:
                        del self._unwritten[entry.key]

    def over(
        self,
        now_ms: int,
        is_wanted: Callable[[bytes, int | None], bool],
        is_purged: Callable[[bytes], bool] = lambda key: False,
    ) -> list[bytes]:
        """The keys of some that need no longer be kept; to be given to `drop`.

        Args:
            now_ms: the earliest that it may be, where clocks differ.
            is_wanted: whether pins want a root at least so long, or for None at all.
            is_purged: whether what a record's key names was purged.
        """
        if not self._to_look_at:
            self._to_look_at = list(self._kept)
        looked_at, self._to_look_at = self._to_look_at[-LOOKED_AT:], self._to_look_at[:-LOOKED_AT]
        over = []
        for key in looked_at:
            kept = self._kept.get(key)
            if kept is None:
                continue
            is_late = kept.until_ms is not None and kept.until_ms <= now_ms
            is_again = kept.root is not None and is_wanted(kept.root, kept.until_ms)
            if is_late or is_again or is_purged(key[len(KEY) :][:KEY_BYTES]):
                over.append(key)
        return over

    async def drop(self, keys: Sequence[bytes]) -> list[bytes]:
        """Forget these; the roots that are not kept any more. Raises: StoreError."""
        self._going.update(keys)  # a root that is cut short again meanwhile is not kept for them
        try:
            return await self._drop(keys)
        finally:
            self._going.difference_update(keys)

    async def _drop(self, keys: Sequence[bytes]) -> list[bytes]:
        before = {key: self._kept.get(key) for key in keys}
        async with self._disk:
            gone = [key for key in keys if self._kept.get(key) is before[key]]
            await trio.to_thread.run_sync(self._store.forget_records, gone)
        # What was put aside once more meanwhile stays, and is written after this.
        gone = [key for key in gone if self._kept.get(key) is before[key]]
        for key in gone:
            self._unwritten.pop(key, None)
        return [root for key in gone if (root := self._without(key)) is not None]

    def _without(self, key: bytes) -> bytes | None:
        """Forget one; its root, if that is not kept any more."""
        root = self._kept.pop(key).root
        if root is None:
            return None
        self._roots[root].discard(key)
        if self._roots[root]:
            return None
        del self._roots[root]
        return root


def _key(aside: Aside) -> bytes:
    """Of a record, and of the root that it wanted: a pin may have been made to name one after another."""
    record = aside.signed.record
    return KEY + aside.signed.storage_key + (record.root if isinstance(record, Pin) else b"")


def _kept(aside: Aside, now_ms: int, trash_days: int) -> Kept:
    root = aside.signed.record.root if isinstance(aside.signed.record, Pin) else None
    if not aside.deleted:
        return Kept(root, None)
    until_ms = now_ms + trash_days * MS_PER_DAY
    return Kept(root, until_ms if aside.ends_ms is None else min(until_ms, aside.ends_ms))


def _longer(kept: Kept, before: Kept | None) -> Kept:
    """The same for the longer of both: a new one always, by which `drop` knows what was put aside once more."""
    if before is None or kept.until_ms is None:
        return kept
    return Kept(kept.root, None if before.until_ms is None else max(kept.until_ms, before.until_ms))


def _entry(aside: Aside, kept: Kept) -> RecordEntry:
    signed = aside.signed
    raw = encode_value({"root": kept.root, "until_ms": kept.until_ms, "record": signed.raw})
    said = {**readable(body_of(signed.raw)), "kind": signed.record.KIND, "put_aside": aside.reason}
    return RecordEntry(key=_key(aside), kind=ASIDE, raw=raw, readable=said)
