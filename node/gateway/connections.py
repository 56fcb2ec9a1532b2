"""One HTTP connection of the public: uvicorn's, with the bounds that it leaves to a proxy in front.

1. A request's head arrives whole, below `MAX_HEAD_BYTES` and `MAX_HEADERS`, within `IDLE_S` of the connection or the
   previous answer; at most `MAX_PIPELINED` more are sent ahead. All of this is held as Python objects until answered.
2. At most `MAX_CONNECTIONS`. A new one beyond that takes the place of the one that has been idle longest; where all
   are being answered it is turned away. So idle strangers never keep anyone out.
3. Who reads an answer more slowly than `MIN_BYTES_PER_S` for `STALL_S` is dropped.
"""

import asyncio
import sys
import time
from collections import OrderedDict
from collections.abc import Set
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

IDLE_S = 30.0
SWEEP_S = 1.0
MAX_HEAD_BYTES = 16 << 10
"""Source: nginx and Kubo allow 8 KiB a line and more in all; a path of names in any script fits."""
MAX_HEADERS = 100
MAX_PIPELINED = 16
MAX_CONNECTIONS = 2048
STALL_S = 30.0
MIN_BYTES_PER_S = 2048
"""A guess: below what any network that shows pictures gives."""
_REFUSAL = (
    b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
)

_idle: "OrderedDict[PublicConnection, float]" = OrderedDict()
"""Connections that nothing is being answered on, the longest idle first, and since when."""


def refusal(status: bytes, text: bytes) -> bytes:
    """A whole answer that ends its connection."""
    return _REFUSAL % (status, len(text), text)


class HeadTooLarge(Exception):
    """Ends the parsing of a head that is larger, or has more fields, than is read."""


class TooManyAhead(Exception):
    """Ends the parsing of requests sent ahead of too many answers."""


class PublicConnection(HttpToolsProtocol):
    """See the module."""

    dropped = 0
    """Connections ended for the sake of the bounds above, of all of this process."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._in_head = True
        self._head_bytes = 0
        self._stall: asyncio.TimerHandle | None = None
        if len(self.connections) > MAX_CONNECTIONS:
            PublicConnection.dropped += 1
            if not _idle:
                transport.write(refusal(b"503 Service Unavailable", b"too many connections\n"))
                transport.close()
                return
            _idle.popitem(last=False)[0].transport.abort()
        _idle[self] = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        _idle.pop(self, None)
        self._watch_no_more()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) == MAX_HEADERS:
            raise HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._head_bytes > MAX_HEAD_BYTES:  # of all that came, pipelined requests included
            head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if head_bytes > MAX_HEAD_BYTES:
                raise HeadTooLarge
        if len(self.pipeline) == MAX_PIPELINED:
            PublicConnection.dropped += 1
            self.transport.abort()
            raise TooManyAhead
        self._in_head = False
        _idle.pop(self, None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._idle_from_now()

    def _idle_from_now(self) -> None:
        """Unless an answer is being made, or lies in the socket's buffer: then its reader is watched for stalling."""
        if self._stall is None and (self.cycle is None or self.cycle.response_complete):
            _idle[self] = time.monotonic()

    def send_400_response(self, msg: str) -> None:
        """Called where the parser stopped, be it by one of the errors above."""
        error = sys.exc_info()[1]
        if error is not None and isinstance(error.__context__, HeadTooLarge):
            self._refuse_head()
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    def _refuse_head(self) -> None:
        PublicConnection.dropped += 1
        text = b"the head of a request may have %d bytes and %d fields\n" % (MAX_HEAD_BYTES, MAX_HEADERS)
        self.transport.write(refusal(b"431 Request Header Fields Too Large", text))
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        _idle.pop(self, None)
        if self._stall is None:
            waiting_bytes = self.transport.get_write_buffer_size()
            self._stall = self.loop.call_later(STALL_S, self._drop_if_stalled, waiting_bytes)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch_no_more()
        self._idle_from_now()

    def _watch_no_more(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _drop_if_stalled(self, before_bytes: int) -> None:
        self._stall = None
        waiting_bytes = self.transport.get_write_buffer_size()
        if before_bytes - waiting_bytes < MIN_BYTES_PER_S * STALL_S:
            PublicConnection.dropped += 1
            self.transport.abort()
        else:
            self._stall = self.loop.call_later(STALL_S, self._drop_if_stalled, waiting_bytes)


async def sweep(connections: Set[Any]) -> None:
    """Drop those of `connections` that have been idle for too long, until cancelled.

    One that is closing still waits for its reader to take the rest, and has as long.
    """
    while True:
        await asyncio.sleep(SWEEP_S)
        now_s = time.monotonic()
        for connection in connections:
            if connection.transport.is_closing() and not connection.flow.write_paused:
                _idle.setdefault(connection, now_s)
        while _idle:
            oldest, since_s = next(iter(_idle.items()))
            if since_s > now_s - IDLE_S:
                break
            del _idle[oldest]
            PublicConnection.dropped += 1
            oldest.transport.abort()
