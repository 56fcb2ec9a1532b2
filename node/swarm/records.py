"""The swarm's records as this peer has them: what counts, in memory; everything kept, on disk first.

Others' records come in by gossip, sync and leases (`accept`); this peer's own are written by `write`. What changed is
told to `on_change` after it is durable, and what others should have goes to `on_news`.

Where the disk refuses, this peer's own records fail, and change nothing. Others' count all the same: `due` writes them
once the disk takes them, and after a crash before that, sync brings them again.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeVar

import trio

from node.events import wall_ms
from node.swarm.checking import Elsewhere, Parsed, in_order, nowhere_else, parse_all, parse_kept
from node.swarm.own_word import OwnWord, may_cut_short
from node.swarm.refusals import FORK, Refusals
from node.swarm.seals import Seals
from node.swarm.storing import entry_of
from node.swarm.turns import Turns
from protocol.author import Author, R
from protocol.changes import COUNTED, Changes, Journal, Merged, Status, later_words
from protocol.records import Record, Signed
from protocol.recordset import RecordSet
from protocol.stamp import Stamp
from store.errors import StoreError
from store.store import RecordEntry, Store

log = logging.getLogger("pinakothek.records")

T = TypeVar("T")

HELD_FACTOR = 4
HELD_SPARE = 100_000
"""Pins come and go, and records may be on their way: guesses."""
JUDGED_AT_ONCE = 500
"""Records counted again between two turns of other tasks, after a change of roles: some 10 ms."""
TOLD_AT_ONCE = 5000
"""Roots that others are told of between two turns: some 10 ms."""


class SharedRecords:
    """Merges, stores and signs records.

    Args:
        counting: the record set, empty; `load` fills it.
        author: signs as this peer.
        steward_key: the key in `steward.key`, where there is one; shares the author's clock.
        check: reads and checks signatures.
        swarm_ms: by which others' records are stamped ahead or not: our wall clock, or the others' where ours is wrong.
    """

    def __init__(
        self,
        store: Store,
        counting: RecordSet,
        author: Author,
        steward_key: Author | None,
        *,
        on_change: Callable[[Changes], None],
        on_news: Callable[[Sequence[Signed[Record]]], None],
        swarm_ms: Callable[[], int] = wall_ms,
        check: Elsewhere = nowhere_else,
    ) -> None:
        self._store = store
        self.counting = counting
        self.author = author
        self.steward_key = steward_key
        self._on_change = on_change
        self._on_news = on_news
        self._swarm_ms = swarm_ms
        self._check = check
        self._seals = Seals(author.key)
        self._own_word = OwnWord(store)
        self._turns = Turns()  # of our own that are signed and not merged yet
        self.refusals = Refusals()
        self._forked = False
        self._owed: set[bytes] = set()  # storage keys of which the disk has not the latest
        self.on_learned: Callable[[Stamp], None] = lambda oldest: None  # of a batch of others' records that are new
        self.on_replaced: Callable[[Sequence[Signed[Record]]], Awaitable[None]] = _nothing  # see `Changes.replaced`
        self._judging = False
        self._judged: list[Changes] = []  # by slices of a change of roles, and not told of yet
        self._disk = trio.Lock()  # fair, so what was merged first is written first
        self._unwritten: list[Changes] = []  # in the order in which they were merged
        self._replacing = 0

    @property
    def steward(self) -> Author | None:
        """Who signs as a steward here: the key in `steward.key`, or this peer's own, where the charter lists it."""
        for author in (self.steward_key, self.author):
            if author is not None and self.counting.is_steward(author.peer_id):
                return author
        return None

    async def load(self) -> None:
        """Take in what the store has. What a disk has spoilt is left out, and comes again by sync.

        Nothing of it is held back and nothing ends by it: at a start nobody has said yet whether our clock is right.
        """
        kept, spoilt = await in_order(self._store.signed_pages(), self._parse_sealed)
        if spoilt:
            log.error("%d records in the catalogue are damaged and left out", len(spoilt))
        self.counting.restore(kept)
        if kept:
            self.author.clock.saw(max(signed.stamp for signed in kept))
        self._forked = self.counting.forked
        self._on_change(self.counting.ripen(0))

    async def _parse_sealed(self, page: Sequence[tuple[bytes, bytes | None]]) -> Parsed:
        """Read what the store has; what this peer has not sealed is checked, and sealed for the next start."""
        sealed = await trio.to_thread.run_sync(self._sealed_of, page)
        parsed, bad = await parse_kept([raw for raw, _ in page], sealed, self._check)
        new = [signed for signed in parsed if signed.raw not in sealed]
        if new:
            self._store.seal_records({one.storage_key: (one.raw, self._seals.seal(one.raw)) for one in new})
        return parsed, bad

    def _sealed_of(self, page: Sequence[tuple[bytes, bytes | None]]) -> set[bytes]:
        return {raw for raw, seal in page if self._seals.holds(raw, seal)}

    @property
    def settled(self) -> Stamp | None:
        """A stamp up to which all of this peer's own records are merged; None while one is being written."""
        return None if self._turns else self.author.clock.last

    @property
    def most_held(self) -> int:
        """Roots that one peer can hold, by what is wanted: nobody's memory is for a liar to fill."""
        return HELD_FACTOR * self.counting.root_count + HELD_SPARE

    async def accept(self, raws: Sequence[bytes], *, relay: bool = True, compared: bool = False) -> int:
        """Take in others' records: check, merge, store, then act on them and pass on what is new.

        Args:
            relay: False for what came by gossip, which carries it on by itself, or by sync, which is everyone's own
                affair: a newcomer that passed on all it gets would send every member all there is.
            compared: True for what sync brought. What counts there and not here, because its author has written a later
                one that does not, would tell the two apart for ever: then that one is passed on.

        Returns:
            How many of them were malformed, forged or refused.
        """
        parsed, bad = await parse_all(raws, self._check)
        for reason in bad:
            self.refusals.count_reason(reason)
        await self._merge(parsed, relay=relay, compared=compared)
        return len(bad)

    @property
    def is_replacing(self) -> bool:
        """Whether `on_replaced` has yet to hear of pins that count no more: who does not know why keeps what they wanted."""
        return self._replacing > 0

    async def are_durable(self) -> bool:
        """Wait until all that was merged so far is on disk; False where the disk has refused some of it."""
        async with self._disk:
            return not self._owed

    async def write(self, *records: R, as_steward: bool = False) -> list[Signed[R]]:
        """Sign this peer's own records; they are durable, merged and on their way to the others on return.

        Raises:
            StoreError: the disk refuses; nothing was written or merged.
        """
        author = self.steward if as_steward else self.author
        assert author is not None, "no steward's key lies here"
        return await self.write_by(author, *records)

    async def write_by(self, author: Author, *records: R) -> list[Signed[R]]:
        """`write`, signed by any key that lies here; it shares this peer's clock."""
        now_ms = wall_ms()
        written = [author.write(record, now_ms) for record in records]
        await self.put(written)
        return written

    async def put(self, signed: Sequence[Signed[Record]]) -> None:
        """Make records that were signed here durable, merge them and tell the others, whether they count yet or not."""
        async with self._turns.of(one.key for one in signed):
            if any(map(may_cut_short, signed)):
                await self._see_through(await self._own_word.keep(signed), signed)
            else:
                async with self._disk if self._owed else nullcontext():  # not what is owed of the same after it
                    await trio.to_thread.run_sync(self._persist, signed, ())
                await self._merge(signed, own=True)

    async def _see_through(self, name: str, signed: Sequence[Signed[Record]]) -> None:
        outcomes = await self._merge(signed, own=True)
        if not any(merged.status is Status.HELD_BACK for merged in outcomes) and await self.are_durable():
            await self._own_word.forget(name)

    async def go_on(self) -> None:
        """See through, after a crash, what this peer wrote last; call it once `on_replaced` is set."""
        for name, raws in (await self._own_word.kept()).items():
            await self._see_through(name, (await parse_all(raws, self._check))[0])

    async def write_one(self, record: R) -> Signed[R]:
        """`write` for one record."""
        [written] = await self.write(record)
        return written

    async def write_along(self, record: R, persist: Callable[[RecordEntry], T]) -> tuple[Signed[R], T]:
        """`write_one`, made durable by `persist`, in a thread, together with something else.

        Returns:
            The record, and what `persist` returned. Once `persist` has begun a cancellation waits for both.
        """
        written = self.author.write(record, wall_ms())
        async with self._turns.of([written.key]):
            outcome = await trio.to_thread.run_sync(persist, entry_of(written, self._seals))
            await self._merge([written], own=True)
        return written, outcome

    async def set_aside(self, records: Sequence[Signed[Record]]) -> None:
        """Forget records that count here; whoever asks for it has kept them elsewhere."""
        await self._settle(self.counting.set_aside(records))

    async def due(self) -> None:
        """Let time act: expiries, tombstones, records that were held back; write what the disk refused before.

        Raises:
            StoreError: it still does.
        """
        await self._settle(self.counting.due(wall_ms(), judge_at_once=JUDGED_AT_ONCE))
        await self._judge()
        await self.make_up()

    async def ripen(self) -> None:
        """`due` for a peer whose clock is wrong: only what was held back is taken, by the others' time."""
        await self._settle(self.counting.ripen(self._swarm_ms(), judge_at_once=JUDGED_AT_ONCE))
        await self._judge()
        await self.make_up()

    async def make_up(self) -> None:
        """`due` for a peer that does not know the time yet: write what the disk refused before. Raises: StoreError."""
        if not self._owed:
            return
        async with self._disk:
            while self._unwritten:  # it may be a later version of what is owed, and spares what it cuts short first
                await self._write_down()
            await self._write_owed()

    async def _merge(
        self, signed: Sequence[Signed[Record]], *, own: bool = False, relay: bool = True, compared: bool = False
    ) -> list[Merged]:
        outcomes, changes = self._take(signed, self._swarm_ms(), own=own)
        if not own:
            for merged in outcomes:
                if merged is not COUNTED:
                    self.refusals.count_merge(merged)
        self._look_for_fork()
        is_stored = own and not any(map(may_cut_short, signed))
        await self._settle(replace(changes, stored=()) if is_stored else changes)
        news = [one for one, merged in zip(signed, outcomes, strict=True) if merged.relay or own]
        if news and relay:
            self._on_news(news)
        if compared and (later := later_words(outcomes, sum(len(one.raw) for one in signed))):
            self._on_news(later)
        await self._judge()
        return outcomes

    def _look_for_fork(self) -> None:
        if self.counting.forked and not self._forked:
            self.refusals.count(FORK)
            log.warning("the charter is forked")
        self._forked = self.counting.forked

    def _take(self, signed: Sequence[Signed[Record]], now_ms: int, *, own: bool) -> tuple[list[Merged], Changes]:
        """Merge, and never stamp anything earlier than what was taken in."""
        outcomes, changes = self.counting.merge_all(signed, now_ms, judge_at_once=JUDGED_AT_ONCE)
        new = [
            one.stamp
            for one, merged in zip(signed, outcomes, strict=True)
            if merged.status in (Status.COUNTS, Status.KEPT)
        ]
        if new:
            self.author.clock.saw(max(new))
            if not own:
                self.on_learned(min(new))
        return outcomes, changes

    def unjudged(self) -> str:
        """Why nobody may conclude now which images are not wanted, or ""."""
        is_over = self.counting.is_judged() and not self._judged and not self._judging
        return "" if is_over else "who may do what has changed, and not all records are judged by it yet"

    async def _judge(self) -> None:
        """See a change of roles through, and tell of it; shielded, as nobody else would end it."""
        if self._judging:
            return
        self._judging = True
        try:
            with trio.CancelScope(shield=True):
                while self._judged or not self.counting.is_judged():
                    async with self._disk:
                        await self._write_down()
                    judged, self._judged = self._judged, []
                    for changes in judged:
                        await self._tell(changes)
        finally:
            self._judging = False

    async def _judge_the_rest(self) -> None:
        """Count again, some at a time, what else a change of roles concerns."""
        journal = Journal()
        while not self.counting.is_judged():
            await trio.lowlevel.checkpoint()
            self.counting.judge_on(journal, JUDGED_AT_ONCE)
        changes = journal.close()
        self._unwritten.append(changes)
        self._judged.append(changes)

    async def _tell(self, changes: Changes) -> None:
        if changes.flows or changes.roles or changes.charter:
            self._on_change(replace(changes, roots=frozenset()))
        roots = list(changes.roots)
        for start in range(0, len(roots), TOLD_AT_ONCE):
            self._on_change(Changes(roots=frozenset(roots[start : start + TOLD_AT_ONCE])))
            await trio.lowlevel.checkpoint()

    async def _settle(self, changes: Changes) -> None:
        """Store what the changes ask for, then tell of them; shielded, because memory has them already."""
        if changes.stored or changes.forgotten or changes.replaced:
            self._unwritten.append(changes)
            self._replacing += bool(changes.replaced)
            try:
                with trio.CancelScope(shield=True):
                    async with self._disk:
                        await self._write_down()
            finally:
                self._replacing -= bool(changes.replaced)
        if changes.roots or changes.flows or changes.roles or changes.charter:
            self._on_change(changes)

    async def _write_down(self) -> None:
        """Store all that waits, which may be nothing: whoever had the disk before has written everybody's.

        Nothing before what the disk has refused: by what it lacks, a role that has ended perhaps, others would count after
        a crash, and cut pins short of which nobody knows that they are to be spared.
        Not a change of roles before all of its consequences are known: after a crash in between nobody would spare them.
        """
        if not self.counting.is_judged():
            await self._judge_the_rest()
        waiting, self._unwritten = self._unwritten, []
        left = list(_together(waiting))
        try:
            if replaced := [signed for changes in waiting for signed in changes.replaced]:
                await self.on_replaced(replaced)  # before what counts instead is on disk, and in the same turn
            while left and not self._owed:
                await trio.to_thread.run_sync(self._persist, *left[0])
                del left[0]
        except StoreError as error:
            if not self._owed:
                log.warning("records of others are not on disk yet: %s", error)
        finally:
            for stored, forgotten in left:
                self._owed.update((signed.storage_key for signed in stored), forgotten)

    async def _write_owed(self) -> None:
        """Bring the disk to what counts in memory."""
        kept = {signed.storage_key: signed for signed in self.counting.kept_as(self._owed)}
        await self.on_replaced(())  # of what was replaced since the disk refused nothing is on it yet
        forgotten = list(self._owed - kept.keys())
        await trio.to_thread.run_sync(self._persist, list(kept.values()), forgotten)
        owed, self._owed = self._owed, set()
        log.info("%d records that the disk had refused are written", len(owed))

    def _persist(self, stored: Sequence[Signed[Record]], forgotten: Sequence[bytes]) -> None:
        if stored:
            self._store.append_records([entry_of(signed, self._seals) for signed in stored])
        if forgotten:
            self._store.forget_records(forgotten)


async def _nothing(replaced: Sequence[Signed[Record]]) -> None:
    """Nobody asks."""


def _together(waiting: Sequence[Changes]) -> Iterator[tuple[list[Signed[Record]], Sequence[bytes]]]:
    """What is stored in one commit each, in order: what comes after something was forgotten may be the same again."""
    stored: list[Signed[Record]] = []
    for changes in waiting:
        stored += changes.stored
        if changes.forgotten:
            yield stored, changes.forgotten
            stored = []
    if stored:
        yield stored, ()
