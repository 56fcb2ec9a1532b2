"""Catch up over `/pinakothek/sync/1`: with a member's records, and with the holdings of whoever we lag behind."""

import logging
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from node.swarm.names import SYNC
from node.swarm.records import SharedRecords
from node.swarm.sync_session import carry_out
from protocol.errors import Reason, Refused
from protocol.holdings import ElementSet, HoldingsBook
from protocol.holdings_messages import Change
from protocol.identity import PeerId
from protocol.limits import SYNC_AFTER_S, SYNC_EVERY_S
from protocol.messages import SYNC_ANSWERS, NoAnswer, read_message, write_message
from protocol.net.errors import NetError
from protocol.net.redial import Backoff
from protocol.net.rpc import Rpc
from protocol.ordered import OrderedSet
from protocol.places import element_digest, element_place
from protocol.records import Record, Signed, read_record
from protocol.sync import HoldingsAsker, Step, SyncAnswer, SyncAsk, SyncAsker
from protocol.sync_messages import SyncElements, SyncRanges, SyncRecords
from protocol.sync_trigger import SyncTrigger

log = logging.getLogger("pinakothek.sync")

CALL_TIMEOUT_S = 20.0
CALLS_AT_ONCE = 8
PAGES_AT_ONCE = 16
"""Four megabytes: while some pages of records are checked, and many written in one go, others are on their way."""
LOOK_S = 0.5
SYNC_TIMEOUT_S = 600.0
SET_TIMEOUT_S = 120.0
"""All of one sync, or of one set: a source that trickles must not keep this peer from better ones."""
SETS_AT_ONCE = 4
MANY_RECORDS = 2000
MANY_S = 60.0
"""While a sync brings more than so many, for so long at most, plans would be made over and over for nothing: they cost
a third of what reading the records does."""
OFFENCES = frozenset({Reason.MALFORMED, Reason.BAD_SIGNATURE, Reason.TOO_LARGE})
SET_OFFENCES = frozenset({Reason.MALFORMED, Reason.BAD_SIGNATURE})
"""A set too large to be true is its owner's affair, and may be true for who knows more records."""


class CatchingUp:
    """The asking side of sync.

    Args:
        reachable: members that are connected.
        unsynced: members whose records nobody is to take over.
        on_holders: roots whose holders changed.
        on_offence: the connection of this peer is to be cut.

    Attributes:
        synced_with: members whose records were all taken over since the start.
    """

    def __init__(
        self,
        rpc: Rpc,
        records: SharedRecords,
        book: HoldingsBook,
        *,
        reachable: Callable[[], frozenset[str]],
        unsynced: Callable[[], frozenset[str]] = frozenset,
        on_holders: Callable[[frozenset[bytes]], None],
        on_offence: Callable[[str], Awaitable[None]],
    ) -> None:
        self._rpc = rpc
        self._records = records
        self._book = book
        self._reachable = reachable
        self._unsynced = unsynced
        self._on_holders = on_holders
        self._on_offence = on_offence
        self._backoff = Backoff()
        self._sets = trio.CapacityLimiter(SETS_AT_ONCE)
        self._under_way: set[PeerId] = set()
        self._look = trio.Event()
        self._coming = 0  # records that the sync under way has brought
        self._coming_since_s = -math.inf
        self._begun_s: dict[str, float] = {}  # the last sync with each
        self.synced_with: set[str] = set()
        self.trigger = SyncTrigger(after_s=SYNC_AFTER_S, every_s=SYNC_EVERY_S)
        self.synced = trio.Event()

    async def run(self) -> None:
        """Sync whenever the trigger says so, and fetch the sets that are wanted, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sync_records)
            nursery.start_soon(self._sync_holdings)

    async def _call(self, peer: str, ask: SyncAsk) -> SyncAnswer:
        raw = await self._rpc.call(peer, SYNC, write_message(ask), CALL_TIMEOUT_S)
        answer = read_message(raw, SYNC_ANSWERS)
        if isinstance(answer, NoAnswer):
            raise Refused(Reason.STALE, f"{peer} does not sync: {answer.detail}")
        if not isinstance(answer, SyncRanges | SyncRecords | SyncElements):
            raise Refused(Reason.MALFORMED, f"{peer} answered sync with something else")
        return answer

    # records

    def brings_many(self) -> bool:
        """Whether a sync is under way that brings records by the thousand, as it does to a newcomer."""
        return self._coming > MANY_RECORDS and trio.current_time() < self._coming_since_s + MANY_S

    def look_soon(self) -> None:
        """A member is connected: a newcomer need not wait for the next look to learn from it."""
        self._look.set()

    async def _sync_records(self) -> None:
        while True:
            now_s = trio.current_time()
            if candidates := self.trigger.candidates(self._reachable() - self._unsynced(), now_s):
                # Everybody in turn: one with whom it fails each time must not be the only one who is asked.
                peer = min(candidates, key=lambda p: (self._begun_s.get(p, -math.inf), random.random()))
                self._begun_s[peer] = now_s
                self.trigger.started(now_s)
                with trio.move_on_after(SYNC_TIMEOUT_S) as limit:
                    await self._sync_with(peer)
                if limit.cancelled_caught:
                    log.info("sync with %s given up after %.0f s", peer, SYNC_TIMEOUT_S)
            with trio.move_on_after(LOOK_S):
                await self._look.wait()
            self._look = trio.Event()

    async def _sync_with(self, peer: str) -> None:
        try:
            taken = await self._catch_up_with(peer)
        except (NetError, Refused) as error:
            log.info("sync with %s failed: %s", peer, error)
            await self._look_for_offence(peer, error)
            return
        self.trigger.finished(peer)
        self.synced.set()
        self.synced_with.add(peer)
        log.info("synced with %s: %d records", peer, taken)

    async def _catch_up_with(self, peer: str) -> int:
        return await self._take_over(peer, SyncAsker(self._records.counting.tally))

    async def lacking(self, peer: str) -> tuple[list[Signed[Record]], set[bytes]]:
        """Take over all that a member has.

        Returns:
            What counts here and not there; and the keys of which something else counts there: an earlier version, or that
            of somebody whose role has ended.

        Raises:
            NetError, Refused: it does not answer, or not as it should.
        """
        theirs: set[bytes] = set()
        try:
            with trio.fail_after(SYNC_TIMEOUT_S):
                await self._take_over(peer, SyncAsker(self._records.counting.tally))
                # What came may count instead of what was here, and that would not be lacking then: it is compared again.
                asker = SyncAsker(self._records.counting.tally, drops=True)
                await self._take_over(peer, asker, theirs)
        except (NetError, Refused) as error:
            await self._look_for_offence(peer, error)
            raise
        return asker.comparison.surplus, theirs

    async def _look_for_offence(self, peer: str, error: NetError | Refused) -> None:
        if isinstance(error, Refused) and error.reason in OFFENCES:
            self._records.refusals.count_reason(error.reason)
            await self._on_offence(peer)

    async def _take_over(self, peer: str, asker: SyncAsker[Signed[Record]], came: set[bytes] | None = None) -> int:
        """Returns: how many records came; `came` takes in their keys, those known here."""
        self._coming, self._coming_since_s = 0, trio.current_time()

        async def take(step: Step) -> None:
            if step.records and await self._records.accept(step.records, relay=False, compared=True):
                raise Refused(Reason.BAD_SIGNATURE, "records that are malformed or forged")
            self._coming += len(step.records)
            if came is not None and step.records:
                keys = await trio.to_thread.run_sync(_keys_of, step.records)
                came.update(key for key in keys if self._records.counting.get(key) is not None)

        try:
            await carry_out(asker, partial(self._call, peer), take, at_once=PAGES_AT_ONCE, calls_at_once=CALLS_AT_ONCE)
            return self._coming
        finally:
            self._coming = 0

    # holdings

    async def _sync_holdings(self) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                now_s = trio.current_time()
                for owner in self._book.lagging(now_s):
                    if owner not in self._under_way and self._backoff.due(owner, now_s):
                        self._under_way.add(owner)
                        nursery.start_soon(self._keep_up_with, owner)
                await trio.sleep(LOOK_S)

    async def _keep_up_with(self, owner: PeerId) -> None:
        """One try; a set that nobody can deliver is asked for ever less often."""
        try:
            async with self._sets:
                if await self._catch_up_on(owner):
                    self._backoff.reset(owner)
                else:
                    self._backoff.failed(owner, trio.current_time(), random.random())
        finally:
            self._under_way.discard(owner)

    async def _catch_up_on(self, owner: PeerId) -> bool:
        """Fetch a member's set: from itself, else from anybody whose copy matches what the owner signed."""
        reachable = self._reachable()
        others = sorted(reachable - {owner})
        random.shuffle(others)
        for source in ([owner] if owner in reachable else []) + others[:2]:
            with trio.move_on_after(SET_TIMEOUT_S):
                try:
                    await self._take_set(source, owner)
                except (NetError, Refused) as error:
                    log.debug("holdings of %s from %s: %s", owner, source, error)
                    if isinstance(error, Refused) and error.reason in SET_OFFENCES:
                        self._records.refusals.count_reason(error.reason)
                        await self._on_offence(source)
                    continue
                return True
        return False

    async def _take_set(self, source: str, owner: PeerId) -> None:
        """Bring a member's set to what `source` knows of it; the outcome counts if the owner has signed its digest."""
        known = self._book.of(owner).held.copy()
        ours = await trio.to_thread.run_sync(OrderedSet, element_place, element_digest, known.elements)
        asker = HoldingsAsker(ours, owner, most=self._records.most_held)
        await carry_out(asker, partial(self._call, source), _nothing_more, in_thread=True)
        assert asker.summary is not None
        await trio.to_thread.run_sync(_bring_up, known, asker)
        self._on_holders(self._book.on_snapshot(owner, asker.summary, known, trio.current_time()))


def _keys_of(raws: Sequence[bytes]) -> list[bytes]:
    return [read[0].key for raw in raws if (read := read_record(raw)) is not None]


async def _nothing_more(step: Step) -> None:
    """The asker keeps what comes."""


def _bring_up(known: ElementSet, asker: HoldingsAsker) -> None:
    for element in asker.comparison.surplus:
        known.apply(Change(element.root, element.kind, False))
    for element in asker.added:
        known.apply(Change(element.root, element.kind, True))
