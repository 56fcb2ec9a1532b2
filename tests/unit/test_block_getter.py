"""Blocks for others come from whatever backend has them, and none of these holds up the event loop or all threads."""

import threading
from pathlib import Path

import trio

from node.assembly.network import FAR_AT_ONCE, block_getter
from store.backends import MemoryBackend, Range
from store.blocks import block_path
from store.cid import RAW, cid_of
from store.clock import wall_clock_ms
from store.store import Owner, Store

BLOCK = b"a picture" * 10_000
ROOT = cid_of(RAW, BLOCK)
HERE = cid_of(RAW, b"here")


class Slow(MemoryBackend):
    """Does not answer before it is told to, and notes in which threads it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = threading.Event()
        self.answer.set()
        self.threads: set[int] = set()

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        self.threads.add(threading.get_ident())
        assert self.answer.wait(20)
        return super().get(root, name, part)


def opened(home: Path, backend: Slow) -> Store:
    store = Store.open(home, backends={"memory": backend})
    store.put([(ROOT, BLOCK), (HERE, b"here")], owner=Owner("fetch", ROOT))
    store.hold(HERE, kind="ipfs", blocks=[HERE], size_bytes=4, frm=None)
    return store


async def test_a_backend_that_is_slow_leaves_threads_for_others(tmp_path: Path) -> None:
    backend = Slow()
    store = opened(tmp_path / "peer", backend)
    store.hold(ROOT, kind="memory", blocks=[ROOT], size_bytes=len(BLOCK), frm=Owner("fetch", ROOT))
    store.collect(wall_clock_ms())
    get_block = block_getter(store)
    found: list[bytes | None] = []

    async def one() -> None:
        found.append(await get_block(ROOT))

    backend.answer.clear()
    try:
        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(one)
            with trio.fail_after(10):
                await trio.to_thread.run_sync(store.fact, "any")
                assert await get_block(HERE) == b"here"
            assert not found
            backend.answer.set()
        assert found == [BLOCK] * 60
        assert len(backend.threads) <= FAR_AT_ONCE + 8, "and those that put it there"
    finally:
        backend.answer.set()
        store.close()


async def test_a_bad_block_that_lies_on_a_backend_as_well_is_read_there_in_a_thread(tmp_path: Path) -> None:
    backend = Slow()
    store = opened(tmp_path / "peer", backend)
    small = cid_of(RAW, b"small")
    store.put([(small, b"small")], owner=Owner("fetch", small))
    for kind in ("memory", "ipfs"):
        store.hold(small, kind=kind, blocks=[small], size_bytes=5, frm=None)
    try:
        store.settle()
        for pack in (tmp_path / "peer" / "packs").iterdir():
            pack.write_bytes(bytes(pack.stat().st_size))
        backend.threads.clear()
        assert not (tmp_path / "peer" / block_path(small)).exists(), "it is small: it lies in a pack"
        assert await block_getter(store)(small) == b"small"
        assert backend.threads
        assert threading.get_ident() not in backend.threads
    finally:
        store.close()
