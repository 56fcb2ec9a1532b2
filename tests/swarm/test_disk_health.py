"""A member whose disk fails says so within a minute, or falls silent; what comes back is held again."""

import errno
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from node.replication.backend_health import LOOK_S, BackendHealth
from node.replication.retracting import LOOK_S as RETRACT_LOOK_S
from node.replication.retracting import Retracting
from node.replication.scrubbing import CHUNK_BYTES, LONGEST_PAUSE_S, PERIOD_S, Scrubbing, pause_s
from protocol.author import Author
from protocol.pin import Pin
from store.errors import DiskFailed
from store.store import Owner, Store
from tests.swarm.fellows import Founded, Honest
from tests.unit.store.made import FailingDisk, large

BLOCKS = [large(name) for name in ("one", "two", "three")]
ROOTS = [cid for cid, _ in BLOCKS]


class Member:
    """Holds three roots of a file each."""

    def __init__(self, folder: Path) -> None:
        self.disk = FailingDisk()
        founded = Founded(1)
        self.peer = Honest(founded, founded.keys[0], Store.open(folder, files=self.disk))
        self.store, self.knowledge = self.peer.store, self.peer.knowledge
        self.records = [signed.raw for signed in founded.records]
        author = Author(founded.keys[0])
        self.records += [author.write(Pin(id=root[-16:], flow="f", root=root), 1).raw for root in ROOTS]
        self.refused = 0
        self.nudged = 0
        self.retracting = Retracting(self.store, self.knowledge)
        self.health = BackendHealth(
            self.store, self.knowledge, self.retracting, on_refusal=self._refuse, on_unreadable=self._nudge
        )
        self.scrubbing = Scrubbing(self.store, self.knowledge, on_unreadable=self._nudge)

    def _refuse(self, _: str = "") -> None:
        self.refused += 1

    def _nudge(self) -> None:
        self.nudged += 1

    def hold(self) -> None:
        for cid, content in BLOCKS:
            self.store.put([(cid, content)], owner=Owner("fetch", cid))
            holding = self.store.hold(cid, kind="ipfs", blocks=[cid], size_bytes=1, frm=Owner("fetch", cid))
            self.knowledge.holding_changed(holding, True)
        assert self.store.settle()

    @property
    def held(self) -> set[bytes]:
        return {element.root for element in self.knowledge.own.here}


def file_of_one(folder: Path) -> Path:
    return next(folder.glob("blocks/??/*.data"))


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    made = Member(tmp_path)
    await made.peer.records.accept(made.records)
    made.hold()
    yield made
    made.disk.fails_with = None
    made.store.close()


async def test_looks_are_often_enough_for_a_minute(member: Member) -> None:
    assert 2 * LOOK_S + RETRACT_LOOK_S < 60
    assert await member.health.work() == LOOK_S
    assert (member.health.trouble, member.nudged, member.refused) == ("", 0, 0)
    assert await member.retracting.work() == RETRACT_LOOK_S
    assert member.held == set(ROOTS)


async def test_files_that_went_away_are_retracted_and_held_again_once_they_are_back(
    member: Member, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "blocks")
    await member.health.work()
    assert member.nudged == 1
    assert member.health.trouble == "", "the folder is there again, and takes blocks"
    await member.retracting.work()
    assert member.held == set()
    assert member.retracting.retracted == 3
    member.hold()
    assert await member.retracting.work() == RETRACT_LOOK_S
    assert member.retracting.healed == 3
    assert [result for result in member.store.check() if not result.ok] == []


async def test_a_disk_that_reads_nothing_is_advertised_no_more_and_asked_for_nothing(member: Member) -> None:
    member.disk.fails_with, member.disk.only = errno.EIO, ("read",)
    await member.health.work()
    assert member.held == set()
    assert member.refused == 1
    assert "read" in member.health.trouble
    assert not member.retracting.overdue
    member.disk.fails_with = None
    await member.health.work()
    assert member.health.trouble == ""
    assert all(member.store.get(root) for root in ROOTS), "nothing was given up: the next fetch finds it all here"


async def test_a_disk_that_turned_read_only_keeps_what_it_has_and_is_asked_for_nothing(
    member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member.disk, "is_read_only", lambda _: True)
    await member.health.work()
    assert member.refused == 1
    assert "read-only" in member.health.trouble
    assert member.held == set(ROOTS)
    monkeypatch.undo()
    await member.health.work()
    assert member.health.trouble == ""


async def test_one_block_that_cannot_be_read_costs_its_own_root_alone(member: Member, tmp_path: Path) -> None:
    bad = file_of_one(tmp_path)
    bad.unlink()
    bad.mkdir()  # reading it is refused with EISDIR
    found = await member.scrubbing.scrub_all()
    assert (found.blocks, found.bad, found.healed) == (3, 1, 0)
    await member.retracting.work()
    assert len(member.held) == 2


async def test_what_cannot_be_retracted_silences_the_peer(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:

    def refuse(*_: object) -> None:
        raise DiskFailed("catalogue.db", "read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(member.store, "retract", refuse)
        with pytest.raises(DiskFailed):
            await member.retracting.retract(ROOTS, "for the test")
        assert member.retracting.overdue
        assert member.held == set(ROOTS)
    await member.retracting.retract(ROOTS, "for the test")
    assert not member.retracting.overdue
    assert member.held == set()


async def test_a_scheduled_scrub_comes_round_and_remembers_when(member: Member, tmp_path: Path) -> None:
    await member.scrubbing.work()
    assert member.scrubbing.counts.blocks == 0, "not right at the start"
    assert await member.scrubbing.work() == LONGEST_PAUSE_S
    assert member.scrubbing.counts.blocks == 3
    assert member.scrubbing.completed_ms is not None
    again = Scrubbing(member.store, member.knowledge, on_unreadable=lambda: None)
    assert again.completed_ms == member.scrubbing.completed_ms


async def test_rot_is_found_and_nudged(member: Member, tmp_path: Path) -> None:
    spoil(file_of_one(tmp_path))
    with trio.fail_after(30):  # alone, it does not wait to be healed
        found = await member.scrubbing.scrub_all()
    assert (found.bad, found.healed) == (1, 0)
    assert member.nudged == 1
    assert member.store.condition.quarantined == 1


@pytest.mark.parametrize("used_bytes", [0, 1, 10**6, 10**9, 10**12, 10**14])
def test_a_pass_takes_no_longer_than_its_period(used_bytes: int) -> None:
    units = used_bytes / CHUNK_BYTES
    assert pause_s(used_bytes) <= LONGEST_PAUSE_S
    assert units * pause_s(used_bytes) <= PERIOD_S * 1.001
