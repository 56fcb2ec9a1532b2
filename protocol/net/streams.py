"""A stream to one peer: exact reads, varint-framed messages, and endings that are our own errors.

A deadline around a read is safe, but a read that was cut short may have lost bytes: the stream then answers
`StreamEnded` to whatever follows. A deadline never cuts a frame on the wire (`patches.atomic_frames`), so a cancelled
write costs this stream and nothing else; against a frozen peer it may return late, when the watchdog has closed the
connection.
"""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.stream.exceptions import StreamEOF

from protocol.net.errors import FrameTooLarge, FrameTooSlow, MessageTooLarge, StreamEnded
from protocol.net.limits import FRAME_CHUNK_BYTES, FRAME_S
from protocol.net.scopes import shielded

_VARINT_BYTES = 9
_T = TypeVar("_T")
Hold = Callable[[int], contextlib.AbstractAsyncContextManager[None]]


class Stream:
    """One negotiated stream. One task may read while another writes; two may not read at once, nor two write."""

    def __init__(self, net_stream: Any) -> None:
        self._stream = net_stream
        self._buffer = bytearray()
        self._ended = False
        self._broken = False
        self._written = True
        self.peer_id = str(net_stream.muxed_conn.peer_id)
        self.protocol = str(net_stream.get_protocol())

    async def read_some(self, max_bytes: int = FRAME_CHUNK_BYTES) -> bytes:
        """Whatever is there, at least one byte; b"" when the peer has closed its side.

        Raises:
            StreamEnded: the stream was reset, its connection died, or an earlier read was cut short.
        """
        if not self._buffer:
            await self._fill(max_bytes)
        taken = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        return taken

    async def read_exactly(self, size_bytes: int) -> bytes:
        """Exactly that many bytes. Raises `StreamEnded` if fewer come."""
        await self._need(size_bytes)
        taken = bytes(memoryview(self._buffer)[:size_bytes])
        del self._buffer[:size_bytes]
        return taken

    async def read_frame(self, max_bytes: int, hold: Hold | None = None) -> bytes | None:
        """One varint-prefixed message; None when the peer closed its side between two of them.

        Args:
            max_bytes: what it may have.
            hold: entered with the size of one above `FRAME_CHUNK_BYTES` while it comes in, which then may take no
                longer than `FRAME_S`: what has come of it stays in memory.

        Raises:
            FrameTooLarge: the length is above `max_bytes` or no varint; nothing of it is read.
            FrameTooSlow: it was announced and did not come.
            StreamEnded: the stream ended inside a message.
        """
        if not self._buffer:
            await self._fill(FRAME_CHUNK_BYTES)
            if not self._buffer:
                return None
        size_bytes = shift = index = 0
        while True:
            await self._need(index + 1)
            byte = self._buffer[index]
            size_bytes |= (byte & 0x7F) << shift
            index, shift = index + 1, shift + 7
            if byte < 0x80:
                break
            if index >= _VARINT_BYTES:
                raise FrameTooLarge(f"{self.peer_id} sent a length of more than {_VARINT_BYTES} bytes")
        if size_bytes > max_bytes:
            raise FrameTooLarge(f"{self.peer_id} announced a frame of {size_bytes} bytes, the limit is {max_bytes}")
        if hold is None or size_bytes <= FRAME_CHUNK_BYTES:
            await self._need(index + size_bytes)
        else:
            async with hold(size_bytes):
                await self._need_soon(index + size_bytes)
        frame = bytes(memoryview(self._buffer)[index : index + size_bytes])
        del self._buffer[: index + size_bytes]
        return frame

    async def write(self, body: bytes) -> None:
        """Hand `body` to the connection; returns when the peer's window has taken it. Raises `StreamEnded`."""
        if not self._written:
            raise StreamEnded(f"an earlier write to {self.peer_id} was cut short")
        self._written = False
        await self._translated(self._stream.write(body))
        self._written = True

    async def write_frame(self, body: bytes, max_bytes: int | None = None) -> None:
        """Write `body` with its length as a varint before it. Raises `MessageTooLarge` above `max_bytes`."""
        if max_bytes is not None and len(body) > max_bytes:
            raise MessageTooLarge(f"a frame of {len(body)} bytes, the limit is {max_bytes}")
        await self.write(framed(body))

    async def close_write(self) -> None:
        """Say that nothing more will be written; reading goes on."""
        await self._translated(self._stream.muxed_stream.close())

    async def close(self) -> None:
        """Done with the stream, whatever its state: never raises, never waits for the peer's answer."""
        if self._broken or not self._written:
            await self.reset()
            return
        with shielded(1), contextlib.suppress(BaseLibp2pError):
            await self._stream.close()

    async def reset(self) -> None:
        """End both directions at once; the peer's reads fail instead of seeing a clean end. Never raises."""
        with shielded(1), contextlib.suppress(BaseLibp2pError):
            await self._stream.reset()

    async def _need_soon(self, size_bytes: int) -> None:
        with trio.move_on_after(FRAME_S):
            await self._need(size_bytes)
            return
        raise FrameTooSlow(f"{self.peer_id} did not send {size_bytes} bytes within {FRAME_S:.0f} s")

    async def _need(self, size_bytes: int) -> None:
        while len(self._buffer) < size_bytes:
            if not await self._fill(max(FRAME_CHUNK_BYTES, size_bytes - len(self._buffer))):
                raise StreamEnded(f"{self.peer_id} closed the stream {size_bytes - len(self._buffer)} bytes early")

    async def _fill(self, max_bytes: int) -> bool:
        if self._broken:
            raise StreamEnded(f"an earlier read from {self.peer_id} failed or was cut short")
        if self._ended:
            return False
        self._broken = True
        try:
            chunk = await self._translated(self._stream.read(max_bytes))
        except EOFError:
            chunk = b""
        self._broken = False
        self._ended = not chunk
        self._buffer += chunk
        return bool(chunk)

    async def _translated(self, operation: Awaitable[_T]) -> _T:
        try:
            return await operation
        except StreamEOF:
            raise
        except (BaseLibp2pError, trio.ClosedResourceError, trio.BrokenResourceError) as error:
            raise StreamEnded(f"the stream to {self.peer_id} ended: {type(error).__name__}") from error


def framed(body: bytes) -> bytes:
    """`body` with its length as a varint before it."""
    out = bytearray()
    rest = len(body)
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out) + body
