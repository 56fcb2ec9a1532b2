"""When a peer that has just started begins to learn from another: as soon as one is reached, not at the next look."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from node.swarm.catching_up import LOOK_S, CatchingUp
from protocol.net.errors import Unreachable
from protocol.recordset import RecordSet


class NobodyAnswers:
    """Calls that fail, and when they were made."""

    def __init__(self) -> None:
        self.at_s: list[float] = []

    async def call(self, peer: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
        self.at_s.append(trio.current_time())
        raise Unreachable(peer)


@pytest.mark.parametrize("told", [True, False])
async def test_a_member_that_is_connected_is_asked_at_once_where_that_is_told(
    told: bool, autojump_clock: MockClock
) -> None:
    rpc: Any = NobodyAnswers()
    book: Any = SimpleNamespace(lagging=lambda now_s: ())
    records: Any = SimpleNamespace(counting=RecordSet(bytes(32)), refusals=None)
    reachable: set[str] = set()

    async def offence(peer: str) -> None:
        raise AssertionError(peer)

    catching_up = CatchingUp(
        rpc, records, book, reachable=lambda: frozenset(reachable),
        on_holders=lambda _: None, on_offence=offence,
    )  # fmt: skip
    catching_up.trigger.ask_anyone()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(catching_up.run)
        await trio.sleep(LOOK_S / 4)
        reachable.add("ada")
        connected_s = trio.current_time()
        if told:
            catching_up.look_soon()
        await trio.sleep(2 * LOOK_S)
        nursery.cancel_scope.cancel()
    [asked_s] = rpc.at_s
    assert (asked_s - connected_s < LOOK_S / 4) == told
