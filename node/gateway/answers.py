"""Send answers over ASGI: whole or streamed bodies, errors in a line, the headers every answer carries."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

IMMUTABLE = b"public, max-age=29030400, immutable"
"""Source: path gateway specification, Cache-Control of `/ipfs/` answers."""

COMMON: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (b"access-control-allow-headers", b"Range, If-None-Match, Accept"),
    (b"access-control-expose-headers", b"Content-Range, Content-Length, X-Ipfs-Path, X-Ipfs-Roots"),
]


class HttpError(Exception):
    """An answer other than success: its status and one line for the reader."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = dict(headers or {})


def header_list(fields: Mapping[str, str]) -> Headers:
    """ASGI headers, the common ones included."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()] + COMMON


async def send_whole(send: Send, status: int, headers: Headers, body: bytes, *, head_only: bool = False) -> None:
    """One answer in one piece; its length is declared."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": b"" if head_only else body})


async def send_stream(send: Send, status: int, headers: Headers, chunks: AsyncIterator[bytes]) -> None:
    """An answer piece by piece; where a piece cannot be had the connection is cut, as the length then tells."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def send_error(send: Send, error: HttpError) -> None:
    """The error as a line of plain text, never cached."""
    fields = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", **error.headers}
    await send_whole(send, error.status, header_list(fields), f"{error}\n".encode())
