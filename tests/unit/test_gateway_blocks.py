"""Where the gateway's blocks come from, with a store and a daemon in memory."""

import asyncio
import threading

import pytest

from node.gateway import blocks
from node.gateway.answers import HttpError
from node.gateway.blocks import Blocks
from store.cid import RAW, cid_of
from store.errors import BlockCorrupt, BlockNotFound, StoreError


class Shelf:
    """A store or a daemon; notes what it was asked for."""

    def __init__(self, *held: bytes) -> None:
        self.held = {cid_of(RAW, block): block for block in held}
        self.asked: list[bytes] = []
        self.failure: StoreError | None = None

    def get(self, cid: bytes) -> bytes:
        self.asked.append(cid)
        if self.failure is not None:
            raise self.failure
        if cid not in self.held:
            raise BlockNotFound(cid)
        return self.held[cid]


def test_memory_then_store_then_daemon() -> None:
    near, far = cid_of(RAW, b"near"), cid_of(RAW, b"far")
    store, daemon = Shelf(b"near"), Shelf(b"far")
    looked = Blocks(store, daemon.get)

    async def ask() -> None:
        for _ in range(2):
            assert await looked.get(near) == b"near"
            assert await looked.get(far) == b"far"

    asyncio.run(ask())
    assert store.asked == [near, far]
    assert daemon.asked == [far]
    assert looked.cached(far) == b"far"


def test_a_block_that_is_damaged_here_is_asked_for() -> None:
    cid = cid_of(RAW, b"x")
    store, daemon = Shelf(b"x"), Shelf(b"x")
    store.failure = BlockCorrupt(cid, cid)
    assert asyncio.run(Blocks(store, daemon.get).get(cid)) == b"x"


def test_a_daemon_is_not_believed() -> None:
    cid = cid_of(RAW, b"x")
    daemon = Shelf()
    daemon.held[cid] = b"y"
    with pytest.raises(BlockCorrupt):
        asyncio.run(Blocks(Shelf(), daemon.get).get(cid))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "CACHE_BYTES", 100)
    monkeypatch.setattr(blocks, "CACHED_BLOCK_BYTES", 60)
    small = [b"%d" % number * 50 for number in range(3)]
    large = b"l" * 61
    looked = Blocks(Shelf(*small, large), Shelf().get)

    async def ask() -> list[bool]:
        for block in (*small, large):
            await looked.get(cid_of(RAW, block))
        return [looked.cached(cid_of(RAW, block)) is not None for block in (*small, large)]

    assert asyncio.run(ask()) == [False, True, True, False]


def test_too_many_questions_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_WAITING", 2)
    answer = threading.Event()

    def slow(cid: bytes) -> bytes:
        assert answer.wait(60)
        raise BlockNotFound(cid)

    looked = Blocks(Shelf(), slow)

    async def ask() -> list[BaseException | bytes]:
        asking = [asyncio.ensure_future(looked.get(cid_of(RAW, b"%d" % number))) for number in range(3)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        answer.set()
        return await asyncio.gather(*asking, return_exceptions=True)

    kinds = sorted(type(result).__name__ for result in asyncio.run(ask()))
    assert kinds == ["BlockNotFound", "BlockNotFound", HttpError.__name__]
    assert looked.turned_away == 1
