"""The failure table, rows of the disk: full, read-only, a block gone bad on it.

One swarm of four; dan's data directory is on a disk of its own. Every test leaves the swarm healed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from node.demo.peers import Peer, founded, wait_until
from tests.e2e.disks import FailingDisk, failing_disk, filled
from tests.e2e.failures import REPAIR_TIMEOUT_S, Album, alerts, assert_all_is_well, holders, photos, row_of, watched
from tests.e2e.swarms import complaints, read_back, wait_until_none_below, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

DISK_BYTES = 640 << 20
CAPACITY = {"PINAKOTHEK_CAPACITY": "512MiB"}


class Swarm(NamedTuple):
    disk: FailingDisk
    peers: list[Peer]
    album: Album


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    home = tmp_path_factory.mktemp("disk")
    with failing_disk(DISK_BYTES) as disk:
        peers = [Peer(home / name, name, env=CAPACITY) for name in ("ada", "bob", "cyd")]
        with founded([*peers, Peer(disk.folder / "dan", "dan", env=CAPACITY)]) as peers:
            album = Album()
            album.add(peers[0], photos(4), "--replicas", "3:3")
            wait_until_settled(peers, 4)
            yield Swarm(disk, peers, album)


def test_a_full_disk(swarm: Swarm) -> None:
    *rest, dan = swarm.peers
    before = row_of(rest[0], dan)["roots"]
    with filled(swarm.disk.folder):
        swarm.album.add(rest[0], photos(4, start=4), "--replicas", "3:3")
        wait_until_settled(rest, 8, REPAIR_TIMEOUT_S)
        assert row_of(rest[0], dan)["roots"] <= before
        assert {"room"} <= complaints(dan).keys() <= {"room", "disk"}
        refused = dan.run("add", str(photos(1, start=8)[0]))
        assert refused.returncode == 1
        assert "full" in refused.stderr
        swarm.album.assert_readable(dan)
    assert_all_is_well(swarm.peers, swarm.album)


def test_a_disk_that_turns_read_only(swarm: Swarm) -> None:
    """A copy that was moving to dan when it happened is one too many until then: what it leases it could not keep in mind."""
    *rest, dan = swarm.peers
    swarm.disk.fail()
    before = row_of(dan, dan)["roots"]
    refused = dan.run("add", str(photos(1, start=8)[0]))
    assert refused.returncode == 1
    assert "read-only" in refused.stderr
    swarm.album.add(rest[0], photos(4, start=8), "--replicas", "3:3")
    wait_until_none_below(rest, 12, REPAIR_TIMEOUT_S)
    assert row_of(rest[0], dan)["roots"] <= before
    assert "disk" in complaints(dan)
    wait_until(lambda: "disk" in alerts(dan), timeout_s=90, what="dan's status says so")
    swarm.album.assert_readable(dan)
    assert dan.stop() == 0
    swarm.disk.mend()
    dan.start()
    assert_all_is_well(swarm.peers, swarm.album)


def test_a_block_gone_bad(swarm: Swarm, tmp_path: Path) -> None:
    ada, bob, *_ = swarm.peers
    [root] = swarm.album.add(ada, photos(1), "--flow", "everywhere", "--replicas", "4:4")  # so that no copy of it moves
    wait_until_settled(swarm.peers, len(swarm.album.originals), REPAIR_TIMEOUT_S)
    original = swarm.album.originals[root]
    file = next(f for f in bob.data_dir.glob("blocks/??/*.data") if f.read_bytes() == original)
    with watched(bob, tmp_path) as events:
        file.write_bytes(b"rotten" + original[6:])
        assert read_back(bob, root, tmp_path) == original  # from the others
        assert events.wait_for("retracted")["root"] == root
        wait_until(lambda: file.exists() and file.read_bytes() == original, timeout_s=120, what="the block is good")
    assert_all_is_well(swarm.peers, swarm.album)
    assert bob.peer_id in holders(ada, root)
    assert list((bob.data_dir / "quarantine").iterdir())
