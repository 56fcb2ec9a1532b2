"""The store with a backend in trouble: a crash while a root is put anew, and one that hangs."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from store import facts, kept, kinds, promises
from store.backends.contract import Stream
from store.cid import cid_text
from store.commits import Batch
from store.errors import BackendUnavailable, BlockNotFound, DiskFailed
from store.kinds import Kinds
from store.store import Owner
from tests.backends.blocks import Blocks
from tests.backends.fragile import Fragile
from tests.backends.images import image
from tests.backends.steps import JOB, held, hold_again, leave_embedded, opened_with, take_in
from tests.unit.store.made import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Pinning(Blocks):
    """A Kubo in memory, whose pins may fail."""

    pins = True

    def _keep(self, root: bytes) -> None:
        if not self.pins:
            raise BackendUnavailable(self.place, "did not answer in time")
        super()._keep(root)


def test_what_was_held_and_is_put_anew_is_still_held_after_a_crash(tmp_path: Path, clock: Clock) -> None:
    """And its bad block is still known, so that it is retracted."""
    one, fragile = image("one", size_bytes=3000), Fragile()
    store = opened_with(tmp_path, clock, {"local": fragile})
    take_in(store, one, "local")
    leave_embedded(store, clock)
    fragile.delete(one.root, "small.webp")
    lost = [cid for cid, block in one.blocks.items() if block == one.files["small.webp"]]
    with pytest.raises(BlockNotFound):
        store.get(lost[0])
    store._writer.run(lambda batch: kept.begin(batch.db, one.root, "local", clock.now_ms))
    store.close()
    again = opened_with(tmp_path, clock, {"local": fragile})
    assert held(again) == {(one.root, "local")}
    assert again.kinds.missing("local") == [(lost[0], (one.root,))]
    again.close()


@pytest.mark.parametrize("unpinned", ["the pin failed", "an erasure broke off"])
def test_a_root_whose_blocks_are_there_is_pinned_all_the_same(tmp_path: Path, clock: Clock, unpinned: str) -> None:
    """Kubo has every block, and would collect them."""
    one, blocks = image("one", size_bytes=3000), Pinning()
    store = opened_with(tmp_path, clock, {"kubo": blocks})
    store.put(one.blocks.items(), owner=JOB)
    if unpinned == "the pin failed":
        blocks.pins = False
        with pytest.raises(BackendUnavailable):
            hold_again(store, one, "kubo")
        blocks.pins = True
    else:
        take_in(store, one, "kubo")
        store.release(one.root, "kubo")
        store._writer.run(lambda batch: kept.unlist(batch.db, one.root, "kubo", clock.now_ms))
        blocks.delete(one.root, cid_text(one.root))
        store.put(one.blocks.items(), owner=JOB)
    assert blocks.kept == set()
    assert hold_again(store, one, "kubo")
    assert blocks.kept == {one.root}
    store.close()


def test_a_root_that_takes_long_to_list_is_erased_all_the_same(tmp_path: Path, clock: Clock) -> None:
    """A Kubo reads every block of a root to list it; that a large one takes longer than what was said holds is no end of it."""
    reads = 0

    class Slow(Blocks):
        def _get_block(self, cid: bytes) -> bytes:
            nonlocal reads
            reads += 1
            return super()._get_block(cid)

    one, blocks = image("one", size_bytes=3000), Slow()
    store = opened_with(tmp_path, clock, {"kubo": blocks})
    take_in(store, one, "kubo")
    store.release(one.root, "kubo")
    with pytest.MonkeyPatch.context() as patch:
        reads = 0
        patch.setattr(kinds, "steady_s", lambda: kinds.ERASE_S * reads)
        assert store.kinds.erase(one.root, "kubo", begun_s=0.0)
    assert blocks.kept == set()
    store.close()


def test_nothing_is_erased_where_the_disk_took_too_long_to_unlist_it(tmp_path: Path, clock: Clock) -> None:
    one, fragile, slow_s, unlist = image("one", size_bytes=3000), Fragile(), 0.0, kept.unlist
    store = opened_with(tmp_path, clock, {"local": fragile})
    take_in(store, one, "local")
    store.release(one.root, "local")

    def stalled(*args: Any) -> bool:
        nonlocal slow_s
        slow_s = 2 * kinds.ERASE_S
        return unlist(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "unlist", stalled)
        patch.setattr(kinds, "steady_s", lambda: slow_s)
        with pytest.raises(BackendUnavailable, match="nothing is erased on what was said"):
            store.kinds.erase(one.root, "local", begun_s=0.0)
    assert fragile.stat(one.root, cid_text(one.root))
    assert store.kinds.erase(one.root, "local")
    store.close()


def test_a_backend_that_hangs_keeps_no_other_from_its_work(tmp_path: Path, clock: Clock) -> None:
    answer = threading.Event()

    class Hanging(Fragile):
        kind = "s3"

        def put(self, root: bytes, name: str, stream: Stream) -> int:
            answer.wait(180)
            raise BackendUnavailable(self.place, "did not answer in time")

    hanging, well = Hanging(), Fragile()
    store = opened_with(tmp_path, clock, {"s3": hanging, "local": well})
    roots = [image(f"hangs {n}", size_bytes=3000) for n in range(5)]
    well_one = image("well", size_bytes=3000)
    for each in (*roots, well_one):
        store.put(each.blocks.items(), owner=JOB)
    with ThreadPoolExecutor(len(roots)) as pool:
        futures = [pool.submit(hold_again, store, each, "s3") for each in roots]
        done = ThreadPoolExecutor(1)
        try:
            assert done.submit(hold_again, store, well_one, "local").result(timeout=120)
        finally:
            answer.set()
            done.shutdown()
        for future in futures:
            with pytest.raises(BackendUnavailable):
                future.result()
    store.close()


def test_what_was_promised_to_one_peer_stands_when_another_is_refused(tmp_path: Path, clock: Clock) -> None:
    """The first asks between two steps of a put, the second after both: neither the put nor the first may be let down."""
    one, fragile = image("one", size_bytes=3000), Fragile()
    store = opened_with(tmp_path, clock, {"local": fragile})
    store.put(one.blocks.items(), owner=JOB)
    checks = iter([store.kinds._check_promise])

    def check(root: bytes, kind: str) -> None:
        if next(checks, None) is None:
            assert not store.kinds.promise(one.root, "local"), "by now it is being put"
            Kinds._check_promise(store.kinds, root, kind)
        else:
            Kinds._check_promise(store.kinds, root, kind)
            assert store.kinds.promise(one.root, "local")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.kinds, "_check_promise", check)
        with pytest.raises(BackendUnavailable, match="another peer that shares it erases"):
            hold_again(store, one, "local")
    assert fragile.puts == []
    store.close()


def pass_time(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """By the clock that does not jump."""
    since_s = promises.steady_s()
    patch.setattr(promises, "steady_s", lambda: since_s + seconds)


def test_what_was_promised_stands_after_a_restart(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was told that it may erase goes on meanwhile, and what is put there now would be gone a moment later.

    However far the clock was set forward in between.
    """
    one, fragile = image("one", size_bytes=3000), Fragile()
    store = opened_with(tmp_path, clock, {"local": fragile})
    store.put(one.blocks.items(), owner=Owner("fetch", one.root))
    assert store.kinds.promise(one.root, "local")
    store.close()
    clock.now_ms += 365 * 86_400_000
    again = opened_with(tmp_path, clock, {"local": fragile})
    pass_time(monkeypatch, promises.PROMISE_S - 60)
    with pytest.raises(BackendUnavailable, match="another peer that shares it erases"):
        hold_again(again, one, "local")
    assert fragile.puts == []
    pass_time(monkeypatch, 60)
    assert hold_again(again, one, "local")
    assert again.kinds.promise(image("another", size_bytes=3000).root, "local")
    assert len(again.facts(promises.FACT)) == 1, "what is over is forgotten"
    again.close()


def test_what_is_over_is_forgotten_on_disk_though_the_next_promise_was_refused(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, held_here = image("one", size_bytes=3000), image("held", size_bytes=3000)
    store = opened_with(tmp_path, clock, {"local": Fragile()})
    take_in(store, held_here, "local")
    assert store.kinds.promise(one.root, "local")
    pass_time(monkeypatch, promises.PROMISE_S)
    assert not store.kinds.promise(held_here.root, "local")
    assert store.kinds.promise(image("another", size_bytes=3000).root, "local")
    assert len(store.facts(promises.FACT)) == 1
    store.close()


def test_nothing_is_promised_that_a_disk_refuses_to_keep(tmp_path: Path, clock: Clock) -> None:
    one = image("one", size_bytes=3000)
    store = opened_with(tmp_path, clock, {"local": Fragile()})
    store.put(one.blocks.items(), owner=JOB)

    def refuse(batch: Batch, changes: object) -> None:
        raise OSError(errno.EIO, "bad")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facts, "put", refuse)
        with pytest.raises(DiskFailed):
            store.kinds.promise(one.root, "local")
    assert not store.kinds._promises._until_s, "nor is what was asked for remembered"
    assert hold_again(store, one, "local")
    store.close()
