"""The store with other backends beside the embedded one: images on each kind, moved, damaged, let go and found again."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store import kept, scrub_kept
from store.backends import Backend, MemoryBackend, local_backend
from store.backends.contract import Stream
from store.catalogue import open_writer
from store.cid import RAW, cid_of, cid_text, codec_of
from store.errors import BackendRefused, BackendUnavailable, BlockCorrupt, BlockNotFound, NotInBackend
from store.schema import MIGRATIONS
from store.store import Owner, RecordEntry, Store
from tests.backends.fragile import Fragile
from tests.backends.images import image
from tests.backends.kinds import KINDS, Made, make
from tests.backends.steps import JOB, check, held, hold_again, leave_embedded, opened_with, take_in
from tests.unit.store.made import HOUR_MS, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fragile() -> Fragile:
    return Fragile()


@pytest.fixture
def store(tmp_path: Path, clock: Clock, fragile: Fragile) -> Iterator[Store]:
    opened = opened_with(tmp_path, clock, {"local": fragile})
    yield opened
    opened.close()


@pytest.mark.parametrize("made", [kind for kind in KINDS if kind != "ipfs"], indirect=True)
def test_an_image_lies_on_each_kind_and_is_read_by_block(made: Made, tmp_path: Path, clock: Clock) -> None:
    backend = made.backend
    backend.store_id("0123456789abcdef")
    one, two = image("one"), image("two")
    store = opened_with(tmp_path, clock, {backend.kind: backend})
    for each in (one, two):
        take_in(store, each, backend.kind)
    store.collect(clock.now_ms)
    assert store.used_bytes() == 0
    assert store.kinds.used_bytes(backend.kind) == one.size_bytes + two.size_bytes
    assert backend.get(one.root, "original.jpg") == one.files["original.jpg"]
    for each in (one, two):
        check(store, each)
    assert store.scrub().blocks_checked == len(one.blocks) + len(two.blocks)
    store.close()
    again = opened_with(tmp_path, clock, {backend.kind: made.again()})
    check(again, one)
    assert held(again) == {(one.root, backend.kind), (two.root, backend.kind)}
    assert not hold_again(again, one, backend.kind)
    again.release(one.root, backend.kind)
    assert again.kinds.departed(clock.now_ms) == []
    clock.now_ms += 2 * HOUR_MS
    assert again.kinds.departed(clock.now_ms) == [(one.root, backend.kind)]
    assert again.kinds.erase(one.root, backend.kind)
    assert again.kinds.departed(clock.now_ms) == []
    assert set(backend.roots()) == {two.root}
    for cid in one.blocks.keys() - two.blocks.keys():
        assert again.size(cid) is None
        with pytest.raises(BlockNotFound):
            again.get(cid)
    check(again, two)
    assert again.kinds.used_bytes(backend.kind) == two.size_bytes
    again.close()


@pytest.fixture
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    with make(request) as found:
        yield found


def test_an_image_moves_through_the_kinds_and_back(tmp_path: Path, clock: Clock) -> None:
    backends: dict[str, Backend] = {"local": local_backend(tmp_path / "images"), "memory": MemoryBackend()}
    for backend in backends.values():
        backend.store_id("0123456789abcdef")
    store = opened_with(tmp_path, clock, backends)
    one = image("one")
    take_in(store, one, "ipfs")
    at = "ipfs"
    for kind in ("local", "memory", "local", "ipfs"):
        assert hold_again(store, one, kind)
        assert held(store) == {(one.root, at), (one.root, kind)}
        store.release(one.root, at)
        leave_embedded(store, clock)
        for root, gone in store.kinds.departed(clock.now_ms):
            assert store.kinds.erase(root, gone)
        check(store, one)
        at = kind
    assert {kind: list(backend.roots()) for kind, backend in backends.items()} == {"local": [], "memory": []}
    assert store.used_bytes() == one.size_bytes
    assert store.fetches() == []
    store.close()


def test_a_kind_that_is_not_configured_is_refused(store: Store) -> None:
    one = image("one")
    store.put(one.blocks.items(), owner=JOB)
    with pytest.raises(BackendRefused, match="backend s3: not configured"):
        store.hold(one.root, kind="s3", blocks=list(one.blocks), size_bytes=1, frm=JOB)
    assert held(store) == set()


def test_a_backend_that_falls_silent_is_waited_for_as_long_as_is_said(store: Store, fragile: Fragile) -> None:
    """Then the image may be kept elsewhere; what was under way ends by itself, and holds nothing."""
    one = image("one")
    record = RecordEntry(key=b"k", kind="pin", raw=b"r")
    store.put(one.blocks.items(), owner=JOB)
    fragile.silence = threading.Event()
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="it takes too long"):
            store.commit_image(one.root, "local", list(one.blocks), 1, JOB, [record], patience_s=0.05)
    assert held(store) == set()
    assert list(store.load_records()) == []
    store.commit_image(one.root, "ipfs", list(one.blocks), 1, JOB, [record])
    fragile.silence.set()
    assert hold_again(store, one, "local")
    assert held(store) == {(one.root, "ipfs"), (one.root, "local")}
    check(store, one)


def test_garbled_puts_are_never_held(store: Store, fragile: Fragile, clock: Clock) -> None:
    one = image("one")
    store.put(one.blocks.items(), owner=JOB)
    fragile.garbles = True
    with pytest.raises(BlockCorrupt):
        store.commit_image(one.root, "local", list(one.blocks), 1, JOB, [RecordEntry(key=b"k", kind="pin", raw=b"r")])
    assert held(store) == set()
    assert list(store.load_records()) == []
    fragile.garbles = False
    check(store, one)
    clock.now_ms += 2 * HOUR_MS
    assert store.kinds.departed(clock.now_ms) == [(one.root, "local")]
    store.commit_image(one.root, "local", list(one.blocks), 1, JOB, [])
    assert store.kinds.departed(clock.now_ms + 2 * HOUR_MS) == []
    check(store, one)


def test_what_was_put_before_a_failure_is_not_put_again(store: Store, fragile: Fragile) -> None:
    one = image("one")
    store.put(one.blocks.items(), owner=JOB)
    last = cid_text(one.root)

    def failing(root: bytes, name: str, stream: Stream) -> int:
        if name == last:
            raise BackendUnavailable("memory", "is down")
        return Fragile.put(fragile, root, name, stream)

    fragile.put = failing  # type: ignore[method-assign]
    with pytest.raises(BackendUnavailable):
        store.hold(one.root, kind="local", blocks=list(one.blocks), size_bytes=1, frm=JOB)
    first = list(fragile.puts)
    assert "original.jpg" in first
    del fragile.put  # type: ignore[method-assign]
    store.hold(one.root, kind="local", blocks=list(one.blocks), size_bytes=1, frm=JOB)
    assert fragile.puts == [*first, last]
    check(store, one)


def test_a_backend_that_is_down_loses_nothing(store: Store, fragile: Fragile) -> None:
    one = image("one")
    take_in(store, one, "local")
    store.collect(store._clock_ms())
    fragile.down = True
    for cid in one.blocks:
        assert store.has(cid)
        with pytest.raises(BackendUnavailable):
            store.get(cid)
    result = store.scrub()
    assert (result.bad, result.finished) == ((), True)
    assert store.kinds.missing("local") == []
    fragile.down = False
    check(store, one)


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_damaged_object_is_found_retracted_and_made_whole(
    store: Store, fragile: Fragile, clock: Clock, damage: str
) -> None:
    one = image("one")
    take_in(store, one, "local")
    store.collect(clock.now_ms)
    name, content = one.original
    bad = cid_of(RAW, content[-(len(content) - (2 << 20)) :])
    if damage == "changed":
        fragile._objects[one.root, name] = content[:-1] + b"?"
    elif damage == "cut":
        fragile._objects[one.root, name] = content[:-1]
    else:
        MemoryBackend.delete(fragile, one.root, name)
    result = store.scrub()
    lost = {bad} if damage != "gone" else {cid for cid in one.blocks if len(one.blocks[cid]) > 100_000}
    assert set(result.bad) == lost
    assert {cid for cid, roots in store.kinds.missing("local") if roots == (one.root,)} == lost
    assert store.size(bad) is None
    assert [result.check for result in store.check() if not result.ok] == ["backends"]
    store.retract([one.root], "local")
    assert held(store) == set()
    assert store.kinds.missing("local") == []
    fetch = Owner("fetch", one.root)
    store.put([(cid, one.blocks[cid]) for cid in lost], owner=fetch)
    fragile.puts.clear()
    store.hold(one.root, kind="local", blocks=list(one.blocks), size_bytes=one.size_bytes, frm=fetch)
    assert fragile.puts == [name, cid_text(one.root)]
    store.collect(clock.now_ms)
    check(store, one)


def test_what_is_retracted_goes_after_a_day(store: Store, fragile: Fragile, clock: Clock) -> None:
    one = image("one")
    take_in(store, one, "local")
    store.retract([one.root], "local")
    assert store.kinds.departed(clock.now_ms + 23 * HOUR_MS) == []
    assert store.kinds.departed(clock.now_ms + 25 * HOUR_MS) == [(one.root, "local")]


def test_what_is_wanted_again_is_not_erased(store: Store, fragile: Fragile, clock: Clock) -> None:
    one = image("one")
    take_in(store, one, "local")
    store.release(one.root, "local")
    clock.now_ms += 2 * HOUR_MS
    assert store.kinds.departed(clock.now_ms) == [(one.root, "local")]
    fragile.puts.clear()
    assert hold_again(store, one, "local")
    assert not store.kinds.erase(one.root, "local")
    assert fragile.puts == [cid_text(one.root)], "a Kubo may have unpinned it meanwhile"
    check(store, one)


def test_what_is_let_go_while_it_is_looked_at_is_held_like_any_other(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a block of it that is lost would never be missed, because it counts as going."""
    one = image("one")
    take_in(store, one, "local")
    is_whole = kept.is_whole

    def let_go(*asked: Any) -> bool:
        found = is_whole(*asked)
        monkeypatch.setattr(kept, "is_whole", is_whole)
        store.release(one.root, "local")
        return found

    monkeypatch.setattr(kept, "is_whole", let_go)
    store.put(one.blocks.items(), owner=JOB)
    assert hold_again(store, one, "local")
    assert kept.state(store._readers, one.root, "local") == kept.HELD
    assert store.kinds.departed(clock.now_ms + 30 * HOUR_MS) == []


def test_what_is_let_go_while_putting_it_fails_goes(store: Store, fragile: Fragile, clock: Clock) -> None:
    one = image("one", size_bytes=3000)
    take_in(store, one, "local")
    MemoryBackend.delete(fragile, one.root, "small.webp")
    store.scrub()
    store.put(one.blocks.items(), owner=JOB)

    def failing(root: bytes, name: str, stream: Stream) -> int:
        store.release(one.root, "local")
        raise BackendUnavailable("memory", "is down")

    fragile.put = failing  # type: ignore[method-assign]
    with pytest.raises(BackendUnavailable):
        hold_again(store, one, "local")
    assert held(store) == set()
    assert store.kinds.departed(clock.now_ms + 2 * HOUR_MS) == [(one.root, "local")]


def test_an_erasure_that_fails_goes_on_later(store: Store, fragile: Fragile, clock: Clock) -> None:
    one = image("one")
    take_in(store, one, "local")
    store.release(one.root, "local")
    leave_embedded(store, clock)
    fragile.down = True
    with pytest.raises(BackendUnavailable):
        store.kinds.erase(one.root, "local")
    assert not store.has(one.root)
    assert store.kinds.departed(clock.now_ms) == [(one.root, "local")]
    fragile.down = False
    assert store.kinds.erase(one.root, "local")
    assert list(fragile.roots()) == []


def test_a_lost_catalogue_is_found_again_in_the_backend(
    store: Store, fragile: Fragile, tmp_path: Path, clock: Clock
) -> None:
    one, two = image("one"), image("two")
    for each in (one, two):
        take_in(store, each, "local")
    take_in(store, image("three"), "local")
    store.collect(clock.now_ms)
    store.close()
    for path in (tmp_path / "peer").glob("catalogue.db*"):
        path.unlink()
    again = opened_with(tmp_path, clock, {"local": fragile})
    again.begin_recovery()
    assert not again.has(one.root)
    for each in (one, two):
        fragile.puts.clear()
        assert again.kinds.adopt(each.root, "local").size_bytes == each.size_bytes
        assert fragile.puts == [cid_text(each.root)], "it is kept there from then on: a Kubo pins it"
        check(again, each)
    assert held(again) == {(one.root, "local"), (two.root, "local")}
    again.release(two.root, "local")
    clock.now_ms += 9 * HOUR_MS
    assert again.kinds.departed(clock.now_ms) == []
    assert not again.kinds.erase(two.root, "local")
    again.finish_recovery()
    assert again.kinds.departed(clock.now_ms) == []
    assert again.kinds.departed(clock.now_ms + 2 * HOUR_MS) == [(two.root, "local")]
    MemoryBackend.delete(fragile, image("three").root, "small.webp")
    with pytest.raises(NotInBackend):
        again.kinds.adopt(image("three").root, "local")
    again.close()


def test_no_look_for_what_departed_goes_through_all_roots(store: Store) -> None:
    marks = [(state, 0) for state in ("going", "retracted", "erasing")]
    with store._readers.connection() as db:
        asked: list[str] = []
        db.exec_trace = lambda _, sql, __: asked.append(sql) or True  # type: ignore[func-returns-value]
    kept.in_states(store._readers, marks)
    with store._readers.connection() as db:
        db.exec_trace = None
        values = tuple(value for pair in marks for value in pair)
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {asked[-1]}", values))
    assert "kept_changing" in plan
    assert "SCAN kept_roots" not in plan.replace("SCAN kept_roots USING INDEX kept_changing", "")


def test_any_dag_lies_by_its_blocks(store: Store, fragile: Fragile) -> None:
    leaf = cid_of(RAW, b"leaf")
    node = b"\xa1dleaf\xd8\x2a\x58\x25\x00" + leaf
    root = cid_of(0x71, node)
    store.put([(leaf, b"leaf"), (root, node)], owner=JOB)
    store.hold(root, kind="local", blocks=[root, leaf], size_bytes=1, frm=JOB)
    assert {entry.name for entry in fragile.list(root)} == {cid_text(root), cid_text(leaf)}
    store.collect(store._clock_ms())
    assert store.get(root) == node
    assert codec_of(root) == 0x71


def test_scrub_goes_on_where_it_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub_kept, "PAGE_ROWS", 2)
    one, two = image("one"), image("two")
    take_in(store, one, "local")
    take_in(store, two, "ipfs")
    store.collect(store._clock_ms())
    for _ in range(2):
        checked, calls, finished = 0, 0, False
        while not finished:
            result = store.scrub(1 << 20)
            checked, calls, finished = checked + result.blocks_checked, calls + 1, result.finished
        assert checked == len(one.blocks) + len(two.blocks)
        assert calls > 3


def test_a_catalogue_of_the_first_version_opens(tmp_path: Path, clock: Clock, fragile: Fragile) -> None:
    one, two = image("one"), image("two")
    (tmp_path / "peer").mkdir()
    db = open_writer(str(tmp_path / "peer" / "catalogue.db"), "")
    db.execute(MIGRATIONS[0])
    db.execute("INSERT INTO holdings VALUES (?, 'ipfs', 1, 1, 1, 0)", (two.root,))
    db.pragma("user_version", 1)
    db.close()
    store = opened_with(tmp_path, clock, {"local": fragile})
    take_in(store, one, "ipfs")
    assert hold_again(store, one, "local")
    check(store, one)
    assert held(store) == {(two.root, "ipfs"), (one.root, "ipfs"), (one.root, "local")}
    store.close()
