"""A store knows when its disk no longer gives back what it was given, and what of it is gone."""

import errno
import shutil
from pathlib import Path

import pytest

from store.blocks import block_path
from store.store import Owner, Store
from tests.unit.store.made import FailingDisk, block, large

NAMES = ("one", "two", "three")
ROOT = b"\x01\x55\x12\x20" + bytes(32)


@pytest.fixture
def disk() -> FailingDisk:
    return FailingDisk()


@pytest.fixture
def store(tmp_path: Path, disk: FailingDisk) -> Store:
    """Holds a root of three files and three packed blocks."""
    made = Store.open(tmp_path, files=disk)
    blocks = [*map(large, NAMES), *map(block, NAMES)]
    made.put(blocks, owner=Owner("job", b"j"))
    made.hold(ROOT, kind="ipfs", blocks=[cid for cid, _ in blocks], size_bytes=1, frm=Owner("job", b"j"))
    assert made.settle()
    return made


def is_well(store: Store) -> bool:
    probe = store.condition.probe()
    return probe.present and not probe.lost and not probe.unreadable and not probe.dead


def test_a_disk_that_is_well(store: Store) -> None:
    assert is_well(store)
    assert store.condition.find_lost() == 0
    assert store.condition.condemn([large("one")[0]]) == ()
    assert store.condition.quarantined == 0
    store.close()


def test_a_block_that_only_a_fetch_still_wants_breaks_no_promise(store: Store, tmp_path: Path) -> None:
    def complaints() -> list[str]:
        return [result.check for result in store.check() if not result.ok]

    lone = large("lone")
    store.put([lone], owner=Owner("fetch", b"f"))
    store.settle()
    for cid, _ in (lone, large("one")):
        (tmp_path / block_path(cid)).write_bytes(b"rotten")
    assert set(store.scrub().bad) == {lone[0], large("one")[0]}
    assert complaints() == ["blocks"]
    store.put([large("one")], owner=Owner("job", b"again"))
    assert complaints() == []
    store.close()


def test_an_empty_store_is_well(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert is_well(store)
    store.close()


def test_files_that_went_away_are_found_missing(store: Store, tmp_path: Path) -> None:
    for path in tmp_path.glob("blocks/??/*.data"):
        path.unlink()
    assert store.condition.probe().lost
    assert store.condition.find_lost() in (1, 2, 3)  # the probe itself may have read one or two
    assert {cid for cid, _ in store.missing()} == {large(name)[0] for name in NAMES}
    assert store.has(block("one")[0])
    assert is_well(store)
    store.close()


def test_a_pack_cut_short_loses_what_was_at_its_end(store: Store, tmp_path: Path) -> None:
    [pack] = tmp_path.glob("packs/*")
    pack.write_bytes(pack.read_bytes()[:-1])
    assert store.condition.find_lost() == 1
    [(cid, roots)] = store.missing()
    assert cid in {block(name)[0] for name in NAMES}
    assert roots == (ROOT,)
    store.close()


def test_folders_that_were_removed_are_made_anew_and_take_blocks_again(store: Store, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "blocks")
    shutil.rmtree(tmp_path / "packs")
    probe = store.condition.probe()
    assert (probe.present, probe.lost) == (False, True)
    store.condition.find_lost()
    assert len(store.missing()) == 6
    assert store.condition.restore_folders()
    store.put([*map(large, NAMES), *map(block, NAMES)], owner=Owner("fetch", ROOT))
    assert store.missing() == []
    store.collect(0)  # the pack that went away has nothing alive in it
    assert [result for result in store.check() if not result.ok] == []
    assert is_well(store)
    before = store.store_id
    store.close()
    again = Store.open(tmp_path)
    assert again.store_id == before
    again.close()


def test_a_disk_that_reads_nothing_is_dead_and_lives_again(store: Store, disk: FailingDisk) -> None:
    disk.fails_with, disk.only = errno.EIO, ("read",)
    probe = store.condition.probe()
    assert probe.dead
    assert store.missing() == []
    disk.fails_with = None
    assert is_well(store)
    store.close()


def test_a_block_that_the_disk_cannot_read_is_given_up(store: Store, disk: FailingDisk) -> None:
    cid, _ = large("two")
    disk.fails_with, disk.only = errno.EIO, ("read",)
    assert store.condition.condemn([cid]) == (cid,)
    disk.fails_with = None
    assert store.missing() == [(cid, (ROOT,))]
    assert store.condition.quarantined == 1
    store.put([large("two")], owner=Owner("fetch", ROOT))
    assert store.get(cid) == large("two")[1]
    assert all(result.ok for result in store.check())
    store.close()


def test_what_is_retracted_keeps_its_blocks_for_the_fetch_that_completes_it(store: Store, tmp_path: Path) -> None:
    next(tmp_path.glob("blocks/??/*.data")).unlink()
    assert store.condition.find_lost() == 1
    [(bad, _)] = store.missing()
    [holding] = store.retract([ROOT, b"never held"], "ipfs")
    assert holding.root == ROOT
    assert store.holdings() == []
    assert store.missing() == [(bad, ())]
    store.collect(10**15)
    assert sum(store.has(cid) for cid, _ in [*map(large, NAMES), *map(block, NAMES)]) == 5
    healed = next(large(name) for name in NAMES if large(name)[0] == bad)
    store.put([healed], owner=Owner("fetch", ROOT))
    cids = [cid for cid, _ in [*map(large, NAMES), *map(block, NAMES)]]
    assert store.hold(ROOT, kind="ipfs", blocks=cids, size_bytes=1, frm=Owner("fetch", ROOT)).changed
    assert store.fetches() == []
    assert all(result.ok for result in store.check())
    store.close()
