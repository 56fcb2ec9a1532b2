"""Read blocks and files wherever they are: from this peer's store, else from the peers that have them.

What is fetched only to be read is not stored: this peer holds what placement names it for. The parts of a file are
asked for ahead of the reader, as far as the window of Bitswap allows.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

import trio

from node.errors import Failed
from protocol.net.bitswap import Bitswap, Session
from protocol.net.bitswap_session import BlocksUnavailable
from store.cid import cid_text, inline_block
from store.errors import BackendFailed, BlockCorrupt, BlockNotFound, StoreError
from store.store import Store
from store.unixfs import read_file_async
from store.unixfs_node import decode_unixfs

STALL_S = 5.0
"""A person waits: a silent source is given up much sooner than in a repair."""
READ_SOURCES = 4


class BlockReader:
    """Blocks of one DAG, local first; made by `Reading.open`."""

    def __init__(self, store: Store, session: Session | None) -> None:
        self._store = store
        self._session = session
        self._ahead: dict[bytes, bytes] = {}

    async def get(self, cid: bytes) -> bytes:
        """The verified block.

        Raises:
            BlockNotFound: neither here nor at any source.
        """
        inline = inline_block(cid)
        if inline is not None:
            return inline
        if cid in self._ahead:
            return self._ahead.pop(cid)
        try:
            return await trio.to_thread.run_sync(self._store.get, cid)
        except (BlockNotFound, BlockCorrupt, BackendFailed):  # the store has put a bad one into quarantine
            if self._session is None:
                raise
        block = await self._fetch(self._session, cid)
        if parts := _parts_of_file(cid, block):
            missing = await trio.to_thread.run_sync(lambda: [part for part in parts if not self._store.has(part)])
            await self._session.want(missing)
        return block

    async def _fetch(self, session: Session, cid: bytes) -> bytes:
        await session.want([cid])
        try:
            async for found, block in session:
                if found == cid:
                    return block
                self._ahead[found] = block
        except BlocksUnavailable as error:
            raise BlockNotFound(cid) from error
        raise BlockNotFound(cid)


def _parts_of_file(cid: bytes, block: bytes) -> list[bytes]:
    """What a node of a file will be read on with; nothing for directories, of which one entry is wanted."""
    try:
        node = decode_unixfs(cid, block)
    except StoreError:
        return []
    return [link.cid for link in node.links if inline_block(link.cid) is None] if node.is_file else []


class Reading:
    """Opens readers.

    Args:
        sources_of: connected peers that may have a root's blocks, best first.
    """

    def __init__(self, store: Store, bitswap: Bitswap, sources_of: Callable[[bytes], Sequence[str]]) -> None:
        self._store = store
        self._bitswap = bitswap
        self._sources_of = sources_of

    @asynccontextmanager
    async def open(self, root: bytes) -> AsyncIterator[BlockReader]:
        """A reader for the blocks below `root`."""
        sources = self._sources_of(root)[:READ_SOURCES]
        if not sources:
            yield BlockReader(self._store, None)
            return
        async with self._bitswap.session(sources, stall_timeout_s=STALL_S) as session:
            yield BlockReader(self._store, session)

    async def file(self, root: bytes, cid: bytes) -> AsyncGenerator[bytes, None]:
        """The bytes of the file `cid` below `root`.

        Raises:
            Failed: a block cannot be had, or the DAG is not a file's.
        """
        try:
            async with self.open(root) as reader, aclosing(read_file_async(cid, reader.get)) as parts:
                async for part in parts:
                    yield part
        except StoreError as error:
            raise Failed(f"{cid_text(cid)}: {error}", hint="`pinakothek show` lists who holds it") from error
