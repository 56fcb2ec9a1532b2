"""What a path below `/ipfs/` leads to: resolved once, remembered, since a CID never changes its mind."""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from node.gateway.answers import IMMUTABLE, Headers, HttpError, header_list
from node.gateway.blocks import Blocks
from node.gateway.fairly import drive_fairly, run_fairly
from node.gateway.media import SNIFF_BYTES, is_active, type_by_content, type_by_name
from store.cid import RAW, cid_text, codec_of, parse_cid
from store.errors import BadCid, BlockNotFound, DagUnsupported, PathNotFound, StoreError
from store.traversal import GetBlockAsync
from store.unixfs import DirEntry, Limits, read_file_async
from store.unixfs_read import plan_directory, query_path, query_stat

REMEMBERED_PATHS = 5_000
REMEMBERED_CHARS = 300
"""Longer paths are looked up each time: 5,000 of these with their headers take some 10 MB."""
LIMITS = Limits(max_depth=128, max_blocks=1 << 18)
"""Segments of a path; nodes of a file: 256 GiB of 1 MiB chunks."""
LISTING_LIMITS = Limits(max_blocks=1_000)
"""Shards read for one listing: several times what `MAX_LISTED` names of a balanced directory need."""
MAX_LISTED = 10_000
SANDBOX = "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


class Place(NamedTuple):
    """Where a path leads.

    Attributes:
        roots: the CID of each step, from the path's root to the last, which is the one meant.
    """

    path: str
    roots: tuple[bytes, ...]

    @property
    def cid(self) -> bytes:
        return self.roots[-1]

    def fields(self) -> dict[str, str]:
        """Headers of every answer about this place."""
        return {
            "Cache-Control": IMMUTABLE.decode(),
            "X-Ipfs-Path": quote(f"/ipfs/{self.path}"),
            "X-Ipfs-Roots": ",".join(map(cid_text, self.roots)),
            "Vary": "Accept",
        }


@dataclass(frozen=True, slots=True)
class Target:
    """A file or directory.

    Attributes:
        is_one_block: the file's bytes are those of its block.
        headers: of every answer with the file, made once; `etag` is among them.
    """

    place: Place
    is_directory: bool
    is_one_block: bool
    size_bytes: int
    etag: str
    headers: Headers


class Contents:
    """Looks paths up and reads files; blocks come from `blocks`."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self._known: OrderedDict[str, Target] = OrderedDict()

    def known(self, path: str) -> Target | None:
        """What `find` returned for this path before, if that is remembered."""
        target = self._known.get(path)
        if target is not None:
            self._known.move_to_end(path)
        return target

    async def find(self, path: str) -> Target:
        """What `<cid>[/path]` leads to.

        Raises:
            HttpError: 400 for a bad CID, otherwise as `http_error` says.
        """
        target = self.known(path)
        if target is not None:
            return target
        place = await self.locate(path)
        try:
            target = await self._examine(place)
        except StoreError as error:
            raise http_error(error) from error
        if len(path) <= REMEMBERED_CHARS:
            self._known[path] = target
            if len(self._known) > REMEMBERED_PATHS:
                self._known.popitem(last=False)
        return target

    async def locate(self, path: str, get_block: GetBlockAsync | None = None) -> Place:
        """Follow `<cid>[/path]` by name, and do not look at what it leads to. Raises: HttpError, as `find`."""
        text, *names = [part for part in path.split("/") if part] or [""]
        if len(names) > LIMITS.max_depth:
            raise HttpError(400, f"path: {len(names)} segments, the limit is {LIMITS.max_depth}")
        try:
            roots = [parse_cid(text)]
        except BadCid as error:
            raise HttpError(400, f"{text[:80]}: not a CID") from error
        try:
            for name in names:
                roots.append(await run_fairly(query_path(roots[-1], name, LIMITS), get_block or self.blocks.get))
        except StoreError as error:
            raise http_error(error) from error
        return Place(path, tuple(roots))

    async def _examine(self, place: Place) -> Target:
        found = await run_fairly(query_stat(place.cid), self.blocks.get)
        if found.is_directory:
            return Target(place, True, False, 0, "", [])
        if not found.is_file:
            raise DagUnsupported(f"a {found.kind.name.lower()} is not followed", place.cid)
        media_type = await self._media_type(place)
        etag = f'"{cid_text(place.cid)}"'
        fields = {**place.fields(), "ETag": etag, "Content-Type": media_type, "Accept-Ranges": "bytes"}
        if is_active(media_type):
            fields["Content-Security-Policy"] = SANDBOX
        return Target(place, False, codec_of(place.cid) == RAW, found.size_bytes, etag, header_list(fields))

    async def _media_type(self, place: Place) -> str:
        named = type_by_name(place.path)
        if named is not None:
            return named
        async with aclosing(self.read(place.cid, 0, SNIFF_BYTES)) as parts:
            return type_by_content(b"".join([part async for part in parts]))

    def whole_if_cached(self, target: Target) -> bytes | None:
        """A file's bytes, if it is a single raw block that memory holds: every thumbnail that was asked for before."""
        return self.blocks.cached(target.place.cid) if target.is_one_block else None

    async def check_here(self, path: str) -> None:
        """See to it that the way to `path`, and its own block, can be had without asking the daemon.

        Raises:
            HttpError: 412 if not, 400 for a bad CID.
        """
        try:
            place = await self.locate(path, self.blocks.get_here)
            await self.blocks.get_here(place.cid)
        except (StoreError, HttpError) as error:
            if isinstance(error, HttpError) and error.status == 400:
                raise
            raise HttpError(412, "not held here, and only-if-cached was asked for") from error

    def read(self, cid: bytes, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        """A file's bytes from `start`, at most `length` of them."""
        return read_file_async(cid, self.blocks.get, start, length, LIMITS)

    async def entries(self, place: Place) -> tuple[list[DirEntry], bool]:
        """A directory's entries in its own order, at most `MAX_LISTED`, and whether that is all. Raises: HttpError."""
        entries: list[DirEntry] = []
        try:
            async with aclosing(drive_fairly(plan_directory(place.cid, LISTING_LIMITS), self.blocks.get)) as found:
                async for entry in found:
                    if len(entries) == MAX_LISTED:
                        return entries, False
                    entries.append(entry)
        except StoreError as error:
            raise http_error(error) from error
        return entries, True


def http_error(error: StoreError) -> HttpError:
    """How an error of the store looks from outside."""
    if isinstance(error, PathNotFound):
        return HttpError(404, str(error))
    if isinstance(error, BlockNotFound):
        return HttpError(404, f"{error}, nor with any peer that answers")
    if isinstance(error, DagUnsupported):
        return HttpError(501, f"{error}; its block can be had with ?format=raw")
    return HttpError(502, str(error))
