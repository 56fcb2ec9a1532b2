"""What the power-loss tests cut short is all that there is: no change of the disk goes past the recorder."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import intake
from tests.crash.disk import KEEP, Disk, after_power_loss
from tests.crash.scenarios import LARGE_BYTES, Actor, compaction, illness, life, lost_segment, old_catalogue
from tests.crash.test_power_loss import Scenario, recorded

UNRECORDED = ("-shm", "daemon.lock")
"""SQLite makes the first anew after a power loss; the second says who runs, and holds nothing else."""


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SMALL_BLOCK_BYTES", LARGE_BYTES)


@pytest.fixture
def scratch() -> Iterator[Path]:
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("scenario", [life, illness, old_catalogue, lost_segment, compaction])
def test_the_record_makes_the_disk_again_byte_for_byte(scenario: Scenario, scratch: Path) -> None:
    disk = recorded(scenario, scratch)
    made_again = after_power_loss(disk, len(disk.events), KEEP).files
    assert on_disk(disk) == {path: content for path, content in made_again if not path.endswith(UNRECORDED)}


def on_disk(disk: Disk) -> dict[str, bytes]:
    files = [path for path in disk.root.rglob("*") if path.is_file() and not path.name.endswith(UNRECORDED)]
    return {str(path.relative_to(disk.root)): path.read_bytes() for path in files}


def test_an_add_and_a_release_have_every_kind_of_change_in_them(scratch: Path) -> None:
    """Large blocks, small ones in a pack, the pin's line, the catalogue: written, fsynced, named, moved, unlinked."""
    root = scratch / "disk"
    root.mkdir()
    disk = Disk(root)
    actor = Actor(disk, None)
    for number in (1, 2):
        actor.add(number)
    actor.store.settle()
    added = list(disk.events)
    actor.remove(1)
    actor.collect()
    actor.store.settle()
    actor.finish()
    released = disk.events[len(added) :]
    folders = {"blocks", "packs", "staging", "records", "catalogue.db-wal"}
    assert {where(event.path) for event in added} >= folders
    moved = {(where(event.path), where(event.target)) for event in added if event.act == "rename"}
    assert moved >= {("staging", "blocks"), ("staging", "packs")}
    assert {event.act for event in added} >= {"mkdir", "create", "write", "fsync", "fsync folder", "rename"}
    assert {event.act for event in released} >= {"write", "fsync", "fsync folder", "unlink"}
    assert "blocks" in {where(event.path) for event in released if event.act == "unlink"}


def where(path: str) -> str:
    """The part of the store that a path is in."""
    return path.removeprefix("store/").partition("/")[0]
