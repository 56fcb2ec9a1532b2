"""Hosts find, talk to and leave each other."""

from protocol.net.streams import Stream
from tests.net.hosts import hosts


async def echo(peer_id: str, stream: Stream) -> None:
    while (frame := await stream.read_frame(1 << 20)) is not None:
        await stream.write_frame(frame)


async def test_a_stream_carries_frames_both_ways() -> None:
    async with hosts(2) as (a, b):
        b.handle("/test/echo/1", echo)
        stream = await a.open_stream(b.peer_id, ["/test/none/1", "/test/echo/1"], 5)
        assert stream.protocol == "/test/echo/1"
        for body in (b"", b"x", bytes(300_000)):
            await stream.write_frame(body)
            assert await stream.read_frame(1 << 20) == body
        await stream.close_write()
        assert await stream.read_frame(10) is None
        await stream.close()
