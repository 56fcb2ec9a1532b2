"""With whom a peer syncs: with everybody in turn, though it fails with some."""

from collections import Counter
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from node.swarm.catching_up import CALL_TIMEOUT_S, CatchingUp
from protocol.errors import Reason
from protocol.limits import SYNC_EVERY_S
from protocol.messages import NoAnswer, write_message
from protocol.net.errors import RpcTimeout, Unreachable
from protocol.recordset import RecordSet
from protocol.sync_messages import SyncRanges

ROUNDS = 20


async def _unreachable() -> bytes:
    raise Unreachable("bob")


async def _refuses() -> bytes:
    return write_message(NoAnswer(reason=Reason.STALE, detail="not now"))


async def _is_silent() -> bytes:
    await trio.sleep(CALL_TIMEOUT_S)
    raise RpcTimeout("bob")


@pytest.mark.parametrize("fails", [_unreachable, _refuses, _is_silent])
async def test_a_peer_with_whom_it_fails_each_time_keeps_nobody_else_out(
    fails: Callable[[], Awaitable[bytes]], autojump_clock: MockClock
) -> None:
    begun: Counter[str] = Counter()

    async def call(peer: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
        begun[peer] += 1
        return await fails() if peer == "bob" else write_message(SyncRanges(ranges=b"\x01\xff"))  # nothing differs

    async def offence(peer: str) -> None:
        raise AssertionError(peer)

    rpc: Any = SimpleNamespace(call=call)
    book: Any = SimpleNamespace(lagging=lambda now_s: ())
    records: Any = SimpleNamespace(counting=RecordSet(bytes(32)))
    catching_up = CatchingUp(
        rpc, records, book, reachable=lambda: frozenset({"ada", "bob"}), on_holders=lambda _: None, on_offence=offence
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(catching_up.run)
        for _ in range(ROUNDS):
            for peer in ("ada", "bob"):  # what each has stays another than what is here
                for _ in range(2):
                    catching_up.trigger.on_beat(peer, bytes(32), bytes([1]) * 32, trio.current_time())
            await trio.sleep(SYNC_EVERY_S + CALL_TIMEOUT_S)
        nursery.cancel_scope.cancel()
    assert begun["ada"] >= ROUNDS // 3
    assert begun["bob"] >= ROUNDS // 3
