"""What no implementation of Yamux, multistream or our own calls would send costs the sender its connection, and no memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from protocol.identity import KeyPair
from protocol.net import streams
from protocol.net.bitswap import Bitswap
from protocol.net.bitswap_inbox import PEER_BYTES
from protocol.net.errors import MALFORMED, RpcRefused
from protocol.net.host import Host
from protocol.net.rpc import Rpc
from tests.hostile.client import (
    ACK,
    DATA,
    FIN,
    PING,
    SYN,
    WINDOW_UPDATE,
    Client,
    CutOff,
    connected,
    data_frames,
    dialled,
    frame,
    selecting,
    varint,
)
from tests.hostile.membership import call, port_of
from tests.net.hosts import DEADLINE_S, eventually, make_host, running
from tests.net.test_host import echo
from tests.net.test_muxer import ECHO, echoes

HOSTILE = KeyPair(b"h" * 32)
BITSWAP = "/ipfs/bitswap/1.2.0"


@asynccontextmanager
async def attacked() -> AsyncIterator[tuple[Host, Host, Client]]:
    """A host, a friend of it, and a hostile member; at the end the friend must be served as before."""
    victim, friend = make_host(1), make_host(2)
    victim.handle(ECHO, echo)
    async with running(victim), running(friend):
        await friend.connect(victim.peer_id, victim.addrs, DEADLINE_S)
        async with dialled(port_of(victim.addrs), HOSTILE) as client:
            await client.ping()
            yield victim, friend, client
        assert friend.connected() == {victim.peer_id}
        assert await echoes(friend, victim)


async def is_cut(client: Client) -> None:
    with trio.fail_after(DEADLINE_S):
        await client.cut.wait()


SENSELESS = {
    "version": frame(DATA, SYN, 101, 0, version=1),
    "type": frame(9, 0, 0, 0),
    "flags": frame(DATA, 0x40, 101, 0),
    "stream-0": frame(DATA, SYN, 0, 0),
    "id-of-ours": frame(DATA, SYN, 100, 0),
    "twice": frame(WINDOW_UPDATE, SYN, 101, 0) * 2,
    "no-window": frame(DATA, 0, 101, 16 << 20),
    "window-at-once": frame(DATA, SYN, 101, 300 << 10),
    "window-overflow": frame(WINDOW_UPDATE, SYN, 101, 0) + frame(WINDOW_UPDATE, 0, 101, (1 << 32) - 1) * 2,
    "ping-in-a-stream": frame(PING, SYN, 101, 1),
}


@pytest.mark.parametrize("sent", SENSELESS.values(), ids=SENSELESS)
async def test_a_frame_that_makes_no_sense_costs_the_connection(sent: bytes) -> None:
    async with attacked() as (_, _, client):
        await client.write(sent)
        await is_cut(client)


async def test_frames_that_make_sense_do_not() -> None:
    async with attacked() as (_, _, client):
        opened = frame(WINDOW_UPDATE, SYN, 101, 1000) + b"".join(data_frames(101, selecting(ECHO), 0, 0))
        await client.write(opened + frame(WINDOW_UPDATE, ACK, 99, 5) + frame(DATA, FIN, 97, 0) + frame(PING, ACK, 0, 7))
        await client.ping()


@pytest.mark.parametrize(
    "sent",
    [varint(1 << 20) + bytes(100), b"\xff" * 20, b"\x04\xff\xfe\xfd\n", b"\x03abc"],
    ids=["overlong", "no-length", "no-text", "no-line"],
)
async def test_a_negotiation_that_is_none_costs_the_connection(sent: bytes) -> None:
    async with attacked() as (victim, _, client):
        await client.write(b"".join(data_frames(client.new_stream(), sent, SYN, 0)))
        with trio.fail_after(4):  # before the negotiation's own time is over
            await client.cut.wait()
        bare = await connected(port_of(victim.addrs))
        with trio.fail_after(4):
            await bare.send_all(sent)
            try:
                while await bare.receive_some(1024):
                    pass
            except trio.BrokenResourceError:
                pass
            await bare.aclose()


async def test_streams_beyond_what_one_peer_may_have_are_refused_and_in_the_end_cost_the_connection() -> None:
    async with attacked() as (victim, _, client):
        opening = b"".join(client.opening(ECHO)[1] for _ in range(40))
        await client.write(opening)
        await client.ping()
        assert max(victim.gate._streams_of.values()) == victim.gate._limits.streams_per_protocol
        with pytest.raises(CutOff):
            for _ in range(40):
                await client.write(b"".join(client.opening(ECHO)[1] for _ in range(40)))
                await client.ping()


class Questions:
    """Calls of one peer, counted while they are answered."""

    def __init__(self, host: Host) -> None:
        self.begun = 0
        Rpc(host).register(
            "/test/calls/1", self._answer, max_request_bytes=64, max_response_bytes=1 << 20, concurrency=4
        )

    async def _answer(self, peer_id: str, body: bytes) -> bytes:
        if body == b"bad":
            raise RpcRefused(MALFORMED, "no honest peer asks this")
        self.begun += 1
        return bytes(1 << 20)


async def test_who_reads_no_answers_is_given_no_more_of_them() -> None:
    victim = make_host(1)
    questions = Questions(victim)
    async with running(victim), dialled(port_of(victim.addrs), HOSTILE) as client:
        client.grants_windows = False
        stream = await client.open("/test/calls/1", b"".join(call(n, b"what") for n in range(1000)))
        await eventually(lambda: questions.begun == 4)
        for _ in range(3):
            await client.send(stream, b"".join(call(n, b"what") for n in range(100)))
            await trio.sleep(0.1)
        assert questions.begun == 4


async def test_what_no_honest_peer_asks_costs_the_connection() -> None:
    async with attacked() as (victim, _, client):
        Questions(victim)
        await client.open("/test/calls/1", call(1, b"good") + call(2, b"bad"))
        await is_cut(client)


async def test_large_messages_that_never_end_hold_a_bounded_room_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "FRAME_S", 1.0)

    async def get_block(_: bytes) -> bytes | None:
        return None

    async with attacked() as (victim, _, client), trio.open_nursery() as nursery:
        bitswap = Bitswap(victim, get_block=get_block, block_size=lambda _: None, may_serve=lambda _: True)
        await nursery.start(bitswap.run)
        body = varint(2 << 20) + bytes(200_000)
        for _ in range(2 * PEER_BYTES // (2 << 20)):
            await client.open(BITSWAP, body)
        await is_cut(client)
        nursery.cancel_scope.cancel()
