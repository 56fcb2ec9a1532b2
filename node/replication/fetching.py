"""Fetch one DAG whole: what is missing of it comes over Bitswap, every block hashed, and is fsynced before it counts.

Blocks that are here already are not fetched again. An interrupted fetch keeps what it has, owned by the fetch, and
goes on from there the next time.
"""

from collections.abc import Iterable, Sequence

import trio

from node.kinds import EMBEDDED
from node.replication.throttle import Throttle
from protocol.net.bitswap import Bitswap, Session
from protocol.net.errors import NetError
from store.cid import inline_block
from store.dag import check_codec, links
from store.errors import (
    BackendFailed,
    BackendRefused,
    BlockCorrupt,
    BlockNotFound,
    DagTooLarge,
    NotInBackend,
    StoreFull,
)
from store.store import Holding, Owner, Store

FLUSH_BYTES = 8 << 20
"""Fetched blocks are put into the store in groups of this size; smaller roots take one group commit in all."""
INLINE_LOOKUPS = 32
MAX_BLOCKS = 1 << 20
"""Of one root: a TiB in 1 MiB blocks."""

Block = tuple[bytes, bytes]


class Fetching:
    """One fetch of one root.

    Args:
        throttle: shared by all fetches of this peer.
        limit_bytes: the root may not be larger.
        room_bytes: what has to come may not be more.

    Attributes:
        size_bytes: of the blocks that are here or have come; grows while it runs.
        received_bytes: of those that have come.
    """

    def __init__(
        self, store: Store, root: bytes, kind: str, throttle: Throttle, *, limit_bytes: int, room_bytes: int
    ) -> None:
        self._store = store
        self._root = root
        self._kind = kind
        self._limit_bytes = limit_bytes
        self._room_bytes = room_bytes
        self._throttle = throttle
        self._session: Session | None = None
        self._offered: set[str] = set()
        self._owner = Owner("fetch", root)
        self._sizes: dict[bytes, int] = {}
        self._batch: list[Block] = []
        self._batch_bytes = 0
        self.size_bytes = 0
        self.received_bytes = 0

    async def run(self, bitswap: Bitswap, sources: Sequence[str]) -> Holding:
        """Fetch, verify, fsync and take hold. What lies on a backend already is only read, and hashed.

        Raises:
            BlocksUnavailable: no source has what is missing; what came is kept for the next try.
            StoreFull: there is no room for what has to come.
            StoreError: a block is malformed, the root exceeds its limit, or the disk refuses.
        """
        self._offered.update(sources)
        if self._kind != EMBEDDED:
            holding = await trio.to_thread.run_sync(self._adopt)
            if holding is not None:
                return holding
        try:
            async with bitswap.session(sources, window_bytes=self._throttle.window_bytes) as session:
                self._session = session
                await self._want(session, [self._root])
                async for cid, block in session:
                    await self._throttle.spend(len(block))
                    below = self._take(cid, block)
                    if below:
                        await self._want(session, below)
                    if self._batch_bytes >= FLUSH_BYTES:
                        await trio.to_thread.run_sync(self._put, self._taken())
        except NetError:
            await trio.to_thread.run_sync(self._put, self._taken())
            raise
        finally:
            self._session = None
        return await trio.to_thread.run_sync(self._finish, self._taken())

    def offer(self, sources: Iterable[str]) -> None:
        """These connected peers have it as well: ask them too. One that was asked before keeps the chance it had."""
        if self._session is not None:
            for peer in sources:
                if peer not in self._offered:
                    self._offered.add(peer)
                    self._session.add_source(peer)

    async def _want(self, session: Session, cids: Iterable[bytes]) -> None:
        new = [cid for cid in dict.fromkeys(cids) if cid not in self._sizes]
        # A thread costs more than a few look-ups; it is worth its while only where blocks are to be read.
        if len(new) > INLINE_LOOKUPS or any(self._store.has(cid) for cid in new):
            new = await trio.to_thread.run_sync(self._walk_what_is_here, new)
        else:
            for cid in new:
                check_codec(cid)
        if new:
            await session.want(new)

    def _take(self, cid: bytes, block: bytes) -> list[bytes]:
        """Count a block and return what it links to that was not seen yet."""
        if cid not in self._sizes:
            self._sizes[cid] = len(block)
            self.size_bytes += len(block)
            self.received_bytes += len(block)
            if self.size_bytes > self._limit_bytes or len(self._sizes) > MAX_BLOCKS:
                raise DagTooLarge("bytes of a root", self.size_bytes, self._limit_bytes, self._root)
            if self.received_bytes > self._room_bytes:
                raise StoreFull(self.received_bytes, self._room_bytes)
            self._batch.append((cid, block))
            self._batch_bytes += len(block)
        return [below for below in dict.fromkeys(links(cid, block)) if below not in self._sizes]

    def _walk_what_is_here(self, cids: list[bytes]) -> list[bytes]:
        """Follow the blocks that this peer has already; the CIDs where that ends.

        What lies on a backend that cannot be asked is fetched like what is not here.
        """
        missing: list[bytes] = []
        waiting = list(reversed(cids))
        while waiting:
            cid = waiting.pop()
            if cid in self._sizes:
                continue
            check_codec(cid)
            block = inline_block(cid)  # an identity CID holds its bytes; no store keeps a block for it
            if block is None:
                try:
                    block = self._store.get(cid)
                except (BlockNotFound, BlockCorrupt, BackendFailed):
                    missing.append(cid)
                    continue
                self._sizes[cid] = len(block)
                self.size_bytes += len(block)
            waiting.extend(reversed(links(cid, block)))
        return list(dict.fromkeys(missing))

    def _adopt(self) -> Holding | None:
        """Hold what lies whole on the backend already: put by a peer that shares it, or before this one knew (in a thread)."""
        try:
            holding = self._store.kinds.adopt(self._root, self._kind)
        except (NotInBackend, BlockCorrupt, BackendRefused):  # a bucket that may not be listed refuses what it has not
            return None
        self._store.drop(self._owner)
        return holding

    def _taken(self) -> list[Block]:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        return batch

    def _put(self, batch: list[Block]) -> None:
        """Keep these blocks for this fetch, or for the next try (in a thread)."""
        if batch:
            self._store.put(batch, owner=self._owner, verified=True)

    def _finish(self, batch: list[Block]) -> Holding:
        """Keep the last blocks and hold the root (in a thread)."""
        self._put(batch)
        return self._store.hold(
            self._root, kind=self._kind, blocks=list(self._sizes), size_bytes=self.size_bytes, frm=self._owner
        )
