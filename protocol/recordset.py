"""A swarm's shared state: every record merged so far, and what of it counts.

Merge keeps, of each key, the highest record of each author. What counts, and all that digest, sync, plan and queries
see, is the highest of those whose author's role stands. So the outcome depends on the set of records and the charter
alone: merging is commutative, associative and idempotent.

Pure: `now_ms` is an argument. `merge` costs the same however many pins there are; only what changes roles or the charter
looks at the records of those it concerns. Those may be all there are, and are counted again in parts where the caller
says so: until then the old ones of them count by the rules before. Time acts through `due` alone, so that a peer whose
clock is off can pause expiry by not calling it.
"""

import heapq
from collections.abc import Iterable, Set
from dataclasses import replace
from operator import attrgetter
from typing import Final, cast

from protocol.authored import KeysByAuthor
from protocol.changes import COUNTED, KNOWN, Changes, Journal, Merged, Status
from protocol.charter import Charter
from protocol.charter_chain import CHARTERS_PER_AUTHOR
from protocol.counting import Counting
from protocol.identity import PeerId
from protocol.life import ends_ms, is_deleted, leaves_ms
from protocol.limits import AHEAD_MS, HELD_BACK_PER_AUTHOR
from protocol.ordered import OrderedSet
from protocol.pin_index import PinIndex, SignedPin
from protocol.record_view import RecordView
from protocol.records import Flow, Pin, Record, Signed
from protocol.slots import Slot

UNKNOWN_AUTHORS: Final = 64
RECORDS_PER_UNKNOWN_AUTHOR: Final = 1000
IDLE_WORDS_PER_AUTHOR: Final = 16
IDLE_BYTES: Final = 4096
"""What is kept of records that do not count, of authors unknown or with another role, whose admission may be under way:
a bound on what a lying member can make every peer hold, 64 authors of 1,000 times 4 KiB. What governs if it counts is
fewer, as all of it is looked at whenever roles change. What is refused comes back by sync once it counts."""
ENDS_SPARE: Final = 1000
OUTDATED: Final = "its author has written a later one"
IDLE_WORDS: Final = (b"a", b"e", b"d")
"""What a record's key begins with that governs, charters apart."""


class RecordSet(RecordView):
    """The records of one swarm.

    Args:
        swarm: hash of the first charter, 32 bytes (`charter.swarm_hash` of the id).
    """

    def __init__(self, swarm: bytes) -> None:
        self.swarm = swarm
        self._counting = Counting(swarm)
        self._slots: dict[bytes, Slot] = {}
        self._by_author = KeysByAuthor()
        self._pins = PinIndex()
        self._flows: dict[str, Signed[Flow]] = {}
        self.tally: OrderedSet[Signed[Record]] = OrderedSet(attrgetter("place"), attrgetter("digest"))
        self._time_ms = 0
        self._ends: list[tuple[int, bytes, bytes]] = []
        self._most_ends = ENDS_SPARE
        self._held: list[tuple[int, bytes, Signed[Record]]] = []
        self._held_digests: dict[PeerId, set[bytes]] = {}
        self._unjudged: dict[bytes, bool] = {}  # what is to be counted again, see `_recount`

    def merge(self, signed: Signed[Record], now_ms: int) -> Merged:
        """Take in a record whose signature has been checked (`parse_record`, `sign_record`).

        Args:
            signed: anybody's.
            now_ms: wall-clock milliseconds; only used to hold back what is stamped too far ahead.
        """
        [merged], changes = self.merge_all([signed], now_ms)
        return replace(merged, changes=changes)

    def merge_all(
        self, records: Iterable[Signed[Record]], now_ms: int, *, judge_at_once: int | None = None
    ) -> tuple[list[Merged], Changes]:
        """Take in many at once, in order: what became of each, and what all of them together changed.

        Args:
            judge_at_once: count so many records again because of a change of roles or of the charter, and leave the
                others to `judge_on`; None: all of them.
        """
        journal = Journal()
        outcomes = self._take_all(list(records), journal, latest_ms=now_ms + AHEAD_MS)
        return outcomes, self._close(journal, judge_at_once)

    def _take_all(
        self, records: list[Signed[Record]], journal: Journal, *, latest_ms: int | None = None
    ) -> list[Merged]:
        """Take in records: charters, then what else governs, then all others, in order.

        Roles are judged once after each: they would be as often as there are records that might change them, for whoever
        writes those by the thousand.
        """
        outcomes: dict[int, Merged] = {}
        for turn in _turns(records):
            put = []
            for number in turn:
                signed = records[number]
                ahead = latest_ms is not None and signed.record.stamp.ms > latest_ms
                merged = self._hold_back(signed) if ahead else self._put(signed, journal)
                if merged is not None:
                    outcomes[number] = merged
                elif self._counting.concerns(signed):
                    put.append(number)
                else:
                    outcomes[number] = self._counted(signed, journal)
            if put:
                self._judge({records[number].key for number in put}, journal)
            outcomes.update((number, self._counted(records[number], journal)) for number in put)
        return [outcomes[number] for number in range(len(records))]

    def is_judged(self) -> bool:
        """What counts is what should, by the roles and the charter of now; else `judge_on` has something to do."""
        return not self._unjudged

    def judge_on(self, journal: Journal, count: int) -> None:
        """Count some records again whose author's role has changed.

        Meanwhile any of them may count or not count as before: nobody may conclude from it what is not wanted.

        Args:
            journal: takes up what this changes.
            count: how many keys to look at.
        """
        for _ in range(min(count, len(self._unjudged))):
            key, again = self._unjudged.popitem()
            self._recount(key, self._slots[key], journal, again=again)

    def _close(self, journal: Journal, judge_at_once: int | None) -> Changes:
        self.judge_on(journal, len(self._unjudged) if judge_at_once is None else judge_at_once)
        return journal.close()

    def due(self, now_ms: int, *, judge_at_once: int | None = None) -> Changes:
        """Let time act: end pins, drop old tombstones, merge what was held back.

        Call it every few seconds, unless this peer's clock is known to be wrong, or not compared yet.
        """
        self._time_ms = max(self._time_ms, now_ms)
        journal = Journal()
        while self._ends and self._ends[0][0] <= self._time_ms:
            _, key, digest = heapq.heappop(self._ends)
            slot = self._slots.get(key)
            if slot is not None and key in self._unjudged:  # what counts no longer must not outlive what does
                self._recount(key, slot, journal)
            if slot is not None and (signed := slot.find(digest)) is not None:
                self._end(key, slot, signed, journal)
        self._take_held(now_ms, journal)
        return self._close(journal, judge_at_once)

    def ripen(self, now_ms: int, *, judge_at_once: int | None = None) -> Changes:
        """Merge what was held back until now, and let nothing end: for a peer that has the time from others alone."""
        journal = Journal()
        self._take_held(now_ms, journal)
        return self._close(journal, judge_at_once)

    def _take_held(self, now_ms: int, journal: Journal) -> None:
        ripe = []
        while self._held and self._held[0][0] <= now_ms:
            signed = heapq.heappop(self._held)[2]
            self._held_digests[signed.author].discard(signed.digest)
            ripe.append(signed)
        self._take_all(ripe, journal)

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
                self._by_author.add(signed.author, signed.key)
                news.add(signed.key)
        journal = Journal()
        self._judge(news, journal)
        self.judge_on(journal, len(self._unjudged))
        for signed in others:
            if self._put(signed, journal, has_place=True) is None:
                self._counted(signed, journal)

    def _hold_back(self, signed: Signed[Record]) -> Merged:
        if not self._counting.known_author(signed.author):
            return Merged(status=Status.REFUSED, reason=f"stamped ahead by {signed.author}, who has no role")
        held = self._held_digests.setdefault(signed.author, set())
        if signed.digest in held:
            return KNOWN
        if len(held) >= HELD_BACK_PER_AUTHOR:
            return Merged(status=Status.REFUSED, reason=f"{len(held)} records of {signed.author} are held back already")
        held.add(signed.digest)
        heapq.heappush(self._held, (signed.stamp.ms - AHEAD_MS, signed.digest, signed))
        return Merged(status=Status.HELD_BACK, reason="stamped more than 5 minutes ahead")

    def _put(self, signed: Signed[Record], journal: Journal, *, has_place: bool = False) -> Merged | None:
        """Keep a record, or say why not; `has_place`: it was kept before a restart."""
        slot = self._slots.get(signed.key)
        if slot is not None and signed in slot.kept:
            return KNOWN
        ends = ends_ms(signed.record, self._counting.trash_days)
        if ends is not None and leaves_ms(ends) <= self._time_ms:
            return Merged(status=Status.STALE, reason="a tombstone of more than 30 days")
        if not has_place and (refused := self._no_room(signed)):
            return Merged(status=Status.REFUSED, reason=refused)
        slot = slot or Slot()
        displaced = slot.put(signed)
        if displaced is None:
            later = slot.later_than(signed)
            hidden = None if later is None or self._counting.stands(later) else later
            return Merged(status=Status.STALE, reason=OUTDATED, later=hidden)
        self._slots[signed.key] = slot
        self._by_author.add(signed.author, signed.key)
        for old in displaced:
            journal.forget(old.storage_key)
        journal.store(signed)
        return None

    def _counted(self, signed: Signed[Record], journal: Journal) -> Merged:
        """Count again what a record just put in place is about; what became of it."""
        slot = self._slots.get(signed.key)
        if slot is None or signed not in slot.kept:
            return Merged(status=Status.STALE, reason=OUTDATED)
        self._recount(signed.key, slot, journal)
        if slot.counting is signed:
            return COUNTED
        self._note_end(signed)
        reason = "" if self._counting.stands(signed) else f"{signed.author} has no role for it"
        return Merged(status=Status.KEPT, reason=reason)

    def _no_room(self, signed: Signed[Record]) -> str:
        """Say why a record cannot be kept at all, or nothing: what counts, or outdates what does, always has its place."""
        is_charter, authored = isinstance(signed.record, Charter), self._by_author
        if is_charter and authored.number_of(signed.author, b"c") >= CHARTERS_PER_AUTHOR:
            return f"{CHARTERS_PER_AUTHOR} charters of {signed.author} are known already"
        now = self.get(signed.key)  # who knows a later word of its author than we take would never agree with us
        if self._counting.may_count(signed) or (now is not None and now.author == signed.author):
            return ""
        nobody = f"{signed.author} has no role for it"
        if len(signed.raw) > IDLE_BYTES:
            return f"{nobody}, and it has {len(signed.raw)} bytes"
        words = authored.number_of(signed.author, *IDLE_WORDS) if signed.key[:1] in IDLE_WORDS else 0
        if words >= IDLE_WORDS_PER_AUTHOR:
            return f"{nobody}, and {IDLE_WORDS_PER_AUTHOR} like it are known already"
        keys = authored.of(signed.author)
        if len(keys) >= RECORDS_PER_UNKNOWN_AUTHOR and not is_charter:
            return nobody
        if not keys and not self._counting.known_author(signed.author):
            unknown = sum(1 for author in authored if not self._counting.known_author(author))
            if unknown >= UNKNOWN_AUTHORS:
                return f"{nobody}, nor have {UNKNOWN_AUTHORS} others"
        return ""

    def _judge(self, news: Set[bytes], journal: Journal) -> None:
        """Work out roles and charter anew, with what is new of them, and note whatever that concerns."""
        slots = (self._slots[key] for key in self._counting.judged_keys | news)
        verdict = self._counting.judge([kept for slot in slots for kept in slot.kept])
        journal.roles |= verdict.roles
        journal.charter |= verdict.charter
        for signed in self._counting.roles.surplus:
            gone = (slot := self._slots[signed.key]).remove([signed])
            self._recount(signed.key, slot, journal)
            self._forget(signed.key, slot, gone, journal)
        self._counting.judged_keys &= self._slots.keys()
        for key in self._counting.judged_keys:
            self._recount(key, self._slots[key], journal)
        for author in verdict.authors:
            self._unjudged = dict.fromkeys(self._by_author.of(author), False) | self._unjudged
        if verdict.removals:
            removals = [key for key, slot in self._slots.items() if any(kept.removal for kept in slot.kept)]
            self._unjudged.update(dict.fromkeys(removals, True))

    def _recount(self, key: bytes, slot: Slot, journal: Journal, *, again: bool = False) -> None:
        """Choose what counts of one key; `again`: take it out and put it in even if it is the same."""
        again |= self._unjudged.pop(key, False)
        chosen = self._counting.choose(slot.kept)
        if chosen is slot.counting and not again:
            return
        for kept in slot.kept if again else ():
            if kept is not chosen:
                self._note_end(kept)
        if slot.counting is not None:
            self._uncount(slot.counting, journal)
            if chosen is not slot.counting and isinstance(slot.counting.record, Pin):
                journal.replace(slot.counting)
        slot.counting = chosen
        if chosen is not None:
            self._count(chosen, journal)

    def _count(self, signed: Signed[Record], journal: Journal) -> None:
        self.tally.add(signed)
        ends = ends_ms(signed.record, self._counting.trash_days)
        if ends is not None:
            at_ms = leaves_ms(ends) if ends <= self._time_ms or is_deleted(signed.record) else ends
            self._wait_for(at_ms, signed)
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
            if signed is slot.counting:
                self._drop(key, slot, signed, journal)
            else:  # one without a role would keep its author's earlier word out for ever, which others take
                stands = self._counting.stands(signed)
                self._forget(key, slot, slot.drop_up_to(signed) if stands else slot.remove([signed]), journal)
            return
        if ends <= self._time_ms and isinstance(signed.record, Pin):
            self._pins.discard(cast("SignedPin", signed))
            journal.roots.add(signed.record.root)
        self._wait_for(leaves if ends <= self._time_ms else ends, signed)

    def _wait_for(self, at_ms: int, signed: Signed[Record]) -> None:
        """Have a record looked at by then; what waits of versions that have been replaced is left out now and then."""
        heapq.heappush(self._ends, (at_ms, signed.key, signed.digest))
        if len(self._ends) >= self._most_ends:
            kept = {end for end in self._ends if end[1] in self._slots and self._slots[end[1]].find(end[2])}
            self._ends = sorted(kept)
            self._most_ends = 2 * len(kept) + ENDS_SPARE

    def _note_end(self, signed: Signed[Record]) -> None:
        """It does not count, and is forgotten with its tombstone all the same."""
        ends = ends_ms(signed.record, self._counting.trash_days)
        if ends is not None:
            self._wait_for(leaves_ms(ends), signed)

    def set_aside(self, records: Iterable[Signed[Record]]) -> Changes:
        """Forget records that count here, with all that they have outlived, as tombstones are forgotten."""
        journal = Journal()
        for signed in records:
            slot = self._slots.get(signed.key)
            if slot is not None and signed.key in self._unjudged:
                self._recount(signed.key, slot, journal)
            if slot is not None and slot.counting == signed:
                self._drop(signed.key, slot, signed, journal)
        return journal.close()

    def _drop(self, key: bytes, slot: Slot, signed: Signed[Record], journal: Journal) -> None:
        self._uncount(signed, journal)
        slot.counting = None
        self._forget(key, slot, slot.drop_up_to(signed), journal)
        if slot.kept:
            self._recount(key, slot, journal)

    def _forget(self, key: bytes, slot: Slot, gone: Iterable[Signed[Record]], journal: Journal) -> None:
        """What a slot has just let go."""
        for signed in gone:
            journal.forget(signed.storage_key)
            self._by_author.discard(signed.author, key)
        for kept in slot.kept:
            self._by_author.add(kept.author, key)
        if not slot.kept:
            del self._slots[key]


def _turns(records: list[Signed[Record]]) -> tuple[list[int], list[int], list[int]]:
    """Sort records by number into charters, what else governs, and all others."""
    turns: tuple[list[int], list[int], list[int]] = [], [], []
    for number, signed in enumerate(records):
        letter = signed.key[:1]
        turns[0 if letter == b"c" else 1 if letter in IDLE_WORDS else 2].append(number)
    return turns
