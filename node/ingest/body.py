"""Bring the body of an answer into a file: decompressed, bounded, its type told by its first bytes.

The `Content-Type` that a server writes is not looked at: it is wrong too often, and a lie when it matters.
"""

import zlib
from collections.abc import AsyncIterable, Callable, Iterator
from pathlib import Path
from typing import IO, Final

import trio

from node.ingest.not_fetched import Empty, NotFetched, TooLarge
from node.quantities import size_text
from store.errors import ImageRejected
from store.images.sniff import HEAD_BYTES, sniff

WRITE_BYTES: Final = 1 << 20
"""Decompressed and written at a time, the latter in a thread."""
CHUNKS_A_TURN: Final = 64
"""A body may come a byte a chunk; after so many chunks, everything else has its turn."""
CRUMB_BYTES: Final = 16
CRUMBS: Final = 8192
"""Chunks cost the same however small they are: from so many on, they must be larger than crumbs on average."""
HTML: Final = "text/html"
_HTML_STARTS: Final = (
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<body",
    b"<title",
    b"<script",
    b"<h1",
    b"<div",
    b"<p",
    b"<!--",
)

Kind = Callable[[bytes], str]
"""First bytes → media type. Raises: NotFetched, where this is not what was wanted."""


def image_type(head: bytes) -> str:
    """The media type of a body that starts with `head`. Raises: NotFetched: it is no image that we take."""
    try:
        return sniff(head).media_type
    except ImageRejected as error:
        raise NotFetched(error.reason) from error


def page_type(head: bytes) -> str:
    """`text/html`. Source: the tags by which the MIME Sniffing standard knows HTML. Raises: NotFetched: no page."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_HTML_STARTS) or (text.startswith(b"<") and b"<html" in text):
        return HTML
    raise NotFetched("not a page of HTML")


def any_type(head: bytes) -> str:
    """The media type of an image or a page, and for all else the one that says nothing."""
    for kind in (image_type, page_type):
        try:
            return kind(head)
        except NotFetched:
            continue
    return "application/octet-stream"


class Decompressor:
    """Undo a `Content-Encoding`, a bounded piece at a time. Raises: NotFetched: it is one that we did not ask for."""

    def __init__(self, encoding: str) -> None:
        word = encoding.strip().lower()
        if word not in ("", "identity", "gzip", "x-gzip"):
            raise NotFetched(f"encoded as {word[:40]}, which was not asked for")
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in word else None

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` stands for, at most `WRITE_BYTES` at a time."""
        if self._inflate is None:
            yield chunk
            return
        try:
            while piece := self._inflate.decompress(chunk, WRITE_BYTES):
                yield piece
                chunk = self._inflate.unconsumed_tail
        except zlib.error as error:
            raise NotFetched("its gzip is damaged") from error

    def finish(self) -> None:
        """Raises: NotFetched: the end is missing."""
        if self._inflate is not None and not self._inflate.eof:
            raise NotFetched("its gzip ends too early", transient=True)


async def receive(
    chunks: AsyncIterable[bytes], into: Path, *, encoding: str, kind: Kind, max_bytes: int
) -> tuple[str, int]:
    """Write a body to `into`, which exists afterwards only if all went well.

    Returns:
        Media type and size in bytes.

    Raises:
        Empty: it has no bytes.
        NotFetched: larger than `max_bytes`, not what `kind` takes, badly compressed.
        OSError: the disk refuses.
    """
    file = await trio.to_thread.run_sync(into.open, "wb")
    try:
        received = await _receive(chunks, file, Decompressor(encoding), kind, max_bytes)
        await trio.to_thread.run_sync(file.close)
    except BaseException:
        _discard(file, into)
        raise
    return received


def _discard(file: IO[bytes], path: Path) -> None:
    file.close()
    path.unlink(missing_ok=True)


async def _receive(
    chunks: AsyncIterable[bytes], file: IO[bytes], decompressor: Decompressor, kind: Kind, max_bytes: int
) -> tuple[str, int]:
    media_type: str | None = None
    size_bytes = wire_bytes = count = 0
    held = bytearray()
    async for chunk in chunks:
        count += 1
        wire_bytes += len(chunk)
        if count > CRUMBS and wire_bytes < count * CRUMB_BYTES:
            raise NotFetched("sent in crumbs of a few bytes")
        if not count % CHUNKS_A_TURN:
            await trio.lowlevel.checkpoint()
        for piece in decompressor.pieces(chunk):
            size_bytes += len(piece)
            if size_bytes > max_bytes:
                raise TooLarge(f"larger than {size_text(max_bytes)}")
            held += piece
            if media_type is None and len(held) >= HEAD_BYTES:
                media_type = kind(bytes(held[:HEAD_BYTES]))
            if len(held) >= WRITE_BYTES:
                await trio.to_thread.run_sync(file.write, bytes(held))
                held.clear()
    decompressor.finish()
    if not size_bytes:
        raise Empty
    if media_type is None:
        media_type = kind(bytes(held))
    await trio.to_thread.run_sync(file.write, bytes(held))
    return media_type, size_bytes
