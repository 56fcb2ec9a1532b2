"""Peers in one process, joined by pipes instead of libp2p: what the Bitswap tests run on."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from protocol.net.bitswap import Bitswap
from protocol.net.bitswap_cid import write_varint
from protocol.net.bitswap_stream import Stream
from protocol.net.errors import FrameTooLarge, StreamEnded, Unreachable
from protocol.net.streams import Hold

PIPE_BYTES = 256 << 10
Handler = Callable[[str, Stream], Awaitable[None]]


def raw_cid(block: bytes) -> bytes:
    return b"\x01\x55\x12\x20" + hashlib.sha256(block).digest()


def make_blocks(count: int, size_bytes: int = 1000) -> dict[bytes, bytes]:
    blocks = [index.to_bytes(8, "big") * (size_bytes // 8) for index in range(count)]
    return {raw_cid(block): block for block in blocks}


class Pipe:
    """One direction of a stream; a writer waits once `PIPE_BYTES` are unread."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.ended = self.broken = False
        self.changed = trio.lowlevel.ParkingLot()

    def wake(self) -> None:
        self.changed.unpark_all()


class PipeStream:
    """One end of a stream."""

    def __init__(self, incoming: Pipe, outgoing: Pipe) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    async def write(self, body: bytes) -> None:
        for start in range(0, len(body), PIPE_BYTES):
            while len(self.outgoing.held) >= PIPE_BYTES and not self.outgoing.broken:
                await self.outgoing.changed.park()
            await trio.lowlevel.checkpoint()
            if self.outgoing.broken or self.outgoing.ended:
                raise StreamEnded("reset")
            self.outgoing.held += body[start : start + PIPE_BYTES]
            self.outgoing.wake()

    async def read_exactly(self, size_bytes: int) -> bytes | None:
        taken = bytearray()
        while len(taken) < size_bytes:
            while not self.incoming.held:
                if self.incoming.broken:
                    raise StreamEnded("reset")
                if self.incoming.ended:
                    if taken:
                        raise StreamEnded("early end")
                    return None
                await self.incoming.changed.park()
            part = self.incoming.held[: size_bytes - len(taken)]
            del self.incoming.held[: len(part)]
            taken += part
            self.incoming.wake()
        return bytes(taken)

    async def read_frame(self, max_bytes: int, hold: Hold | None = None) -> bytes | None:
        length = shift = 0
        while True:
            byte = await self.read_exactly(1)
            if byte is None:
                return None
            length |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                break
        if length > max_bytes:
            raise FrameTooLarge("too large")
        return await self.read_exactly(length) if length else b""

    async def close(self) -> None:
        self.outgoing.ended = True
        self.outgoing.wake()

    async def reset(self) -> None:
        for pipe in (self.incoming, self.outgoing):
            pipe.broken = True
            pipe.held.clear()
            pipe.wake()


class PipeHost:
    """A host whose peers are in the same process."""

    def __init__(self, net: "PipeNet", peer_id: str) -> None:
        self.net = net
        self.peer_id = peer_id
        self.handlers: dict[str, Handler] = {}
        self.peers: set[str] = set()
        self.streams: list[tuple[str, PipeStream]] = []
        self.opened_count = 0
        self.disconnected: list[str] = []
        self.on_disconnected: list[Callable[[str], None]] = []

    def handle(self, protocol: str, handler: Handler) -> None:
        self.handlers[protocol] = handler

    async def open_stream(self, peer_id: str, protocols: Sequence[str], timeout_s: float) -> PipeStream:
        await trio.lowlevel.checkpoint()
        if peer_id not in self.peers:
            raise Unreachable(f"{peer_id} is not connected")
        self.opened_count += 1
        there, back = Pipe(), Pipe()
        other = self.net.hosts[peer_id]
        mine, theirs = PipeStream(back, there), PipeStream(there, back)
        self.streams.append((peer_id, mine))
        other.streams.append((self.peer_id, theirs))
        self.net.nursery.start_soon(other.handlers[protocols[0]], self.peer_id, theirs)
        return mine

    def connected(self) -> set[str]:
        return self.peers

    async def disconnect(self, peer_id: str) -> None:
        self.disconnected.append(peer_id)
        await self.net.part(self.peer_id, peer_id)


class PipeNet:
    """The hosts, and who is connected with whom."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.hosts: dict[str, PipeHost] = {}

    def host(self, peer_id: str) -> PipeHost:
        host = self.hosts[peer_id] = PipeHost(self, peer_id)
        for other in self.hosts.values():
            if other is not host:
                other.peers.add(peer_id)
                host.peers.add(other.peer_id)
        return host

    async def part(self, one: str, other: str) -> None:
        for mine, theirs in ((one, other), (other, one)):
            host = self.hosts[mine]
            host.peers.discard(theirs)
            for peer_id, stream in host.streams:
                if peer_id == theirs:
                    await stream.reset()
            for callback in host.on_disconnected:
                callback(theirs)

    async def peer(self, peer_id: str, blocks: dict[bytes, bytes] | None = None, **options: object) -> "Peer":
        peer = Peer(self.host(peer_id), {} if blocks is None else blocks, **options)
        await self.nursery.start(peer.bitswap.run)
        return peer


class Peer:
    """A Bitswap engine over a dictionary of blocks."""

    def __init__(self, host: PipeHost, blocks: dict[bytes, bytes], **options: object) -> None:
        self.host = host
        self.blocks = blocks
        self.loads_count = 0
        self.loading_paused: trio.Event | None = None
        options = {"may_serve": lambda _: True, **options}
        self.bitswap = Bitswap(host, get_block=self.get_block, block_size=self.block_size, **options)  # type: ignore[arg-type]

    async def get_block(self, cid: bytes) -> bytes | None:
        self.loads_count += 1
        await trio.lowlevel.checkpoint()
        return self.blocks.get(cid)

    def block_size(self, cid: bytes) -> int | None:
        return len(self.blocks[cid]) if cid in self.blocks else None


@asynccontextmanager
async def pipe_net() -> AsyncIterator[PipeNet]:
    async with trio.open_nursery() as nursery:
        yield PipeNet(nursery)
        nursery.cancel_scope.cancel()


async def send_raw(host: PipeHost, peer_id: str, body: bytes) -> PipeStream:
    """Open a stream and write one framed message, whatever it is."""
    stream = await host.open_stream(peer_id, ["/ipfs/bitswap/1.2.0"], 1)
    await stream.write(write_varint(len(body)) + body)
    return stream


async def until(condition: Callable[[], bool]) -> None:
    """Poll on the test's virtual clock; fails after a virtual minute."""
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.1)
