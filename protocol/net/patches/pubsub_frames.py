"""Defect: Pubsub reads the length of each message byte by byte, every byte a pass through locks and window updates.

What arrives is buffered per stream; a length above the limit is still refused before its body is read.
"""

from typing import Any

from libp2p.io.exceptions import IncompleteReadError, MessageTooLarge
from libp2p.pubsub import pubsub

from protocol.net.limits import FRAME_CHUNK_BYTES
from protocol.net.patches.release import expect_release

_VARINT_BYTES = 9


async def _more(stream: Any, buffer: bytearray) -> None:
    chunk = await stream.read(FRAME_CHUNK_BYTES)
    if not chunk:
        raise IncompleteReadError("the stream ended", expected_bytes=1, received_bytes=0)
    buffer += chunk


async def _read_frame(stream: Any, max_bytes: int) -> bytes:
    buffer: bytearray = stream.__dict__.setdefault("unread", bytearray())
    size_bytes = shift = index = 0
    while True:
        while index >= len(buffer):
            await _more(stream, buffer)
        byte = buffer[index]
        size_bytes |= (byte & 0x7F) << shift
        index, shift = index + 1, shift + 7
        if byte < 0x80:
            break
        if index >= _VARINT_BYTES:
            raise MessageTooLarge("a length that is no varint")
    if size_bytes > max_bytes:
        raise MessageTooLarge(f"{size_bytes} bytes, the limit is {max_bytes}")
    while len(buffer) < index + size_bytes:
        await _more(stream, buffer)
    frame = bytes(memoryview(buffer)[index : index + size_bytes])
    del buffer[: index + size_bytes]
    return frame


def apply() -> None:
    """Give Pubsub the buffered reader."""
    expect_release()
    pubsub.read_varint_prefixed_bytes_limited = _read_frame
