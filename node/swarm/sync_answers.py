"""Answer others over `/pinakothek/sync/1`: what counts here, whose holdings are known here, and what was last heard.

Nothing is kept for an asker. A set of holdings is put in order when somebody asks for it, in a thread, and the last few
are kept for whoever asks next; so an asker can finish with the set that it began with although that has changed.
"""

import math
from collections.abc import Callable
from functools import partial

import trio

from node.swarm.names import SYNC
from protocol.errors import Reason, Refused
from protocol.holdings import ElementSet
from protocol.holdings_messages import Element, LastHeardAnswer, LastHeardAsk
from protocol.limits import PAGE_BYTES, SYNC_RANGES_PER_ASK
from protocol.messages import SYNC_ASKS, NoAnswer, read_message, write_message
from protocol.net.errors import MALFORMED, RpcRefused
from protocol.net.rpc import Rpc
from protocol.ordered import FINGERPRINT_BYTES, OrderedSet
from protocol.places import PLACE_BYTES, element_digest, element_place
from protocol.recordset import RecordSet
from protocol.sync import SyncAsk, answer_compare, answer_elements, answer_records
from protocol.sync_messages import (
    HoldingsAt,
    SyncCompare,
    SyncElements,
    SyncFetch,
    SyncRanges,
    SyncRecords,
    SyncWant,
)

MAX_REQUEST_BYTES = SYNC_RANGES_PER_ASK * (1 + PLACE_BYTES + FINGERPRINT_BYTES) + 4096
MAX_RESPONSE_BYTES = PAGE_BYTES + 16 * 1024
CONCURRENCY = 12
"""Of one asker: its records, some sets of holdings, and what was last heard."""
REST = 3.0
"""Comparing records of a large swarm takes 100 ms of everybody's time, whatever the question: so much longer than its last
comparison took an asker waits for its next, and one that asks on and on takes a quarter. Guess."""
LONGEST_REST_S = 2.0
"""A machine that is busy for another reason must not let honest askers run out of time."""
SETS_KEPT = 4
FRESH_S = 5.0
"""So long a set is given to those who begin, before it is put in order anew: deltas bring the rest. Guess."""

Stated = tuple[tuple[int, int], bytes, ElementSet]
"""(epoch, seq), what the owner has signed of them, and the set."""


class SyncAnswers:
    """The answering side.

    Args:
        stated: of a member, its newest signed statement of its holdings with the set it is about; None where they are
            not known to match.
        withheld: why nobody is to take over our records now, or "".
        last_heard: what this peer has last heard of another, by what that one asks.
    """

    def __init__(
        self,
        rpc: Rpc,
        counting: RecordSet,
        *,
        stated: Callable[[str], Stated | None],
        last_heard: Callable[[str, LastHeardAsk], LastHeardAnswer],
        withheld: Callable[[], str] = lambda: "",
    ) -> None:
        self._withheld = withheld
        self._counting = counting
        self._last_heard = last_heard
        self._sets = OrderedHoldings(stated)
        self._comparing: dict[str, trio.Lock] = {}
        self._rested_s: dict[str, float] = {}
        rpc.register(
            SYNC,
            self._answer,
            max_request_bytes=MAX_REQUEST_BYTES,
            max_response_bytes=MAX_RESPONSE_BYTES,
            concurrency=CONCURRENCY,
        )

    async def _answer(self, peer_id: str, body: bytes) -> bytes:
        try:
            ask = read_message(body, SYNC_ASKS)
            if isinstance(ask, LastHeardAsk):
                return write_message(self._last_heard(peer_id, ask))
            if not isinstance(ask, SyncCompare | SyncWant | SyncFetch):
                raise RpcRefused("unknown", "not a question of this version")
            if ask.of is not None:
                return write_message(await self._of_holdings(ask, ask.of))
            return write_message(await self._of_records(peer_id, ask))
        except Refused as error:
            raise RpcRefused(MALFORMED, str(error)) from error

    async def _of_records(self, peer_id: str, ask: SyncAsk) -> SyncRanges | SyncRecords | NoAnswer:
        if withheld := self._withheld():
            return NoAnswer(reason=Reason.STALE, detail=withheld)
        if isinstance(ask, SyncCompare):
            return await self._compared(peer_id, ask)
        return answer_records(self._counting.tally, ask)

    async def _compared(self, peer_id: str, ask: SyncCompare) -> SyncRanges:
        async with self._comparing.setdefault(peer_id, trio.Lock()):
            await trio.sleep_until(self._rested_s.get(peer_id, -math.inf))
            begun_s = trio.current_time()
            answer = answer_compare(self._counting.tally, ask)
            ended_s = trio.current_time()
            self._rested_s[peer_id] = ended_s + min(LONGEST_REST_S, REST * (ended_s - begun_s))
            return answer

    async def _of_holdings(self, ask: SyncAsk, of: HoldingsAt) -> SyncRanges | SyncElements | NoAnswer:
        found = await self._sets.find(of)
        if found is None:
            return SyncRanges() if of.at is None else NoAnswer(reason=Reason.STALE, detail="the set has changed")
        statement, ours = found
        if isinstance(ask, SyncCompare):
            first = statement if of.at is None else None
            return await trio.to_thread.run_sync(answer_compare, ours, ask, first)
        return await trio.to_thread.run_sync(answer_elements, ours, ask)


class OrderedHoldings:
    """The last few sets of holdings that were asked for, in order."""

    def __init__(self, stated: Callable[[str], Stated | None]) -> None:
        self._stated = stated
        self._kept: dict[HoldingsAt, tuple[float, bytes, OrderedSet[Element]]] = {}  # the one asked for last at the end
        self._turn = trio.Lock()

    async def find(self, of: HoldingsAt) -> tuple[bytes, OrderedSet[Element]] | None:
        """The set at that moment, or the present one, with its owner's statement; None where it is not known (now)."""
        if of.at is not None:
            return self._again(of)
        async with self._turn:
            fresh_s = trio.current_time() - FRESH_S
            for known, (since_s, _, _) in self._kept.items():
                if known.owner == of.owner and since_s > fresh_s:
                    return self._again(known)
            stated = self._stated(of.owner)
            if stated is None:
                return None
            order, statement, held = stated
            known = HoldingsAt(of.owner, order)
            if known not in self._kept:
                make = partial(OrderedSet, element_place, element_digest, list(held.elements))
                self._kept[known] = (trio.current_time(), statement, await trio.to_thread.run_sync(make))
                while len(self._kept) > SETS_KEPT:
                    del self._kept[next(iter(self._kept))]
            return self._again(known)

    def _again(self, known: HoldingsAt) -> tuple[bytes, OrderedSet[Element]] | None:
        kept = self._kept.pop(known, None)
        if kept is None:
            return None
        self._kept[known] = kept
        return kept[1:]
