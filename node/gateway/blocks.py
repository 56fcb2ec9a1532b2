"""Blocks for the gateway: from memory, else from this peer's store, else from the daemon, hashed before believed.

The public asks; so every step is bounded: the bytes kept, the disk reads and the questions to the daemon at once, the
requests that wait for their turn to ask, and how soon the same absent block is asked for again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from node.gateway.answers import HttpError
from node.gateway.remembered import Remembered
from store.cid import inline_block, verify_block
from store.errors import BlockCorrupt, BlockNotFound, DiskFailed

CACHE_BYTES = 48 << 20
"""A few hundred thumbnails and the directories that lead to them."""
CACHED_BLOCK_BYTES = 512 << 10
"""Larger blocks are leaves of originals, read once; they would push the thumbnails out."""
DISK_THREADS = 4
MAX_ASKING = 16
"""Questions to the daemon at once: the public's curiosity must not become the daemon's load. A guess."""
MAX_WAITING = 256
"""Blocks that are asked for, the waiting ones included; more are turned away with 503."""
ABSENT_S = 10.0
MAX_ABSENT = 10_000
"""Blocks that nobody had, remembered for a moment: 2 MB of memory spare the swarm a search for each reload."""
RETRY = {"Retry-After": "5"}


class LocalBlocks(Protocol):
    """What is asked of `store.reader.Reader`."""

    def get(self, cid: bytes) -> bytes: ...


class Blocks:
    """Verified blocks by CID; concurrent readers of one block share one look-up.

    Args:
        ask_daemon: returns a block that is not here, or raises `BlockNotFound`, or `HttpError` if it cannot be asked.

    Attributes:
        hits, misses: look-ups that memory answered, and that it did not.
        asked, turned_away: questions to the daemon, and those not put because too many were waiting.
    """

    def __init__(self, local: LocalBlocks, ask_daemon: Callable[[bytes], bytes]) -> None:
        self._local = local
        self._ask_daemon = ask_daemon
        self._cache: OrderedDict[bytes, bytes] = OrderedDict()
        self._cached_bytes = 0
        self._under_way: dict[bytes, asyncio.Future[bytes]] = {}
        self._absent: Remembered[bytes, bool] = Remembered(keep_s=ABSENT_S, max_count=MAX_ABSENT)
        self._disk = ThreadPoolExecutor(DISK_THREADS, "disk")
        self._questions = ThreadPoolExecutor(MAX_ASKING, "daemon")
        self._waiting = 0
        self.hits = self.misses = self.asked = self.turned_away = 0

    def cached(self, cid: bytes) -> bytes | None:
        """The block if memory holds it."""
        block = self._cache.get(cid)
        if block is not None:
            self._cache.move_to_end(cid)
            self.hits += 1
        return block

    async def get(self, cid: bytes) -> bytes:
        """The block `cid`.

        Raises:
            BlockNotFound: neither here nor with any peer that was asked.
            HttpError: 503 or 504, the daemon could not be asked.
        """
        block = self.cached(cid)
        if block is not None:
            await asyncio.sleep(0)  # whoever reads many cached blocks in a row lets others have a turn
            return block
        under_way = self._under_way.get(cid)
        if under_way is None:
            under_way = self._under_way[cid] = asyncio.ensure_future(self._look_up(cid))
            under_way.add_done_callback(lambda done: self._done(cid, done))
        return await asyncio.shield(under_way)

    async def get_here(self, cid: bytes) -> bytes:
        """The block, without asking anybody. Raises: BlockNotFound, BlockCorrupt, DiskFailed."""
        block = self.cached(cid)
        if block is None:
            block = inline_block(cid)
        if block is None:
            self.misses += 1
            block = await asyncio.get_running_loop().run_in_executor(self._disk, self._local.get, cid)
            self._keep(cid, block)
        return block

    def _done(self, cid: bytes, done: asyncio.Future[bytes]) -> None:
        del self._under_way[cid]
        if not done.cancelled():
            done.exception()  # looked at, even when everyone who waited has hung up

    async def _look_up(self, cid: bytes) -> bytes:
        try:
            return await self.get_here(cid)
        except (BlockNotFound, BlockCorrupt, DiskFailed):
            if self._absent.get(cid):
                raise BlockNotFound(cid) from None
        try:
            block = await self._ask(cid)
        except BlockNotFound:
            self._absent.put(cid, True)
            raise
        self._keep(cid, block)
        return block

    async def _ask(self, cid: bytes) -> bytes:
        if self._waiting >= MAX_WAITING:
            self.turned_away += 1
            raise HttpError(503, "too many blocks are being looked for; try again soon", RETRY)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._questions, self._question, cid)
        finally:
            self._waiting -= 1

    def _question(self, cid: bytes) -> bytes:
        self.asked += 1
        block = self._ask_daemon(cid)
        verify_block(cid, block)
        return block

    def _keep(self, cid: bytes, block: bytes) -> None:
        if len(block) > CACHED_BLOCK_BYTES or cid in self._cache:
            return
        self._cache[cid] = block
        self._cached_bytes += len(block)
        while self._cached_bytes > CACHE_BYTES:
            _, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= len(dropped)
