"""Blocks over the simulated network: a stand-in for `protocol.net.bitswap.Bitswap`, one block after another."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from protocol.net.bitswap import BitswapCounts
from protocol.net.bitswap_session import BlocksUnavailable
from store.cid import verify_block
from store.errors import BlockCorrupt
from tests.sim.host import SimHost

STALL_S = 20.0


class SimBitswap:
    """Serves and fetches for one host.

    Args:
        read: a block of this peer's store, or None.
        may_serve: whether a peer may have it.
    """

    def __init__(self, host: SimHost, *, read: Callable[[bytes], bytes | None], may_serve: Callable[[str], bool]):
        self.host = host
        self.read = read
        self.may_serve = may_serve
        self.received_bytes = self.sent_bytes = self.received_blocks = 0
        host.blocks = self

    async def run(self, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    @property
    def counts(self) -> BitswapCounts:
        return BitswapCounts(
            received_bytes=self.received_bytes, received_blocks=self.received_blocks, duplicate_blocks=0,
            unsolicited_blocks=0, sent_bytes=self.sent_bytes,
        )  # fmt: skip

    @asynccontextmanager
    async def session(self, sources: Iterable[str], **options: Any) -> AsyncIterator["SimSession"]:
        yield SimSession(self, list(sources))


class SimSession:
    """One fetch: each block is asked of one source after the other."""

    def __init__(self, bitswap: SimBitswap, sources: Sequence[str]) -> None:
        self._bitswap = bitswap
        self._host = bitswap.host
        self._network = bitswap.host.network
        self._sources = list(sources)
        self._wanted: deque[bytes] = deque()
        self._missing: list[bytes] = []
        self._reasons: dict[str, str] = {}
        self.received_bytes: dict[str, int] = {}

    @property
    def sources(self) -> frozenset[str]:
        return frozenset(self._sources)

    async def want(self, cids: Iterable[bytes]) -> None:
        self._wanted.extend(cid for cid in cids if cid not in self._wanted)

    def add_source(self, peer_id: str) -> None:
        if peer_id not in self._sources:
            self._sources.append(peer_id)
            self._wanted.extend(self._missing)
            self._missing.clear()

    def drop_source(self, peer_id: str, reason: str) -> None:
        if peer_id in self._sources:
            self._sources.remove(peer_id)
            self._reasons[peer_id] = reason

    def __aiter__(self) -> "SimSession":
        return self

    async def __anext__(self) -> tuple[bytes, bytes]:
        while self._wanted:
            cid = self._wanted.popleft()
            block = await self._fetch(cid)
            if block is not None:
                return cid, block
            self._missing.append(cid)
        if self._missing:
            raise BlocksUnavailable(self._missing, self._reasons)
        raise StopAsyncIteration

    async def _fetch(self, cid: bytes) -> bytes | None:
        for source in list(self._sources):
            block = await self._ask(source, cid)
            if block is not None and _is(cid, block):
                self._count(source, len(block))
                return block
        return None

    async def _ask(self, source: str, cid: bytes) -> bytes | None:
        me, network = self._host.peer_id, self._network
        await trio.sleep(2 * network.latency_s())
        if not network.linked(me, source):
            self.drop_source(source, "not connected")
            return None
        if not network.joined(me, source):
            await trio.sleep(STALL_S)
            self.drop_source(source, "stalled")
            return None
        there: SimBitswap = network.hosts[source].blocks
        block = there.read(cid) if there.may_serve(me) else None
        if block is None:
            self._reasons[source] = "does not have it"
            return None
        await trio.sleep(len(block) / network.conditions.bytes_per_s)
        if not network.linked(me, source) or not network.joined(me, source):
            self.drop_source(source, "broke off")
            return None
        there.sent_bytes += len(block)
        return block

    def _count(self, source: str, size_bytes: int) -> None:
        self._bitswap.received_bytes += size_bytes
        self._bitswap.received_blocks += 1
        self._network.moved_bytes += size_bytes
        self.received_bytes[source] = self.received_bytes.get(source, 0) + size_bytes


def _is(cid: bytes, block: bytes) -> bool:
    """Whether a block is what it is said to be; the real Bitswap names what comes in by its bytes."""
    try:
        verify_block(cid, block)
    except BlockCorrupt:
        return False
    return True
