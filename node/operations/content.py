"""`get` and the gateway's blocks: bytes from this peer's store, else from the peers that have them."""

from contextlib import aclosing

import trio

from node.errors import Failed, NotFound
from node.operations import directory
from node.operations.looking import Looking
from node.parts import Parts
from node.reading import BlockReader
from node.rows import Content
from protocol.net.bitswap import BlocksUnavailable
from protocol.pin import Pin
from store.cid import cid_text, parse_cid
from store.errors import BlockNotFound, StoreError
from store.unixfs import DirEntry, list_directory_async, stat_async

BLOCK_TIMEOUT_S = 5.0
BLOCK_SOURCES = 4
"""Members asked for one block at a time; a swarm seldom has more holders of one."""


class Contents:
    """Opens files and finds blocks."""

    def __init__(self, parts: Parts, looking: Looking) -> None:
        self._parts = parts
        self._looking = looking

    async def open(self, ref: str, variant: str, flow: str | None) -> Content:
        """See `Service.content`."""
        pin = self._looking.first_pin(ref, flow)
        try:
            async with self._parts.reading.open(pin.root) as reader:
                found = await self._find(reader, pin, ref, variant)
                size_bytes = (await stat_async(found.cid, reader.get)).size_bytes
        except StoreError as error:
            raise Failed(f"{ref}: {error}", hint="`pinakothek show` lists who holds it") from error
        return Content(
            root=cid_text(pin.root),
            name=found.name,
            cid=cid_text(found.cid),
            media_type=directory.media_type_of(pin, found.name),
            size_bytes=size_bytes,
            chunks=self._parts.reading.file(pin.root, found.cid),
        )

    async def _find(self, reader: BlockReader, pin: Pin, ref: str, variant: str) -> DirEntry:
        about = await stat_async(pin.root, reader.get)
        if about.is_file:
            name = pin.name or directory.ORIGINAL
            if variant in (directory.ORIGINAL, name):
                return DirEntry(name, pin.root, about.size_bytes)
            raise NotFound(f"{ref}: no variant {variant}: it is a plain file", hint="get its original")
        async with aclosing(list_directory_async(pin.root, reader.get)) as entries:
            listed = [entry async for entry in entries]
        found = directory.file_of(listed, variant)
        if found is None:
            raise directory.no_such_file(pin, ref, variant)
        return found

    async def block(self, text: str, *, fetch: bool) -> bytes:
        """See `Service.block`."""
        cid = parse_cid(text)
        try:
            return await trio.to_thread.run_sync(self._parts.store.get, cid)
        except BlockNotFound:
            found = await self._fetch(cid) if fetch else None
            if found is None:
                raise NotFound(f"block {text} is not here") from None
            return found

    async def _fetch(self, cid: bytes) -> bytes | None:
        sources = self._sources(cid)
        with trio.move_on_after(BLOCK_TIMEOUT_S):
            for start in range(0, len(sources), BLOCK_SOURCES):
                found = await self._ask(cid, sources[start : start + BLOCK_SOURCES])
                if found is not None:
                    return found
        return None

    def _sources(self, cid: bytes) -> list[str]:
        """Connected members that are alive, those that hold it as a root first."""
        parts = self._parts
        peers = parts.knowledge.membership.peers().values()
        alive = {str(peer.peer_id) for peer in peers if peer.sees == "alive"} & parts.host.connected()
        holders = parts.knowledge.holders_of_any(cid)
        return sorted(alive, key=lambda peer: (peer not in holders, peer))

    async def _ask(self, cid: bytes, sources: list[str]) -> bytes | None:
        try:
            async with self._parts.bitswap.session(sources, stall_timeout_s=BLOCK_TIMEOUT_S) as session:
                await session.want([cid])
                async for found, block in session:
                    if found == cid:
                        return block
        except BlocksUnavailable:
            pass
        return None
