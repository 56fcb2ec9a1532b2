"""A stream to one peer that is opened when first needed, and anew after it broke."""

from collections.abc import Awaitable, Callable
from typing import Protocol, Self

from protocol.net.errors import NetError
from protocol.net.streams import Hold

OPEN_TIMEOUT_S = 10.0


class Stream(Protocol):
    """What Bitswap needs of `protocol.net.streams.Stream`."""

    async def read_frame(self, max_bytes: int, hold: Hold | None = None) -> bytes | None: ...

    async def write(self, body: bytes) -> None: ...

    async def close(self) -> None: ...

    async def reset(self) -> None: ...


class Lane:
    """One outgoing stream, held open between messages.

    Args:
        open_stream: opens a stream, or raises `NetError`.
    """

    def __init__(self, open_stream: Callable[[], Awaitable[Stream]]) -> None:
        self._open_stream = open_stream
        self._stream: Stream | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def send(self, frame: bytes, *, tries: int) -> None:
        """Write a whole message. Raises: NetError, after that many streams."""
        while True:
            tries -= 1
            try:
                await self._write(frame)
                return
            except NetError:
                if tries <= 0:
                    raise

    async def _write(self, frame: bytes) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            stream = await self._open_stream()
        try:
            await stream.write(frame)
        except BaseException:
            await stream.reset()
            raise
        self._stream = stream
