"""Catch up over `/pinakothek/sync/1`: with a member's records, and with the holdings of whoever we lag behind."""

import logging
import random
from collections.abc import Awaitable, Callable
from itertools import islice

import trio

from node.swarm.names import SYNC
from node.swarm.records import SharedRecords
from protocol.beat import HoldingsSummary
from protocol.errors import Reason, Refused
from protocol.holdings import HoldingsBook
from protocol.holdings_messages import Element, HoldingsAsk, HoldingsPage, LastHeardAnswer, LastHeardAsk, open_summary
from protocol.identity import PeerId
from protocol.limits import PAGE_BYTES, SYNC_AFTER_S, SYNC_EVERY_S
from protocol.messages import SYNC_ANSWERS, SYNC_ASKS, NoAnswer, read_message, write_message
from protocol.net.errors import NetError, RpcRefused
from protocol.net.redial import Backoff
from protocol.net.rpc import Rpc
from protocol.sync import SyncAsk, SyncAsker, SyncTrigger, answer_sync
from protocol.sync_messages import (
    KEY_BYTES,
    KEYS_PER_WANT,
    SyncBuckets,
    SyncCompare,
    SyncList,
    SyncListing,
    SyncRecords,
    SyncWant,
)

log = logging.getLogger("pinakothek.sync")

CALL_TIMEOUT_S = 20.0
MAX_REQUEST_BYTES = KEYS_PER_WANT * KEY_BYTES + 4096
MAX_RESPONSE_BYTES = PAGE_BYTES + 16 * 1024
CONCURRENCY = 4
MAX_PAGES = 4096
"""Of one snapshot: 16 million roots."""
LOOK_S = 0.5
SYNC_TIMEOUT_S = 600.0
SET_TIMEOUT_S = 120.0
"""All of one sync, or of one set: a source that trickles must not keep this peer from better ones."""
SETS_AT_ONCE = 4
OFFENCES = frozenset({Reason.MALFORMED, Reason.BAD_SIGNATURE, Reason.TOO_LARGE})
ELEMENT_OVERHEAD_BYTES = 8


class CatchingUp:
    """Both sides of sync for one peer.

    Args:
        reachable: members that are connected.
        statement_of: a member's newest signed bytes that state its holdings, with its elements as known here, in order;
            None where they are not known to match.
        on_holders: roots whose holders changed.
        last_heard: what this peer has last heard of another.
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
        statement_of: Callable[[str], tuple[bytes, list[Element]] | None],
        on_holders: Callable[[frozenset[bytes]], None],
        last_heard: Callable[[str], LastHeardAnswer],
        on_offence: Callable[[str], Awaitable[None]],
    ) -> None:
        self._rpc = rpc
        self._records = records
        self._book = book
        self._reachable = reachable
        self._statement_of = statement_of
        self._on_holders = on_holders
        self._last_heard = last_heard
        self._on_offence = on_offence
        self._backoff = Backoff()
        self._sets = trio.CapacityLimiter(SETS_AT_ONCE)
        self._under_way: set[PeerId] = set()
        self.synced_with: set[str] = set()
        self.trigger = SyncTrigger(after_s=SYNC_AFTER_S, every_s=SYNC_EVERY_S)
        self.synced = trio.Event()
        rpc.register(
            SYNC,
            self._answer,
            max_request_bytes=MAX_REQUEST_BYTES,
            max_response_bytes=MAX_RESPONSE_BYTES,
            concurrency=CONCURRENCY,
        )

    # asking

    async def run(self) -> None:
        """Sync whenever the trigger says so, and fetch the snapshots that are wanted, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sync_records)
            nursery.start_soon(self._sync_holdings)

    async def _sync_records(self) -> None:
        while True:
            now_s = trio.current_time()
            if candidates := self.trigger.candidates(self._reachable(), now_s):
                peer = random.choice([p for p in candidates if p not in self.synced_with] or candidates)
                self.trigger.started(now_s)
                with trio.move_on_after(SYNC_TIMEOUT_S) as limit:
                    await self._sync_with(peer)
                if limit.cancelled_caught:
                    log.info("sync with %s given up after %.0f s", peer, SYNC_TIMEOUT_S)
            await trio.sleep(LOOK_S)

    async def _sync_with(self, peer: str) -> None:
        try:
            taken = await self._catch_up_with(peer)
        except (NetError, Refused) as error:
            log.info("sync with %s failed: %s", peer, error)
            if isinstance(error, Refused) and error.reason in OFFENCES:
                await self._on_offence(peer)
            return
        self.trigger.finished(peer)
        self.synced.set()
        self.synced_with.add(peer)
        log.info("synced with %s: %d records", peer, taken)

    async def _catch_up_with(self, peer: str) -> int:
        asker = SyncAsker(self._records.counting)
        ask: SyncAsk | None = asker.first()
        taken = 0
        while ask is not None:
            raw = await self._rpc.call(peer, SYNC, write_message(ask), CALL_TIMEOUT_S)
            answer = read_message(raw, SYNC_ANSWERS)
            if isinstance(answer, NoAnswer):
                raise Refused(Reason.STALE, f"{peer} does not sync: {answer.detail}")
            if not isinstance(answer, SyncBuckets | SyncListing | SyncRecords):
                raise Refused(Reason.MALFORMED, f"{peer} answered sync with something else")
            step = asker.handle(answer)
            if step.records:
                if await self._records.accept(step.records):
                    raise Refused(Reason.BAD_SIGNATURE, "records that are malformed or forged")
                taken += len(step.records)
            ask = step.ask
        return taken

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
                    summary, elements = await self._fetch_set(source, owner)
                    changed = self._book.on_snapshot(owner, summary, elements, trio.current_time())
                except (NetError, Refused) as error:
                    log.debug("holdings of %s from %s: %s", owner, source, error)
                    continue
                self._on_holders(changed)
                return True
        return False

    async def _fetch_set(self, source: str, owner: PeerId) -> tuple[HoldingsSummary, list[Element]]:
        elements: list[Element] = []
        cursor = 0
        at: tuple[int, int] | None = None
        for _ in range(MAX_PAGES):
            ask = HoldingsAsk(owner=owner, cursor=cursor, at=at)
            page = read_message(await self._rpc.call(source, SYNC, write_message(ask), CALL_TIMEOUT_S), SYNC_ANSWERS)
            if isinstance(page, NoAnswer):
                raise page.refused()
            if not isinstance(page, HoldingsPage) or page.statement is None:
                raise Refused(Reason.STALE, f"{source} does not know the holdings of {owner}")
            summary, signer = open_summary(page.statement)
            if signer != owner:
                raise Refused(Reason.BAD_SIGNATURE, f"holdings of {owner} signed by {signer}")
            at = at or summary.order
            elements += page.elements
            if max(summary.count, len(elements)) > self._records.most_held:
                raise Refused(Reason.TOO_LARGE, f"{owner} says that it holds {summary.count} roots")
            if page.next_cursor is None:
                return summary, elements
            if page.next_cursor <= cursor:
                raise Refused(Reason.MALFORMED, "holdings that do not go on")
            cursor = page.next_cursor
        raise Refused(Reason.TOO_LARGE, f"holdings of {owner} in more than {MAX_PAGES} pages")

    # answering

    async def _answer(self, peer_id: str, body: bytes) -> bytes:
        try:
            ask = read_message(body, SYNC_ASKS)
        except Refused as error:
            raise RpcRefused("malformed", str(error)) from error
        if isinstance(ask, HoldingsAsk):
            return write_message(self._page(ask))
        if isinstance(ask, LastHeardAsk):
            return write_message(self._last_heard(peer_id))
        if isinstance(ask, SyncCompare | SyncList | SyncWant):
            return write_message(answer_sync(self._records.counting, ask))
        raise RpcRefused("unknown", "not a question of this version")

    def _page(self, ask: HoldingsAsk) -> HoldingsPage | NoAnswer:
        known = self._statement_of(ask.owner)
        if known is None:
            return HoldingsPage()
        statement, elements = known
        if ask.at is not None and open_summary(statement)[0].order != ask.at:
            return NoAnswer(reason=Reason.STALE, detail="the set has changed since the first page")
        page = _page_of(elements, ask.cursor)
        after = ask.cursor + len(page)
        return HoldingsPage(
            statement=statement, elements=tuple(page), next_cursor=after if after < len(elements) else None
        )


def _page_of(elements: list[Element], cursor: int) -> list[Element]:
    """The elements from `cursor` on that fit a page."""
    page: list[Element] = []
    room = PAGE_BYTES
    for element in islice(elements, cursor, None):
        room -= len(element.root) + len(element.kind) + ELEMENT_OVERHEAD_BYTES
        if room < 0:
            break
        page.append(element)
    return page
