"""When a peer was last in touch with its swarm, and what becomes of its records when it comes back after too long.

Tombstones leave after 30 days. Who was away for longer has never seen some of them, and would bring back what was
deleted. So a peer knows when it last *agreed* with its swarm: a majority of the members (itself among them) each had
then, or later, all the records that it had. 29 days after it was last in touch it is *unsynced*: it says so in its
heartbeats, and nobody takes over its records. It takes over those of others, and once it has compared itself with a
majority, all others and in touch, it sorts out what none of them has:

- what was stamped within the last 29 days cannot have been deleted and forgotten: it stays;
- what it wrote itself and never shared is signed anew, and comes after any deletion;
- the rest is put aside.

Two majorities have a member in common. What this peer had when it agreed, and a majority does not have now, has
therefore been let go by somebody who knew it: it was deleted. Members come and go, so that member is looked for by name:
those who joined since may be a majority that never had anything. Where no such majority can be had nothing is sorted
out; the peer goes on as it is, and at worst something comes back that was deleted.

Source: DESIGN §5, merge.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from protocol.life import is_deleted
from protocol.limits import AHEAD_MS, MS_PER_DAY, TOMBSTONE_DAYS
from protocol.records import Flow, Pin, Record, Signed
from protocol.stamp import ZERO, Stamp

MISSED_MS: Final = (TOMBSTONE_DAYS - 1) * MS_PER_DAY - AHEAD_MS
"""A tombstone stays for 29 days at least, and its author's clock may have been behind."""
PATIENCE_S: Final = 3600.0
"""How long members that are heard wait for more of them to be heard: as long as machines need that were switched on
together, and connections. Guess."""


@dataclass(frozen=True, slots=True)
class Touch:
    """What a peer keeps over restarts; wall-clock milliseconds, by the others' clocks where its own is off.

    Attributes:
        at_ms: until when it was in touch: it has agreed, or sorted out its records.
        agreed_ms: when it last agreed.
        shared: up to this stamp its own records were among those that it agreed on.
        learned_ms: when it last learned of a record older than `agreed_ms`.
        agreed_with: who agreed then, this peer among them; empty where that is not known.
    """

    at_ms: int
    agreed_ms: int = 0
    shared: Stamp = ZERO
    learned_ms: int = 0
    agreed_with: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Touch":
        """Raises: ValueError, KeyError, TypeError: it was not written by `to_bytes`."""
        found = json.loads(raw)
        ms, counter = found["shared"]
        shared = Stamp(int(ms), int(counter))
        agreed_with = tuple(map(str, found.get("agreed_with", ())))
        return cls(int(found["at_ms"]), int(found["agreed_ms"]), shared, int(found["learned_ms"]), agreed_with)

    def unsynced(self, now_ms: int) -> bool:
        """Whether tombstones may have come and gone since."""
        return now_ms - self.at_ms >= MISSED_MS


class Agreement:
    """Watches with whom this peer agrees.

    Args:
        touch: as it was kept over a restart.
    """

    def __init__(self, me: str, touch: Touch) -> None:
        self._me = me
        self._agreed: dict[str, tuple[int, Stamp]] = {}
        self.touch = touch

    def agrees(self, peer: str, now_ms: int, shared: Stamp) -> None:
        """A member has just said that it has the records that this peer has.

        Args:
            shared: a stamp up to which all own records are among them.
        """
        self._agreed[peer] = now_ms, shared

    def learned(self, oldest: Stamp, now_ms: int) -> None:
        """Records of others have come, the oldest stamped like this."""
        if oldest.ms <= self.touch.agreed_ms:
            self.touch = replace(self.touch, learned_ms=now_ms)

    def look(self, members: Collection[str], now_ms: int, shared: Stamp, *, is_sure: bool = True) -> Touch:
        """Return what holds now, by the members at this moment.

        Args:
            is_sure: whether `now_ms` was compared with others' clocks. One that starts in another year, until the network
                sets it, is no reason to have been out of touch ever since.
        """
        agreed = sorted(((*self._agreed[p], p) for p in members if p != self._me and p in self._agreed), reverse=True)
        needed = len(members) // 2
        touch = self.touch
        if len(agreed) >= needed:
            at_ms, stamp, _ = agreed[needed - 1] if needed else (now_ms, shared, self._me)
            if at_ms >= touch.agreed_ms:
                agreed_with = (self._me, *(peer for _, _, peer in agreed[:needed]))
                touch = replace(touch, agreed_ms=at_ms, agreed_with=agreed_with)
            touch = replace(touch, shared=max(stamp, touch.shared))
        # A clock that ran ahead must not keep this peer in touch for as long.
        agreed_ms = min(now_ms, touch.agreed_ms)
        at_ms = max(touch.at_ms, agreed_ms)
        self.touch = replace(touch, agreed_ms=agreed_ms, at_ms=min(now_ms, at_ms) if is_sure else at_ms)
        return self.touch

    def resume(self, now_ms: int) -> Touch:
        """From now on this peer is in touch: it has sorted out its records, or nobody can say what to sort out."""
        self.touch = replace(self.touch, at_ms=now_ms)
        return self.touch


# -- coming home ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CompareWith:
    """Take over all that this member has, and note what it lacks."""

    peer: str


@dataclass(frozen=True, slots=True)
class SortOut:
    """These are the records that a majority lacks."""

    records: tuple[Signed[Record], ...]


@dataclass(frozen=True, slots=True)
class GoOn:
    """Nothing is sorted out, and this peer goes on with all that it has."""

    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """For members to be heard."""

    reason: str


def next_step(
    members: Collection[str],
    in_touch: Collection[str],
    unsynced: Collection[str],
    lacking: Mapping[str, Iterable[Signed[Record]]],
    waited_s: float,
    knew: Collection[str] | None = None,
) -> CompareWith | SortOut | GoOn | Wait:
    """Decide what an unsynced peer does next.

    Args:
        members: everyone, this peer included.
        in_touch: others that are connected and have not said that they are unsynced.
        unsynced: others that say so, or have said so since this peer came back: they were not in touch all the time.
        lacking: of each member compared with so far, all of our records that it lacks.
        waited_s: since others were first heard.
        knew: others that had all that this peer had when it last agreed, and have not said that they lost it; None where
            it is not known with whom it agreed.
    """
    needed = len(members) // 2 + 1
    compared = lacking.keys() & set(members)
    candidates = set(in_touch) & set(members) - compared - set(unsynced)
    # All of those who knew, not one of them: any that has a record still is a reason to keep it, and one may lie.
    heard = knew is None or (compared & set(knew) and not candidates & set(knew))
    if len(compared) >= needed and heard:
        sets = [set(lacking[peer]) for peer in compared]
        return SortOut(tuple(sorted(set.intersection(*sets), key=lambda signed: signed.place)))
    possible = len(members) - 1 - len(set(unsynced) & set(members) - compared)
    if possible < needed:
        return GoOn(f"of {len(members)} members {possible} others can have been in touch, no majority")
    if candidates:
        return CompareWith(min(candidates, key=lambda peer: (peer not in (knew or ()), peer)))
    reason = f"{len(compared)} of {len(members)} members were in touch and are heard, {needed} are needed"
    if len(compared) >= needed:
        reason = f"none of the {len(compared)} members that are heard had all that this peer had"
        if not set(knew or ()) & set(members) - compared - set(unsynced):
            return GoOn(reason)
    return GoOn(reason) if waited_s >= PATIENCE_S else Wait(reason)


@dataclass(frozen=True, slots=True)
class Aside:
    """A record to be put aside, and why.

    Attributes:
        deleted: somebody who knew it has let it go; otherwise that is not known, and it is put aside for good.
        ends_ms: when a pin would have ended by itself, if it would: then its root need be kept no longer.
    """

    signed: Signed[Record]
    reason: str
    deleted: bool
    ends_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sorted:
    """Own records to be signed anew, and what is to be put aside; all else stays as it is."""

    renew: tuple[Signed[Record], ...]
    aside: tuple[Aside, ...]


def sort_out(
    records: Iterable[Signed[Record]],
    mine: Collection[str],
    touch: Touch,
    now_ms: int,
    known_there: Collection[bytes] = (),
) -> Sorted:
    """Sort out what this peer has and a majority of the members that were in touch has not.

    Args:
        mine: the keys with which this peer signs.
        touch: when it last agreed.
        known_there: keys of which some member has another record, which does not count here: what they are about was
            not deleted. An expulsion brings such: the steward's own, with the stamps of those that it replaces.
    """
    renew: list[Signed[Record]] = []
    exact = touch.learned_ms < touch.agreed_ms
    aside: list[Aside] = []
    for signed in records:
        if not isinstance(signed.record, Pin | Flow) or signed.stamp.ms > now_ms - MISSED_MS:
            continue
        if signed.author in mine and signed.stamp > touch.shared:
            renew.append(signed)
        elif is_deleted(signed.record) or signed.key in known_there:
            continue  # a deletion takes nothing away that they have not let go, and leaves by itself
        elif signed.author in mine or (exact and signed.stamp.ms < touch.agreed_ms):
            aside.append(Aside(signed, "deleted while this peer was away", deleted=True))
        else:
            aside.append(Aside(signed, f"of {signed.author}, and nobody who was in touch knows it", deleted=False))
    return Sorted(tuple(renew), tuple(aside))


def renewed(record: Record, now_ms: int) -> Record:
    """Return a record to be signed anew; what was trashed unseen stays in everyone's trash for its full time."""
    if isinstance(record, Pin) and record.trashed_ms is not None:
        return replace(record, trashed_ms=now_ms)
    return record
