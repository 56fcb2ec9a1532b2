"""Blocks of the store: what goes in comes out, whoever owns it, and goes an hour after nobody does."""

import errno
import threading
from pathlib import Path

import pytest

from store.blocks import block_path
from store.car import CarReader
from store.cid import DAG_PB, RAW, cid_of, identity_cid
from store.errors import BlockCorrupt, BlockNotFound, DiskFailed, StoreFull
from store.store import Owner, Store
from tests.unit.store.made import HOUR_MS, Block, Clock, FailingDisk, block, large

JOB = Owner("job", b"add 1")
FETCH = Owner("fetch", b"fetch 1")
CHANGES_OF_A_PUT = 10
"""Of two large blocks and a small one: three files made, written and fsynced, and their folder."""


def bad_checks(store: Store) -> list[str]:
    return [result.check for result in store.check() if not result.ok]


def hold(store: Store, root: Block, blocks: list[Block], frm: Owner | None = JOB) -> None:
    store.hold(root[0], kind="ipfs", blocks=[cid for cid, _ in blocks], size_bytes=1, frm=frm)


def test_a_block_comes_back_byte_for_byte_from_file_and_pack(store: Store) -> None:
    blocks = [large("file"), block("small"), block("empty", 0), block("just small", 65535), block("just large", 65536)]
    assert store.put(blocks, owner=JOB) == sum(len(content) for _, content in blocks)
    for cid, content in blocks:
        assert store.get(cid) == content
        assert store.size(cid) == len(content)
    assert store.used_bytes() == sum(len(content) for _, content in blocks)
    assert bad_checks(store) == []


def test_an_empty_block_outlives_the_packs_around_it(store: Store, clock: Clock) -> None:
    empty, gone = block("empty", 0), [block(f"gone {n}") for n in range(20)]
    store.put([empty, *gone], owner=JOB)
    hold(store, empty, [empty])
    store.drop(JOB)
    store.settle()
    for _ in range(2):
        clock.now_ms += 2 * HOUR_MS
        store.collect(clock.now_ms)
        store.settle()
        assert store.get(empty[0]) == b""
        assert bad_checks(store) == []


def test_larger_blocks_lie_in_files_as_flatfs_has_them_and_small_ones_in_a_car(store: Store, home: Path) -> None:
    big, small = large("big"), [block("one"), block("two")]
    store.put([big, *small], owner=JOB)
    store.settle()
    path = home / block_path(big[0])
    assert path.read_bytes() == big[1]
    assert path.parent.name == path.name.removesuffix(".data")[-3:-1]
    (pack,) = (home / "packs").iterdir()
    with pack.open("rb") as stream:
        assert [(frame.cid, frame.data) for frame in CarReader(stream)] == small


def test_absent_blocks_are_named(store: Store) -> None:
    cid, _ = block("never stored")
    assert not store.has(cid)
    assert store.size(cid) is None
    with pytest.raises(BlockNotFound, match="bafkrei"):
        store.get(cid)


def test_version_0_and_version_1_of_a_node_are_one_block(store: Store) -> None:
    content = b"\x0a\x02\x08\x01"
    version_1 = cid_of(DAG_PB, content)
    version_0 = version_1[2:]
    assert store.put([(version_0, content)], owner=JOB) == len(content)
    assert store.put([(version_1, content)], owner=FETCH) == 0
    assert store.get(version_1) == store.get(version_0) == content


def test_an_identity_cid_holds_its_own_bytes_and_is_not_stored(store: Store) -> None:
    cid = identity_cid(RAW, b"here")
    assert store.put([(cid, b"here")], owner=JOB) == 0
    assert store.get(cid) == b"here"
    assert store.has(cid)
    assert store.size(cid) == 4


def test_bytes_that_do_not_hash_to_their_cid_are_refused_and_leave_nothing(store: Store) -> None:
    with pytest.raises(BlockCorrupt):
        store.put([large("good"), block("small"), (large("other")[0], b"bytes of something else")], owner=JOB)
    assert store.used_bytes() == 0
    assert not store.has(large("good")[0])
    assert bad_checks(store) == []


def test_the_same_block_twice_is_stored_once(store: Store) -> None:
    big, small = large("big"), block("small")
    assert store.put([big, small, big, small], owner=JOB) == len(big[1]) + len(small[1])
    assert store.put([big, small], owner=FETCH) == 0
    assert bad_checks(store) == []


def test_blocks_go_an_hour_after_their_last_owner(store: Store, clock: Clock, home: Path) -> None:
    blocks = [large("big"), block("small")]
    store.put(blocks, owner=JOB)
    store.put(blocks, owner=FETCH)
    store.drop(JOB)
    clock.now_ms += 2 * HOUR_MS
    assert store.collect(clock.now_ms).blocks == 0
    store.drop(FETCH)
    assert store.collect(clock.now_ms + HOUR_MS - 1).blocks == 0
    assert all(store.has(cid) for cid, _ in blocks)
    collected = store.collect(clock.now_ms + HOUR_MS)
    assert (collected.blocks, collected.size_bytes) == (2, 70_100)
    assert store.used_bytes() == 0
    assert bad_checks(store) == []
    assert [path for path in home.rglob("*") if path.suffix in (".data", ".car")] == []


def test_being_put_again_keeps_an_unowned_block(store: Store, clock: Clock) -> None:
    blocks = [large("big"), block("small")]
    store.put(blocks, owner=JOB)
    store.drop(JOB)
    clock.now_ms += 2 * HOUR_MS
    assert store.put(blocks, owner=FETCH) == 0
    assert store.collect(clock.now_ms).blocks == 0
    assert [store.get(cid) for cid, _ in blocks] == [content for _, content in blocks]


def test_a_block_collected_and_put_again_is_there(store: Store, clock: Clock) -> None:
    blocks = [large("big"), block("small")]
    for _ in range(3):
        store.put(blocks, owner=JOB)
        store.drop(JOB)
        clock.now_ms += 2 * HOUR_MS
        store.collect(clock.now_ms)
    store.put(blocks, owner=JOB)
    assert [store.get(cid) for cid, _ in blocks] == [content for _, content in blocks]
    assert bad_checks(store) == []


def test_a_root_shares_blocks_with_another_and_keeps_them(store: Store, clock: Clock) -> None:
    shared, mine, yours = large("shared"), block("mine"), block("yours")
    store.put([shared, mine, yours], owner=JOB)
    hold(store, mine, [shared, mine])
    hold(store, yours, [shared, yours])
    store.drop(JOB)
    store.release(mine[0], "ipfs")
    clock.now_ms += 2 * HOUR_MS
    store.collect(clock.now_ms)
    assert not store.has(mine[0])
    assert store.get(shared[0]) == shared[1]


def test_holding_a_root_needs_every_block(store: Store) -> None:
    here, absent = block("here"), block("absent")
    store.put([here], owner=JOB)
    with pytest.raises(BlockNotFound):
        hold(store, here, [here, absent])
    assert store.holdings() == []


def test_jobs_lose_their_blocks_when_the_store_is_opened_again_and_fetches_do_not(home: Path, clock: Clock) -> None:
    store = Store.open(home, clock_ms=clock)
    store.put([large("of the job")], owner=JOB)
    store.put([large("of the fetch")], owner=FETCH)
    store.close()
    store = Store.open(home, clock_ms=clock)
    try:
        clock.now_ms += 2 * HOUR_MS
        store.collect(clock.now_ms)
        assert not store.has(large("of the job")[0])
        assert store.has(large("of the fetch")[0])
        assert store.used_bytes() == 70_000
        assert store.stale_fetches(clock.now_ms) == []
        assert store.stale_fetches(clock.now_ms + 24 * HOUR_MS) == [FETCH]
    finally:
        store.close()


def test_a_pack_that_is_mostly_dead_is_written_anew(store: Store, clock: Clock, home: Path) -> None:
    keep, go = [block(f"keep {n}") for n in range(3)], [block(f"go {n}") for n in range(20)]
    store.put([*keep, *go], owner=JOB)
    hold(store, keep[0], keep)
    store.drop(JOB)
    store.settle()
    (before,) = (home / "packs").iterdir()
    clock.now_ms += 2 * HOUR_MS
    assert store.collect(clock.now_ms).packs == 1
    assert bad_checks(store) == []
    (after,) = (home / "packs").iterdir()
    assert after.name != before.name
    assert [store.get(cid) for cid, _ in keep] == [content for _, content in keep]


def test_a_bad_file_is_never_served_but_missed_and_healed(store: Store, home: Path) -> None:
    big = large("big")
    store.put([big], owner=JOB)
    hold(store, big, [big])
    store.settle()
    (home / block_path(big[0])).write_bytes(b"rotten")
    with pytest.raises(BlockCorrupt):
        store.get(big[0])
    with pytest.raises(BlockNotFound):
        store.get(big[0])
    assert store.missing() == [(big[0], (big[0],))]
    assert store.used_bytes() == 0
    store.settle()
    assert [path.read_bytes() for path in (home / "quarantine").iterdir()] == [b"rotten"]
    assert store.put([big], owner=FETCH) == len(big[1])
    assert store.get(big[0]) == big[1]
    assert store.missing() == []
    assert bad_checks(store) == []


def test_a_vanished_file_is_missed(store: Store, home: Path) -> None:
    big = large("big")
    store.put([big], owner=JOB)
    store.settle()
    (home / block_path(big[0])).unlink()
    assert bad_checks(store) == ["blocks"]
    with pytest.raises(BlockNotFound):
        store.get(big[0])
    assert store.missing() == [(big[0], ())]


def test_scrub_finds_bad_blocks_in_files_and_packs(store: Store, home: Path) -> None:
    blocks = [large("a"), large("b"), block("c", 5000), block("d", 5000)]
    store.put(blocks, owner=JOB)
    store.settle()
    (home / block_path(blocks[1][0])).write_bytes(blocks[1][1][:-1] + b"?")
    (pack,) = (home / "packs").iterdir()
    content = pack.read_bytes()
    pack.write_bytes(content.replace(blocks[2][1][:50], b"?" * 50))
    result = store.scrub()
    assert set(result.bad) == {blocks[1][0], blocks[2][0]}
    assert (result.blocks_checked, result.finished) == (4, True)
    assert store.scrub().bad == ()
    assert store.get(blocks[3][0]) == blocks[3][1]


def test_scrub_goes_on_where_it_stopped(store: Store) -> None:
    store.put([block(f"{n}", 1000) for n in range(10)], owner=JOB)
    results = [store.scrub(max_bytes=4000) for _ in range(3)]
    assert [result.blocks_checked for result in results] == [4, 4, 2]
    assert [result.finished for result in results] == [False, False, True]
    assert store.scrub(max_bytes=4000).blocks_checked == 4


def test_threads_that_put_and_collect_at_once_lose_nothing(store: Store, clock: Clock) -> None:
    shared = [large("shared"), block("shared too")]
    stop = threading.Event()
    failures: list[Exception] = []

    def add(number: int) -> None:
        try:
            for turn in range(15):
                job = Owner("job", b"%d" % number)
                mine = [*shared, large(f"{number} {turn}"), block(f"{number} {turn}")]
                store.put(mine, owner=job)
                for cid, content in mine:
                    assert store.get(cid) == content
                store.drop(job)
        except Exception as error:  # noqa: BLE001 - reported below
            failures.append(error)

    def collect() -> None:
        while not stop.is_set():
            clock.now_ms += 2 * HOUR_MS
            store.collect(clock.now_ms)

    collector = threading.Thread(target=collect)
    adders = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in [collector, *adders]:
        thread.start()
    for thread in adders:
        thread.join()
    stop.set()
    collector.join()
    assert failures == []
    clock.now_ms += 2 * HOUR_MS
    store.collect(clock.now_ms)
    assert store.used_bytes() == 0
    assert bad_checks(store) == []


@pytest.mark.parametrize("left", range(CHANGES_OF_A_PUT + 1))
def test_a_disk_that_fills_up_leaves_nothing_half_stored(store: Store, disk: FailingDisk, left: int) -> None:
    store.put([large("before")], owner=FETCH)
    store.settle()
    disk.only = ("create", "write", "fsync", "fsync_folder")
    disk.left, disk.fails_with = left, errno.ENOSPC
    try:
        store.put([large("big"), large("bigger"), block("small")], owner=JOB)
        full = False
    except StoreFull:
        full = True
    disk.fails_with = None
    assert full == (left < CHANGES_OF_A_PUT)
    assert store.used_bytes() == (70_000 if full else 3 * 70_000 + 100)
    assert store.has(large("big")[0]) != full
    assert bad_checks(store) == []
    store.put([large("big"), block("small")], owner=JOB)
    assert store.get(large("big")[0]) == large("big")[1]


def test_a_disk_with_too_little_room_is_full_before_anything_is_written(
    store: Store, disk: FailingDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda path: 1000)
    with pytest.raises(StoreFull, match="70000 bytes needed"):
        store.put([large("big")], owner=JOB)
    assert bad_checks(store) == []


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EIO, errno.EACCES])
def test_a_disk_that_refuses_is_named_with_a_hint(store: Store, disk: FailingDisk, reason: int) -> None:
    disk.fails_with = reason
    with pytest.raises(DiskFailed) as caught:
        store.put([large("big")], owner=JOB)
    assert caught.value.retryable
    assert "staging" in caught.value.path
    assert caught.value.hint
    disk.fails_with = None
    assert store.used_bytes() == 0
    assert bad_checks(store) == []


def test_a_block_that_the_disk_cannot_read_is_not_taken_for_a_bad_one(store: Store, disk: FailingDisk) -> None:
    big = large("big")
    store.put([big], owner=JOB)
    store.settle()
    disk.fails_with = errno.EIO
    with pytest.raises(DiskFailed):
        store.get(big[0])
    assert store.scrub().unreadable == (big[0],)
    disk.fails_with = None
    assert store.get(big[0]) == big[1]


def test_moves_wait_while_the_disk_refuses_them_and_reading_goes_on(store: Store, disk: FailingDisk) -> None:
    disk.only, disk.fails_with = ("rename",), errno.EROFS
    blocks = [large("big"), block("small")]
    store.put(blocks, owner=JOB)
    assert [store.get(cid) for cid, _ in blocks] == [content for _, content in blocks]
    disk.fails_with = None
    assert store.settle()
    assert bad_checks(store) == []
    assert [store.get(cid) for cid, _ in blocks] == [content for _, content in blocks]
