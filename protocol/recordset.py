"""A swarm's shared state: every record merged so far, and what of it counts.

Merge keeps, of each key, the highest record of each author. What counts, and all that digest, sync, plan and queries
see, is the highest of those whose author's role stands. So the outcome depends on the set of records and the charter
alone: merging is commutative, associative and idempotent.

Pure: `now_ms` is an argument. `merge` costs the same however many pins there are; only what changes roles or the charter
looks at the records of those it concerns. Time acts through `due` alone, so that a peer whose clock is off can pause
expiry by not calling it.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from operator import attrgetter
from typing import Final, cast

from protocol.changes import Changes, Journal, Merged, Status, Wanted, outcome
from protocol.charter import Charter
from protocol.charter_chain import CHARTERS_PER_AUTHOR, CharterChain
from protocol.counting import Counting
from protocol.fields import Replicas
from protocol.identity import PeerId
from protocol.life import ends_ms, is_deleted, leaves_ms
from protocol.limits import AHEAD_MS, HELD_BACK_PER_AUTHOR
from protocol.ordered import OrderedSet
from protocol.pin_index import PinIndex, SignedPin
from protocol.records import Expulsion, Flow, Pin, Record, Signed, record_key
from protocol.roles import Standing
from protocol.slots import Slot
from protocol.stamp import Stamp

UNKNOWN_AUTHORS: Final = 64
RECORDS_PER_UNKNOWN_AUTHOR: Final = 1000
"""What is kept of authors without a role, whose admission may be under way: a bound on what a lying member can make
every peer hold. What is refused comes back by sync once they are admitted."""


class RecordSet:
    """The records of one swarm.

    Args:
        swarm: hash of the first charter, 32 bytes (`charter.swarm_hash` of the id).

    Attributes:
        tally: what counts, in the order in which sync compares it; read only.
    """

    def __init__(self, swarm: bytes) -> None:
        self.swarm = swarm
        self._counting = Counting(swarm)
        self._slots: dict[bytes, Slot] = {}
        self._by_author: dict[PeerId, set[bytes]] = {}
        self._pins = PinIndex()
        self._flows: dict[str, Signed[Flow]] = {}
        self.tally: OrderedSet[Signed[Record]] = OrderedSet(attrgetter("place"), attrgetter("digest"))
        self._time_ms = 0
        self._ends: list[tuple[int, bytes, bytes]] = []
        self._held: list[tuple[int, bytes, Signed[Record]]] = []
        self._held_digests: dict[PeerId, set[bytes]] = {}

    # -- merging ------------------------------------------------------------------------------------------------

    def merge(self, signed: Signed[Record], now_ms: int) -> Merged:
        """Take in a record whose signature has been checked (`parse_record`, `sign_record`).

        Args:
            signed: anybody's.
            now_ms: wall-clock milliseconds; only used to hold back what is stamped too far ahead.
        """
        [merged], changes = self.merge_all([signed], now_ms)
        return replace(merged, changes=changes)

    def merge_all(self, records: Iterable[Signed[Record]], now_ms: int) -> tuple[list[Merged], Changes]:
        """Take in many at once, in order: what became of each, and what all of them together changed."""
        journal = Journal()
        outcomes = [
            self._hold_back(signed) if signed.stamp.ms > now_ms + AHEAD_MS else outcome(*self._take(signed, journal))
            for signed in records
        ]
        return outcomes, journal.close()

    def due(self, now_ms: int) -> Changes:
        """Let time act: end pins, drop old tombstones, merge what was held back.

        Call it every few seconds, unless this peer's clock is known to be wrong, or not compared yet.
        """
        self._time_ms = max(self._time_ms, now_ms)
        journal = Journal()
        while self._ends and self._ends[0][0] <= self._time_ms:
            _, key, digest = heapq.heappop(self._ends)
            slot = self._slots.get(key)
            if slot is not None and slot.counting is not None and slot.counting.digest == digest:
                self._end(key, slot, slot.counting, journal)
        self._take_held(now_ms, journal)
        return journal.close()

    def ripen(self, now_ms: int) -> Changes:
        """Merge what was held back until now, and let nothing end: for a peer that has the time from others alone."""
        journal = Journal()
        self._take_held(now_ms, journal)
        return journal.close()

    def _take_held(self, now_ms: int, journal: Journal) -> None:
        while self._held and self._held[0][0] <= now_ms:
            signed = heapq.heappop(self._held)[2]
            self._held_digests[signed.author].discard(signed.digest)
            self._take(signed, journal)

    def next_due_ms(self) -> int | None:
        """Return when `due` has something to do next, or None."""
        heads = [heap[0][0] for heap in (self._ends, self._held) if heap]
        return min(heads, default=None)

    def restore(self, kept: Iterable[Signed[Record]]) -> None:
        """Take in what was kept before, all of it at once and before anything else: roles are judged a single time."""
        others = []
        news = set()
        for signed in kept:
            if not self._counting.concerns(signed):
                others.append(signed)
            elif self._slots.setdefault(signed.key, Slot()).put(signed) is not None:
                self._by_author.setdefault(signed.author, set()).add(signed.key)
                news.add(signed.key)
        journal = Journal()
        self._judge(news, journal)
        for signed in others:
            self._take(signed, journal)

    def _hold_back(self, signed: Signed[Record]) -> Merged:
        if not self._counting.known_author(signed.author):
            return Merged(status=Status.REFUSED, reason=f"stamped ahead by {signed.author}, who has no role")
        held = self._held_digests.setdefault(signed.author, set())
        if signed.digest in held:
            return Merged(status=Status.KNOWN)
        if len(held) >= HELD_BACK_PER_AUTHOR:
            return Merged(status=Status.REFUSED, reason=f"{len(held)} records of {signed.author} are held back already")
        held.add(signed.digest)
        heapq.heappush(self._held, (signed.stamp.ms - AHEAD_MS, signed.digest, signed))
        return Merged(status=Status.HELD_BACK, reason="stamped more than 5 minutes ahead")

    def _take(self, signed: Signed[Record], journal: Journal) -> tuple[Status, str]:
        slot = self._slots.get(signed.key)
        if slot is not None and signed in slot.kept:
            return Status.KNOWN, ""
        ends = ends_ms(signed.record, self._counting.trash_days)
        if ends is not None and leaves_ms(ends) <= self._time_ms:
            return Status.STALE, "a tombstone of more than 30 days"
        if refused := self._no_room(signed):
            return Status.REFUSED, refused
        slot = slot or Slot()
        displaced = slot.put(signed)
        if displaced is None:
            return Status.STALE, "its author has written a later one"
        self._slots[signed.key] = slot
        self._by_author.setdefault(signed.author, set()).add(signed.key)
        for old in displaced:
            journal.forget(old.storage_key)
        journal.store(signed)
        if self._counting.concerns(signed):
            self._judge({signed.key}, journal)
        self._recount(signed.key, slot, journal)
        if slot.counting is signed:
            return Status.COUNTS, ""
        return Status.KEPT, "" if self._counting.stands(signed) else f"{signed.author} has no role for it"

    def _no_room(self, signed: Signed[Record]) -> str:
        """Say why a record cannot be kept at all, or nothing."""
        keys = self._by_author.get(signed.author, ())
        if isinstance(signed.record, Charter):
            charters = sum(1 for key in keys if key[:1] == b"c")
            return (
                f"{charters} charters of {signed.author} are known already" if charters >= CHARTERS_PER_AUTHOR else ""
            )
        if self._counting.known_author(signed.author) or self._counting.stands_alone(signed):
            return ""
        if len(keys) >= RECORDS_PER_UNKNOWN_AUTHOR:
            return f"{signed.author} has no role"
        if not keys and sum(1 for a in self._by_author if not self._counting.known_author(a)) >= UNKNOWN_AUTHORS:
            return f"{signed.author} has no role, nor have {UNKNOWN_AUTHORS} others"
        return ""

    def _judge(self, news: Set[bytes], journal: Journal) -> None:
        """Work out roles and charter anew, with what is new of them, and count again whatever that concerns."""
        slots = (self._slots[key] for key in self._counting.judged_keys | news)
        verdict = self._counting.judge([kept for slot in slots for kept in slot.kept])
        journal.roles |= verdict.roles
        journal.charter |= verdict.charter
        keys: set[bytes] = set(self._counting.judged_keys)
        if verdict.removals:
            keys.update(key for key, slot in self._slots.items() if any(kept.removal for kept in slot.kept))
        for author in verdict.authors:
            keys |= self._by_author.get(author, set())
        for key in keys:
            self._recount(key, self._slots[key], journal, again=verdict.removals)

    def _recount(self, key: bytes, slot: Slot, journal: Journal, *, again: bool = False) -> None:
        """Choose what counts of one key; `again`: take it out and put it in even if it is the same."""
        chosen = self._counting.choose(slot.kept)
        if chosen is slot.counting and not again:
            return
        if slot.counting is not None:
            self._uncount(slot.counting, journal)
        slot.counting = chosen
        if chosen is not None:
            self._count(chosen, journal)

    def _count(self, signed: Signed[Record], journal: Journal) -> None:
        self.tally.add(signed)
        ends = ends_ms(signed.record, self._counting.trash_days)
        if ends is not None:
            at_ms = leaves_ms(ends) if ends <= self._time_ms or is_deleted(signed.record) else ends
            heapq.heappush(self._ends, (at_ms, signed.key, signed.digest))
        if isinstance(signed.record, Flow):
            self._set_flow(signed.record.name, None if signed.record.deleted else cast("Signed[Flow]", signed), journal)
        elif isinstance(signed.record, Pin):
            if not signed.record.deleted and (ends is None or ends > self._time_ms):
                self._pins.add(cast("SignedPin", signed))
            journal.roots.add(signed.record.root)

    def _uncount(self, signed: Signed[Record], journal: Journal) -> None:
        self.tally.discard(signed)
        if isinstance(signed.record, Flow):
            self._set_flow(signed.record.name, None, journal)
        elif isinstance(signed.record, Pin):
            self._pins.discard(cast("SignedPin", signed))
            journal.roots.add(signed.record.root)

    def _set_flow(self, name: str, flow: Signed[Flow] | None, journal: Journal) -> None:
        if flow is None:
            self._flows.pop(name, None)
        else:
            self._flows[name] = flow
        journal.flows.add(name)
        journal.roots.update(pin.record.root for pin in self._pins.by_flow.get(name))

    def _end(self, key: bytes, slot: Slot, signed: Signed[Record], journal: Journal) -> None:
        """Act on the end of a record's life or, later, of its tombstone's."""
        ends = ends_ms(signed.record, self._counting.trash_days)
        if ends is None:
            return
        leaves = leaves_ms(ends)
        if leaves <= self._time_ms:
            self._uncount(signed, journal)
            slot.counting = None
            for gone in slot.drop_up_to(signed):
                journal.forget(gone.storage_key)
                self._by_author[gone.author].discard(key)
            for kept in slot.kept:
                self._by_author[kept.author].add(key)
            if slot.kept:
                self._recount(key, slot, journal)
            else:
                del self._slots[key]
            return
        if ends <= self._time_ms and isinstance(signed.record, Pin):
            self._pins.discard(cast("SignedPin", signed))
            journal.roots.add(signed.record.root)
        heapq.heappush(self._ends, (leaves if ends <= self._time_ms else ends, key, signed.digest))

    # -- looking ------------------------------------------------------------------------------------------------

    @property
    def charter(self) -> Charter | None:
        """The charter in force; None before the first was merged."""
        return self._counting.charters.charter

    @property
    def charters(self) -> CharterChain:
        """Every charter that is valid, and which branch holds; read only."""
        return self._counting.charters

    @property
    def charter_raws(self) -> tuple[bytes, ...]:
        """The signed bytes of every valid charter, the first charter first."""
        valid = self._counting.charters.valid.values()
        return tuple(s.raw for s in sorted(valid, key=lambda s: (cast("Charter", s.record).number, s.digest)))

    @property
    def forked(self) -> bool:
        return self._counting.charters.forked

    def is_steward(self, key: str, stamp: Stamp | None = None) -> bool:
        """Tell whether the key is a steward's, now or for what it stamped then."""
        charter = self.charter
        if stamp is None:
            return charter is not None and key in charter.stewards
        return self._counting.charters.is_steward(key, stamp)

    def standing(self, peer: str) -> Standing | None:
        """Return what holds for a peer, or None if nobody has admitted or expelled it."""
        return self._counting.roles.standings.get(PeerId(peer))

    def expulsion_of(self, peer: str) -> Signed[Record] | None:
        """Return the last counting expulsion of a peer, even if it was admitted again since."""
        return self.get(record_key(Expulsion(peer=PeerId(peer)), "", b""))

    def role(self, peer: str) -> tuple[str, ...]:
        """Return a peer's roles, none for a stranger, one that left or one expelled."""
        standing = self.standing(peer)
        return () if standing is None or standing.left else standing.roles

    def is_member(self, peer: str) -> bool:
        standing = self.standing(peer)
        return standing is not None and standing.member

    def members(self) -> tuple[PeerId, ...]:
        """Return the members in order of their ids."""
        return tuple(sorted(peer for peer, standing in self._counting.roles.standings.items() if standing.member))

    def standings(self) -> Mapping[PeerId, Standing]:
        return self._counting.roles.standings

    def uses(self, certificate_hash: bytes) -> frozenset[PeerId]:
        """Return the peers that admissions kept here name under one certificate, over-used ones included."""
        return self._counting.uses(certificate_hash)

    def live_pins(self, root: bytes) -> tuple[SignedPin, ...]:
        """Return the live pins of a root, trashed ones included."""
        return self._pins.by_root.get(root)

    def pins_by_flow(self, flow: str) -> tuple[SignedPin, ...]:
        return self._pins.by_flow.get(flow)

    def flow_names(self) -> Iterator[str]:
        """Iterate over the flows that live pins are in, whether they have a record of their own or not."""
        return self._pins.by_flow.keys()

    def pins_by_name(self, flow: str, name: str) -> tuple[SignedPin, ...]:
        return self._pins.by_name.get((flow, name))

    def pins_by_original(self, original: bytes) -> tuple[SignedPin, ...]:
        return self._pins.by_original.get(original)

    def roots(self) -> Iterator[bytes]:
        """Iterate over the roots that live pins want, trashed ones included."""
        return self._pins.by_root.keys()

    @property
    def root_count(self) -> int:
        return len(self._pins.by_root)

    @property
    def pin_count(self) -> int:
        return self._pins.count

    @property
    def flows(self) -> Mapping[str, Signed[Flow]]:
        """The flows that are not deleted, by name."""
        return self._flows

    def replicas_of(self, pin: Pin) -> Replicas:
        """Return a pin's factor: its own, its flow's or the charter's, within the charter's bounds."""
        flow = self._flows.get(pin.flow)
        return self.clamp(pin.replicas or (flow.record.replicas if flow is not None else None))

    def clamp(self, replicas: Replicas | None) -> Replicas:
        """Return a factor within the charter's bounds; None is the charter's default."""
        return self._counting.clamp(replicas)

    def wanted(self, root: bytes) -> Wanted | None:
        """Return how many copies of a root are wanted and where, or None if no live pin wants it."""
        pins = self._pins.by_root.get(root)
        if not pins:
            return None
        factors = [self.replicas_of(pin.record) for pin in pins]
        kinds = tuple(sorted({pin.record.backend for pin in pins}))
        return Wanted(max(f.min for f in factors), max(f.max for f in factors), kinds)

    def get(self, key: bytes) -> Signed[Record] | None:
        """Return the record that counts for a key."""
        slot = self._slots.get(key)
        return None if slot is None else slot.counting

    def knows(self, signed_digest: bytes, key: bytes) -> bool:
        """Tell whether a record is kept here, counting or not."""
        slot = self._slots.get(key)
        return slot is not None and any(kept.digest == signed_digest for kept in slot.kept)

    def records_by(self, author: str) -> tuple[Signed[Record], ...]:
        """Return the counting records of one author."""
        slots = (self._slots[key] for key in self._by_author.get(PeerId(author), ()))
        return tuple(s.counting for s in slots if s.counting is not None and s.counting.author == author)

    @property
    def digest(self) -> bytes:
        """32 bytes, equal on peers whose counting records are equal."""
        return self.tally.digest

    def governing(self) -> Iterator[Signed[Record]]:
        """Iterate over the records kept that say who may do what; it costs as many steps as there are of them."""
        return (kept for key in self._counting.judged_keys if key in self._slots for kept in self._slots[key].kept)

    def __iter__(self) -> Iterator[Signed[Record]]:
        """Iterate over every record kept, counting or not: what storage must hold."""
        return (kept for slot in self._slots.values() for kept in slot.kept)

    def __len__(self) -> int:
        return len(self.tally)
