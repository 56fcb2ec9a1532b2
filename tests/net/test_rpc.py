"""Calls between peers: many at once, bounded, and failing in ways that name the reason."""

import pytest
import trio

from protocol.net.errors import MessageTooLarge, RpcFailed, RpcRefused, RpcTimeout
from protocol.net.rpc import Rpc
from protocol.net.rpc_frames import Call, call_frame
from protocol.net.streams import Stream, framed
from tests.net.hosts import connect_all, eventually, make_host, running

ECHO = "/test/echo/1"
LARGEST_BYTES = 4 << 20


class Pair:
    """Two connected hosts with the same protocol; b's handler can be told to wait."""

    def __init__(self) -> None:
        self.a, self.b = make_host(1), make_host(2)
        self.rpc_a, self.rpc_b = Rpc(self.a), Rpc(self.b)
        self.hold = trio.Event()
        self.hold.set()
        self.waiting = 0
        self.rpc_a.register(ECHO, self.echo, **limits())
        self.rpc_b.register(ECHO, self.echo, **limits())

    async def echo(self, peer_id: str, body: bytes) -> bytes:
        if body == b"refuse":
            raise RpcRefused("policy", "not today")
        if body == b"bug":
            raise KeyError("a bug")
        if body == b"too much":
            return bytes(LARGEST_BYTES + 1)
        if body.startswith(b"wait"):
            self.waiting += 1
            try:
                await self.hold.wait()
            finally:
                self.waiting -= 1
        return body


def limits() -> dict[str, int]:
    return {"max_request_bytes": LARGEST_BYTES, "max_response_bytes": LARGEST_BYTES, "concurrency": 4}


async def test_answers_come_back_to_their_callers() -> None:
    pair = Pair()
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        answers: dict[int, bytes] = {}

        async def ask(number: int) -> None:
            async with limiter:
                answers[number] = await pair.rpc_a.call(pair.b.peer_id, ECHO, b"%d" % number, 10)

        limiter = trio.CapacityLimiter(4)
        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(ask, number)
        assert answers == {number: b"%d" % number for number in range(200)}
        connection = pair.b.connections.best(pair.a.peer_id)
        assert connection is not None
        assert len(connection.muxed_conn.streams) == 1
        assert await pair.rpc_b.call(pair.a.peer_id, ECHO, b"back", 10) == b"back"


async def test_bodies_up_to_the_limit_pass_and_larger_ones_are_refused() -> None:
    pair = Pair()
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        body = bytes(range(256)) * (LARGEST_BYTES // 256)
        assert await pair.rpc_a.call(pair.b.peer_id, ECHO, body, 30) == body
        with pytest.raises(MessageTooLarge):
            await pair.rpc_a.call(pair.b.peer_id, ECHO, body + b"x", 10)
        with pytest.raises(RpcRefused, match="too large"):
            await pair.rpc_a.call(pair.b.peer_id, ECHO, b"too much", 10)


async def test_refusals_and_bugs_reach_the_caller_as_refusals() -> None:
    pair = Pair()
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        with pytest.raises(RpcRefused) as refused:
            await pair.rpc_a.call(pair.b.peer_id, ECHO, b"refuse", 10)
        assert (refused.value.code, refused.value.detail) == ("policy", "not today")
        with pytest.raises(RpcRefused, match="failed"):
            await pair.rpc_a.call(pair.b.peer_id, ECHO, b"bug", 10)
        assert await pair.rpc_a.call(pair.b.peer_id, ECHO, b"alive", 10) == b"alive"


async def test_a_call_that_times_out_leaves_the_stream_to_the_others() -> None:
    pair = Pair()
    pair.hold = trio.Event()
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        with pytest.raises(RpcTimeout):
            await pair.rpc_a.call(pair.b.peer_id, ECHO, b"wait", 0.2)
        line = pair.rpc_a._lines[pair.b.peer_id, ECHO]
        assert await pair.rpc_a.call(pair.b.peer_id, ECHO, b"next", 10) == b"next"
        assert pair.rpc_a._lines[pair.b.peer_id, ECHO] is line


async def test_a_stream_that_is_stuck_is_given_up_and_the_next_call_has_another() -> None:
    pair = Pair()
    pair.hold = trio.Event()
    pair.rpc_a = Rpc(pair.a, silent_s=0.2)
    pair.rpc_a.register(ECHO, pair.echo, **limits())
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(fails_soon, pair, b"wait %d" % number)
            await eventually(lambda: pair.waiting == 3)
            with pytest.raises(RpcTimeout):
                await pair.rpc_a.call(pair.b.peer_id, ECHO, b"wait too", 0.3)
        await eventually(lambda: pair.waiting == 0)  # b has heard of it: its four places are free again
        for number in range(4):
            assert await pair.rpc_a.call(pair.b.peer_id, ECHO, b"%d" % number, 10) == b"%d" % number


async def test_a_stream_that_is_stuck_is_given_up_by_short_calls_one_after_the_other_too() -> None:
    pair = Pair()
    pair.hold = trio.Event()
    pair.rpc_a = Rpc(pair.a, silent_s=0.3)
    pair.rpc_a.register(ECHO, pair.echo, **limits())
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        assert await pair.rpc_a.call(pair.b.peer_id, ECHO, b"first", 10) == b"first"
        for _ in range(2):
            with pytest.raises(RpcTimeout):
                await pair.rpc_a.call(pair.b.peer_id, ECHO, b"wait", 0.2)
        await eventually(lambda: pair.waiting == 0)
        assert await pair.rpc_a.call(pair.b.peer_id, ECHO, b"last", 10) == b"last"


async def fails_soon(pair: Pair, body: bytes) -> None:
    with pytest.raises(RpcFailed, match="no answer for"):
        await pair.rpc_a.call(pair.b.peer_id, ECHO, body, 60)


async def test_calls_beyond_the_concurrency_are_answered_busy() -> None:
    pair = Pair()
    pair.hold = trio.Event()
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(pair.rpc_a.call, pair.b.peer_id, ECHO, b"wait %d" % number, 10)
            await eventually(lambda: pair.waiting == 4)
            with pytest.raises(RpcRefused, match="busy"):
                await pair.rpc_a.call(pair.b.peer_id, ECHO, b"one more", 10)
            pair.hold.set()
        assert await pair.rpc_a.call(pair.b.peer_id, ECHO, b"free again", 10) == b"free again"


async def test_when_the_connection_dies_calls_fail_at_once_and_the_next_opens_another() -> None:
    pair = Pair()
    pair.hold = trio.Event()
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        failures: list[RpcFailed] = []

        async def ask() -> None:
            try:
                await pair.rpc_a.call(pair.b.peer_id, ECHO, b"wait", 1000)
            except RpcFailed as error:
                failures.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await eventually(lambda: pair.waiting == 1)
            await pair.b.disconnect(pair.a.peer_id)
        assert [type(error) for error in failures] == [RpcFailed]
        with pytest.raises(RpcFailed, match="not connected"):
            await pair.rpc_a.call(pair.b.peer_id, ECHO, b"gone", 10)
        await eventually(lambda: not pair.a.connected())
        await connect_all([pair.a, pair.b])
        assert await pair.rpc_a.call(pair.b.peer_id, ECHO, b"again", 10) == b"again"


@pytest.mark.parametrize("garbage", [b"\xff" * 12, framed(b"short"), framed(bytes(LARGEST_BYTES + 9))[:20]])
async def test_a_hostile_call_costs_the_connection(garbage: bytes) -> None:
    pair = Pair()
    async with running(pair.a), running(pair.b):
        await connect_all([pair.a, pair.b])
        stream = await pair.a.open_stream(pair.b.peer_id, [ECHO], 5)
        await stream.write(garbage)
        await eventually(lambda: not pair.b.connected())


async def test_a_hostile_answer_costs_the_connection() -> None:
    a, b = make_host(1), make_host(2)
    rpc = Rpc(a)

    async def unused(peer_id: str, body: bytes) -> bytes:
        return body

    async def lie(peer_id: str, stream: Stream) -> None:
        await stream.read_frame(100)
        await stream.write_frame(b"\0" * 8 + b"\x07")
        await stream.read_some()

    rpc.register(ECHO, unused, **limits())
    b.handle(ECHO, lie)
    async with running(a), running(b):
        await connect_all([a, b])
        with pytest.raises(RpcFailed):
            await rpc.call(b.peer_id, ECHO, b"x", 10)
        await eventually(lambda: not a.connected())


def test_a_call_frame_starts_with_its_number() -> None:
    assert call_frame(Call(number=258, body=b"body")) == b"\0\0\0\0\0\0\x01\x02body"
