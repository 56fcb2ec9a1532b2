"""Streams on one connection must not be able to harm it: cut writes, abandoned openings, greedy senders."""

import socket
import struct
from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.stream_muxer.yamux.yamux import TYPE_DATA, YAMUX_HEADER_FORMAT

from protocol.net.host import Host
from protocol.net.sockets import socket_stream
from protocol.net.streams import Stream
from tests.net.hosts import eventually, hosts
from tests.net.test_host import echo

ECHO = "/test/echo/1"


def muxed(host: Host, peer: Host) -> Any:
    connection = host.connections.best(peer.peer_id)
    assert connection is not None
    return connection.muxed_conn


async def echoes(a: Host, b: Host) -> bool:
    stream = await a.open_stream(b.peer_id, [ECHO], 10)
    await stream.write_frame(b"alive")
    answer = await stream.read_frame(100)
    await stream.close()
    return answer == b"alive"


async def test_a_write_cut_by_a_deadline_costs_no_connection() -> None:
    async with hosts(2) as (a, b):
        b.handle(ECHO, echo)

        async def swallow(peer_id: str, stream: Stream) -> None:
            while await stream.read_some():
                pass

        b.handle("/test/swallow/1", swallow)
        connection = muxed(a, b)
        below = socket_stream(connection)
        assert below is not None
        below.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for turns in range(30):
            stream = await a.open_stream(b.peer_id, ["/test/swallow/1"], 10)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.write, bytes(200_000))
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            await stream.close()
            assert muxed(a, b) is connection
        assert await echoes(a, b)
        assert muxed(a, b) is connection


async def test_an_abandoned_opening_gives_its_place_back() -> None:
    async with hosts(2) as (a, b):
        b.handle(ECHO, echo)
        connection = muxed(a, b)
        await eventually(lambda: not connection.streams)
        free = connection.stream_backlog_semaphore.value
        async with connection._write_lock, trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(connection.open_stream)
            await eventually(lambda: len(connection.streams) == 5)
            nursery.cancel_scope.cancel()
        await eventually(lambda: connection.stream_backlog_semaphore.value == free)
        assert not connection.streams
        assert await echoes(a, b)


async def test_sending_beyond_the_granted_window_costs_the_connection() -> None:
    async with hosts(2) as (a, b):

        async def never_reads(peer_id: str, stream: Stream) -> None:
            await trio.sleep_forever()

        b.handle("/test/deaf/1", never_reads)
        stream = await a.open_stream(b.peer_id, ["/test/deaf/1"], 10)
        greedy = stream._stream.muxed_stream
        body = bytes(64 * 1024)
        frame = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, greedy.stream_id, len(body)) + body
        with trio.fail_after(20):
            while b.connected():
                try:
                    await greedy.conn._write_frame(frame)
                except BaseLibp2pError:
                    break
                assert sum(map(len, muxed(b, a).stream_buffers.values()) if b.connected() else []) < 4 << 20
        await eventually(lambda: not b.connected())


async def test_reading_bytes_one_by_one_sends_no_window_update_for_each() -> None:
    async with hosts(2) as (a, b):
        b.handle(ECHO, echo)
        stream = await a.open_stream(b.peer_id, [ECHO], 10)
        await stream.write_frame(bytes(2000))
        below = stream._stream.muxed_stream
        sent: list[int] = []
        send_window_update = below.send_window_update

        async def counted(increment: int, skip_lock: bool = False) -> None:
            sent.append(increment)
            await send_window_update(increment, skip_lock)

        below.send_window_update = counted
        for _ in range(2000):
            assert len(await below.read(1)) == 1
        assert len(sent) < 5


async def test_a_large_body_still_gets_its_window() -> None:
    async with hosts(2) as (a, b):
        b.handle(ECHO, echo)
        stream = await a.open_stream(b.peer_id, [ECHO], 10)
        body = bytes(1 << 20)
        for _ in range(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.write_frame, body)
                assert await stream.read_frame(1 << 20) == body
