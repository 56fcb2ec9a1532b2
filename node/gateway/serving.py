"""Answers under `/ipfs/`: files and their ranges, directories, single blocks, archives.

Source: IPFS path gateway and trustless gateway specifications (ETag, Cache-Control, X-Ipfs-*, formats, ranges).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import quote

from node.gateway.answers import Headers, HttpError, Reply, header_list, with_header
from node.gateway.archive import archive, archive_fields, plan_archive
from node.gateway.asked import RAW_TYPE, Asked, wanted_archive
from node.gateway.conditions import Span, UnsatisfiableRange, asked_span, etag_matches
from node.gateway.content import Contents, Place, Target
from node.gateway.pages import POLICY, directory_page
from store.cid import cid_text
from store.traversal import run_async, want

WHOLE_BYTES = 64 << 10
"""Smaller bodies go out in one piece; for larger ones a place among the streams is needed."""
MAX_STREAMS = 64
"""Bodies sent piece by piece at once. Each holds a block, 2 MiB at most, for as long as its reader is slow."""
QUEUE_S = 10.0
LISTING_CACHE = "public, max-age=604800, stale-while-revalidate=2678400"
"""The page may change with the program. Source: path gateway specification, Cache-Control of listings."""
PARTIAL = frozenset((b"range", b"if-none-match", b"if-range"))


class Serving:
    """Sends what places and targets hold."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._streams = asyncio.Semaphore(MAX_STREAMS)

    async def cached(self, asked: Asked, reply: Reply) -> bool:
        """Send a file that memory holds whole, without a wait; False, and nothing sent, where that cannot be."""
        if asked.method != "GET" or asked.query or not asked.path.startswith("/ipfs/"):
            return False
        if not PARTIAL.isdisjoint(asked.headers) or b"vnd.ipld" in asked.headers.get(b"accept", b""):
            return False
        target = self._contents.known(asked.path[6:])
        body = None if target is None else self._contents.whole_if_cached(target)
        if target is None or body is None:
            return False
        await reply.whole(200, target.headers, body)
        return True

    async def content(self, asked: Asked, target: Target, reply: Reply, cache_control: bytes | None = None) -> None:
        """Send a file or a directory; `cache_control` in place of "for ever". Raises: HttpError, StoreError."""
        if target.is_directory:
            await self._directory(asked, target, reply)
            return
        headers = target.headers
        if cache_control is not None:
            headers = with_header(headers, b"cache-control", cache_control)
        if "filename" in asked.query or "download" in asked.query:
            headers = with_header(headers, b"content-disposition", disposition(asked))
        body = self._contents.whole_if_cached(target)
        if body is not None:
            await self._bytes(asked, reply, headers, target.etag, body)
            return
        await self._file(asked, reply, headers, target)

    async def block(self, asked: Asked, place: Place, reply: Reply) -> None:
        """Send the block at `place` as it is. Raises: HttpError, StoreError."""
        name = cid_text(place.cid)
        etag = f'"{name}.raw"'
        headers = header_list(
            {
                **place.fields(),
                "ETag": etag,
                "Content-Type": RAW_TYPE,
                "Content-Disposition": f'attachment; filename="{name}.bin"',
                "Accept-Ranges": "bytes",
            }
        )
        block = await run_async(want(place.cid), self._contents.blocks.get)
        async with self._stream_if(len(block)):
            await self._bytes(asked, reply, headers, etag, block)

    async def archive(self, asked: Asked, place: Place, reply: Reply) -> None:
        """Send the blocks of a DAG. Raises: HttpError, StoreError: in mid-answer too, if one is missing."""
        wanted = wanted_archive(asked)
        fields = archive_fields(place, wanted)
        headers = header_list(fields)
        if etag_matches(asked.header(b"if-none-match"), fields["ETag"]):
            await reply.head(304, headers)
            return
        plan = await plan_archive(place, wanted, self._contents.blocks)
        if asked.head_only:
            await reply.head(200, headers)
            return
        async with self._stream_if(None):
            await reply.stream(200, headers, archive(place, plan, self._contents.blocks))

    async def _directory(self, asked: Asked, target: Target, reply: Reply) -> None:
        if not asked.path.endswith("/"):
            query = f"?{'&'.join(f'{quote(k)}={quote(v)}' for k, v in asked.query.items())}" if asked.query else ""
            raise HttpError(301, f"{asked.path}/", {"Location": quote(f"{asked.path}/") + query})
        try:
            index = await self._contents.find(f"{target.place.path.rstrip('/')}/index.html")
        except HttpError as error:
            if error.status != 404:
                raise
        else:
            if not index.is_directory:
                await self.content(asked, standing_for(index, target.place), reply)
                return
        fields = {
            **target.place.fields(),
            "Cache-Control": LISTING_CACHE,
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": POLICY,
            "ETag": f'W/"DirIndex-1_CID-{cid_text(target.place.cid)}"',
        }
        headers = header_list(fields)
        if etag_matches(asked.header(b"if-none-match"), fields["ETag"]):
            await reply.head(304, headers)
            return
        async with self._stream_if(None):
            entries, complete = await self._contents.entries(target.place)
            await reply.whole(200, headers, directory_page(asked.path, entries, complete=complete))

    async def _bytes(self, asked: Asked, reply: Reply, headers: Headers, etag: str, body: bytes) -> None:
        """A body that is in memory, or the range of it that was asked for."""
        answer = await self._begin(asked, reply, headers, etag, len(body))
        if answer is not None:
            status, headers, span = answer
            await reply.whole(status, headers, body[span.start : span.end])

    async def _file(self, asked: Asked, reply: Reply, headers: Headers, target: Target) -> None:
        answer = await self._begin(asked, reply, headers, target.etag, target.size_bytes)
        if answer is None:
            return
        status, headers, span = answer
        chunks = self._contents.read(target.place.cid, span.start, span.size_bytes)
        if span.size_bytes <= WHOLE_BYTES:
            await reply.whole(status, headers, await joined(chunks))
            return
        async with self._stream_if(span.size_bytes):
            await reply.stream(status, headers, await begun(chunks), span.size_bytes)

    async def _begin(
        self, asked: Asked, reply: Reply, headers: Headers, etag: str, size_bytes: int
    ) -> tuple[int, Headers, Span] | None:
        """Status, headers and bytes to send; None where the head was all, and has been sent."""
        if etag_matches(asked.header(b"if-none-match"), etag):
            await reply.head(304, headers)
            return None
        try:
            span = asked_span(asked.header(b"range"), asked.header(b"if-range"), etag, size_bytes)
        except UnsatisfiableRange as error:
            raise HttpError(416, str(error), {"Content-Range": f"bytes */{size_bytes}"}) from error
        status = 200
        if span is None:
            span = Span(0, size_bytes)
        else:
            status = 206
            content_range = f"bytes {span.start}-{span.end - 1}/{size_bytes}"
            headers = with_header(headers, b"content-range", content_range.encode())
        if asked.head_only:
            await reply.head(status, headers, span.size_bytes)
            return None
        return status, headers, span

    @asynccontextmanager
    async def _stream_if(self, size_bytes: int | None) -> AsyncIterator[None]:
        """A place among the streams, for bodies of this size or, None, an unknown one. Raises: HttpError: 503."""
        if size_bytes is not None and size_bytes <= WHOLE_BYTES:
            yield
            return
        try:
            async with asyncio.timeout(QUEUE_S):
                await self._streams.acquire()
        except TimeoutError as error:
            raise HttpError(
                503, "too many large answers are under way; try again soon", {"Retry-After": "5"}
            ) from error
        try:
            yield
        finally:
            self._streams.release()


def standing_for(index: Target, directory: Place) -> Target:
    """`index.html` as the answer about its directory."""
    etag = f'"{cid_text(directory.cid)}"'
    headers = with_header(index.headers, b"etag", etag.encode())
    for name, value in directory.fields().items():
        headers = with_header(headers, name.lower().encode(), value.encode())
    return replace(index, etag=etag, headers=headers)


async def joined(chunks: AsyncGenerator[bytes, None]) -> bytes:
    """All of `chunks`, which are few."""
    return b"".join([chunk async for chunk in chunks])


async def begun(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """`chunks` once the first of them is here, so that a file that cannot be had is still an error of its own."""
    first = await anext(chunks, b"")

    async def all_of_them() -> AsyncGenerator[bytes, None]:
        try:
            yield first
            async for chunk in chunks:
                yield chunk
        finally:
            await chunks.aclose()

    return all_of_them()


def disposition(asked: Asked) -> bytes:
    """`Content-Disposition` of `?filename=` and `?download=`. Source: path gateway specification; RFC 6266."""
    kind = "attachment" if asked.query.get("download") == "true" else "inline"
    name = asked.query.get("filename") or asked.path.rstrip("/").rpartition("/")[2]
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()
