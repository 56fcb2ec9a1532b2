"""Send answers over ASGI: whole or piece by piece, errors in a line, the headers that every answer carries."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Headers = list[tuple[bytes, bytes]]

IMMUTABLE = b"public, max-age=29030400, immutable"
"""Source: path gateway specification, Cache-Control of `/ipfs/` answers."""

SLICE_BYTES = 128 << 10
"""Handed to the socket at once, so that what a slow reader has waiting there is small."""

NOSNIFF: Headers = [(b"x-content-type-options", b"nosniff")]
OPEN: Headers = [
    *NOSNIFF,
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Content-Range, Content-Length, ETag, X-Ipfs-Path, X-Ipfs-Roots"),
]
"""Content by its hash is for any page to read. Source: path gateway specification, CORS."""
PREFLIGHT: Headers = [
    *OPEN,
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"Range, If-Range, If-None-Match, Accept, Cache-Control, Content-Type"),
    (b"access-control-max-age", b"86400"),
]


class HttpError(Exception):
    """An answer other than success: its status and one line for the reader."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = dict(headers or {})


def header_list(fields: Mapping[str, str], common: Headers = OPEN) -> Headers:
    """ASGI headers, the common ones included."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()] + common


def with_header(headers: Headers, name: bytes, value: bytes) -> Headers:
    """`headers` with `name` (lower-case) set to `value`."""
    return [*((known, old) for known, old in headers if known != name), (name, value)]


class Reply:
    """The answer to one request, of which at most one is sent."""

    __slots__ = ("_send", "body_bytes", "head_only", "status")

    def __init__(self, send: Send, *, head_only: bool) -> None:
        self._send = send
        self.head_only = head_only
        self.status = 0
        self.body_bytes = 0

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """An answer in one piece; its length is declared."""
        await self._start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self._end(b"" if self.head_only else body)

    async def head(self, status: int, headers: Headers, size_bytes: int | None = None) -> None:
        """Only the head of an answer: to HEAD, or a 304, whose body would have `size_bytes`."""
        if size_bytes is not None:
            headers = [*headers, (b"content-length", b"%d" % size_bytes)]
        await self._start(status, headers)
        await self._end(b"")

    async def stream(
        self, status: int, headers: Headers, chunks: AsyncGenerator[bytes, None], size_bytes: int | None = None
    ) -> None:
        """An answer piece by piece. What `chunks` raises ends it in the middle, and its connection with it."""
        if size_bytes is not None:
            headers = [*headers, (b"content-length", b"%d" % size_bytes)]
        async with aclosing(chunks):
            await self._start(status, headers)
            async for chunk in chunks:
                for at in range(0, len(chunk), SLICE_BYTES):
                    part = chunk[at : at + SLICE_BYTES]
                    self.body_bytes += len(part)
                    await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._end(b"")

    async def error(self, error: HttpError) -> None:
        """The error as a line of plain text, never cached."""
        fields = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", **error.headers}
        await self.whole(error.status, header_list(fields), f"{error}\n".encode())

    async def _start(self, status: int, headers: Headers) -> None:
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _end(self, body: bytes) -> None:
        self.body_bytes += len(body)
        await self._send({"type": "http.response.body", "body": body})
