"""A libp2p client of its own, made to send what no library would: TCP, multistream, Noise XX and Yamux by hand.

It shares no code with the host it attacks but the Noise primitives, speaks each layer well or badly as it is told, and
sees when it is cut off. One `Client` is one connection under one identity.
"""

import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import trio
from noise.connection import Keypair, NoiseConnection

from protocol.identity import KeyPair

DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
HEADER = struct.Struct("!BBHII")
NOISE_PLAIN_BYTES = 65_519
MULTISTREAM = b"\x13/multistream/1.0.0\n"
CONNECT_S = 30.0
ED25519 = b"\x08\x01\x12\x20"


class CutOff(Exception):
    """The other side has closed the connection."""


def varint(value: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(body: bytes) -> bytes:
    """`body` with its length before it."""
    return varint(len(body)) + body


def selecting(protocol: str) -> bytes:
    """What opens a stream for `protocol`: both multistream messages in one go."""
    return MULTISTREAM + delimited(protocol.encode() + b"\n")


def frame(kind: int, flags: int, stream: int, length: int, body: bytes = b"", version: int = 0) -> bytes:
    """A Yamux frame, whether it makes sense or not."""
    return HEADER.pack(version, kind, flags, stream, length) + body


def _field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + delimited(value)


class Client:
    """One connection; `dialled` makes it."""

    def __init__(self, stream: trio.SocketStream, key: KeyPair) -> None:
        self.key = key
        self.cut = trio.Event()
        self.received: dict[int, bytearray] = {}
        self.refused: set[int] = set()
        """Streams that the other side has reset."""
        self.sent_bytes = 0
        self.grants_windows = True
        self._socket = stream
        self._noise: NoiseConnection = NoiseConnection.from_name(b"Noise_XX_25519_ChaChaPoly_SHA256")
        self._unread = bytearray()
        self._next_stream = 1
        self._writing = trio.Lock()
        self._arrived = trio.Event()

    # layers

    async def raw(self, body: bytes) -> None:
        """Bytes straight onto the socket. Raises `CutOff`."""
        try:
            await self._socket.send_all(body)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.cut.set()
            raise CutOff from error
        self.sent_bytes += len(body)

    async def _need(self, size_bytes: int) -> bytes:
        while len(self._unread) < size_bytes:
            try:
                chunk = await self._socket.receive_some(1 << 17)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise CutOff from error
            if not chunk:
                raise CutOff
            self._unread += chunk
        taken = bytes(memoryview(self._unread)[:size_bytes])
        del self._unread[:size_bytes]
        return taken

    async def handshake(self) -> None:
        """Noise and Yamux, as every honest peer does it. Raises `CutOff`."""
        await self.raw(selecting("/noise"))
        await self._need(len(selecting("/noise")))
        static = NoiseStatic()
        self._noise.set_as_initiator()
        self._noise.set_keypair_from_private_bytes(Keypair.STATIC, static.seed)
        self._noise.start_handshake()
        await self.raw(_sized(self._noise.write_message()))
        self._noise.read_message(await self._message())
        public = ED25519 + self.key.public_key
        proof = self.key.sign(b"noise-libp2p-static-key:" + static.public)
        await self.raw(_sized(self._noise.write_message(_field(1, public) + _field(2, proof))))
        await self.write(selecting("/yamux/1.0.0"))
        plain = b""
        while len(plain) < len(selecting("/yamux/1.0.0")):
            plain += self._noise.decrypt(await self._message())

    async def _message(self) -> bytes:
        return await self._need(int.from_bytes(await self._need(2), "big"))

    async def write(self, plain: bytes) -> None:
        """Bytes inside Noise. Raises `CutOff`."""
        async with self._writing:
            parts = [
                _sized(self._noise.encrypt(bytes(plain[at : at + NOISE_PLAIN_BYTES])))
                for at in range(0, len(plain), NOISE_PLAIN_BYTES)
            ]
            await self.raw(b"".join(parts))

    # streams

    def new_stream(self) -> int:
        """The next id of a stream, not opened yet."""
        taken = self._next_stream
        self._next_stream += 2
        return taken

    def opening(self, protocol: str, body: bytes = b"", flags: int = 0) -> tuple[int, bytes]:
        """A stream's id, and the frames that open it for `protocol` and send `body`."""
        stream = self.new_stream()
        first = selecting(protocol) + body
        return stream, b"".join(data_frames(stream, first, SYN, flags))

    async def open(self, protocol: str, body: bytes = b"", flags: int = 0) -> int:
        """Open a stream and send `body` on it."""
        stream, frames = self.opening(protocol, body, flags)
        await self.write(frames)
        return stream

    async def send(self, stream: int, body: bytes, flags: int = 0) -> None:
        """Send on an open stream."""
        await self.write(b"".join(data_frames(stream, body, 0, flags)))

    async def read(self) -> None:
        """Take everything that comes, answer pings, until the connection is cut."""
        left = bytearray()
        try:
            while True:
                left += self._noise.decrypt(await self._message())
                at = 0
                while len(left) - at >= HEADER.size:
                    _, kind, flags, stream, length = HEADER.unpack_from(left, at)
                    end = at + HEADER.size + (length if kind == DATA else 0)
                    if end > len(left):
                        break
                    await self._take(kind, flags, stream, length, bytes(left[at + HEADER.size : end]))
                    at = end
                del left[:at]
        except CutOff:
            pass
        finally:
            self.cut.set()
            self._wake()

    async def _take(self, kind: int, flags: int, stream: int, length: int, body: bytes) -> None:
        if flags & RST:
            self.refused.add(stream)
            self._wake()
        if kind == PING and flags & SYN:
            with contextlib.suppress(CutOff):
                await self.write(frame(PING, ACK, 0, length))
        elif kind == DATA:
            self.received.setdefault(stream, bytearray()).extend(body)
            if self.grants_windows and length:
                with contextlib.suppress(CutOff):
                    await self.write(frame(WINDOW_UPDATE, 0, stream, length))
            self._wake()
        elif kind == WINDOW_UPDATE and flags & SYN:
            with contextlib.suppress(CutOff):
                await self.write(frame(WINDOW_UPDATE, ACK, stream, 0))

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = trio.Event()

    async def until_received(self, stream: int, size_bytes: int) -> bytes:
        """Wait until so much came on a stream; all of it, or less of one that was reset.

        Raises:
            CutOff: the connection ended before.
        """
        while len(self.received.get(stream, b"")) < size_bytes and stream not in self.refused:
            if self.cut.is_set():
                raise CutOff
            await self._arrived.wait()
        return bytes(self.received.get(stream, b""))

    async def ping(self) -> None:
        """Return when the other side has come to what was sent before; it may refuse the ping. Raises `CutOff`."""
        body = b"p" * 32
        stream = await self.open("/ipfs/ping/1.0.0", body, FIN)
        await self.until_received(stream, len(selecting("/ipfs/ping/1.0.0")) + len(body))

    def close(self) -> None:
        """Drop the socket without a word."""
        self._socket.socket.close()


class NoiseStatic:
    """A fresh X25519 key."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        key = X25519PrivateKey.generate()
        self.seed = key.private_bytes_raw()
        self.public = key.public_key().public_bytes_raw()


def _sized(body: bytes | bytearray) -> bytes:
    return len(body).to_bytes(2, "big") + bytes(body)


def data_frames(stream: int, body: bytes, first: int, last: int) -> list[bytes]:
    """`body` in frames of at most 64 KiB; `first` and `last` are flags of the first and last of them."""
    pieces = [body[at : at + 65_000] for at in range(0, len(body), 65_000)] or [b""]
    flags = [0] * len(pieces)
    flags[0] |= first
    flags[-1] |= last
    return [frame(DATA, flag, stream, len(piece), piece) for flag, piece in zip(flags, pieces, strict=True)]


async def connected(port: int, source: str = "127.0.0.1") -> trio.SocketStream:
    """A TCP connection from an address of our choice."""
    channel = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if source != "127.0.0.1":
            await channel.bind((source, 0))
        with trio.fail_after(CONNECT_S):
            await channel.connect(("127.0.0.1", port))
    except BaseException:
        channel.close()
        raise
    return trio.SocketStream(channel)


async def dial(nursery: trio.Nursery, port: int, key: KeyPair, *, source: str = "127.0.0.1") -> Client:
    """A client that is connected, shook hands and reads in `nursery`; `close` it. Raises `CutOff` where it is refused."""
    client = Client(await connected(port, source), key)
    try:
        with trio.fail_after(CONNECT_S):
            await client.handshake()
    except BaseException:
        client.close()
        raise
    nursery.start_soon(client.read)
    return client


@contextlib.asynccontextmanager
async def dialled(port: int, key: KeyPair, *, source: str = "127.0.0.1") -> AsyncIterator[Client]:
    """`dial` for the length of a block."""
    async with trio.open_nursery() as nursery:
        client = await dial(nursery, port, key, source=source)
        try:
            yield client
        finally:
            client.close()
            nursery.cancel_scope.cancel()
