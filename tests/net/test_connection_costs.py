"""Bytes in bulk cross a connection in few, large steps."""

import pytest
import trio
from libp2p.io.trio import TrioTCPStream

from protocol.net.streams import Stream
from tests.net.hosts import hosts

BULK_BYTES = 4 << 20


class Crossing:
    """What the sockets of both ends were asked to read and write while the bulk crossed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read_bytes: list[int | None] = []
        self.written_bytes: list[int] = []
        write, read = TrioTCPStream.write, TrioTCPStream.read

        async def counted_write(stream: TrioTCPStream, body: bytes) -> None:
            self.written_bytes.append(len(body))
            await write(stream, body)

        async def counted_read(stream: TrioTCPStream, n: int | None = None) -> bytes:
            self.read_bytes.append(n)
            return bytes(await read(stream, n))

        monkeypatch.setattr(TrioTCPStream, "write", counted_write)
        monkeypatch.setattr(TrioTCPStream, "read", counted_read)

    async def run(self) -> None:
        arrived = trio.Event()
        got = bytearray()

        async def take(peer_id: str, stream: Stream) -> None:
            while chunk := await stream.read_some():
                got.extend(chunk)
            arrived.set()

        content = bytes(range(256)) * (BULK_BYTES // 256)
        async with hosts(2) as (sender, receiver):
            receiver.handle("/bulk/1", take)
            stream = await sender.open_stream(receiver.peer_id, ["/bulk/1"], 10)
            self.read_bytes.clear()
            self.written_bytes.clear()
            await stream.write(content)
            await stream.close()
            with trio.fail_after(20):
                await arrived.wait()
            assert got == content


async def test_the_length_of_a_message_is_not_read_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    crossing = Crossing(monkeypatch)
    await crossing.run()
    assert 2 not in crossing.read_bytes


async def test_a_frame_does_not_spill_into_a_second_message(monkeypatch: pytest.MonkeyPatch) -> None:
    crossing = Crossing(monkeypatch)
    await crossing.run()
    large = sum(size > 60_000 for size in crossing.written_bytes)
    spilt = sum(30 < size < 40 for size in crossing.written_bytes)
    assert large > 50
    assert spilt < large / 2
