"""Who asks on and on to compare records leaves this peer time for everything else."""

from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

import trio
from trio.testing import MockClock

from node.swarm import sync_answers
from node.swarm.sync_answers import REST, SyncAnswers
from protocol.holdings_messages import LastHeardAnswer
from protocol.messages import write_message
from protocol.recordset import RecordSet
from protocol.sync_messages import SyncCompare, SyncRanges

TAKES_S = 0.1
ASKS = 8


class Registered:
    answer: Callable[[str, bytes], Awaitable[bytes]]

    def register(self, protocol: str, answer: Callable[[str, bytes], Awaitable[bytes]], **_: Any) -> None:
        self.answer = answer


async def test_an_asker_rests_longer_than_it_was_answered_and_nobody_else_waits_for_it(
    autojump_clock: MockClock,
) -> None:
    rpc: Any = Registered()
    SyncAnswers(rpc, RecordSet(bytes(32)), stated=lambda _: None, last_heard=lambda *_: LastHeardAnswer())
    ended_s: dict[str, float] = {}
    begun_s = trio.current_time()

    def compare(*_: Any) -> SyncRanges:
        autojump_clock.jump(TAKES_S)
        return SyncRanges()

    async def ask(peer: str) -> None:
        await rpc.answer(peer, write_message(SyncCompare(ranges=b"\x41\xff" + bytes(16))))
        ended_s[peer] = trio.current_time() - begun_s

    with patch.object(sync_answers, "answer_compare", compare):
        async with trio.open_nursery() as nursery:
            for _ in range(ASKS):
                nursery.start_soon(ask, "eve")
            nursery.start_soon(ask, "ada")
    assert ended_s["eve"] >= ASKS * TAKES_S + (ASKS - 1) * REST * TAKES_S - 1e-6
    assert ended_s["ada"] <= 3 * TAKES_S
