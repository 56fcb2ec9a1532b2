"""The failure table, rows of the catalogue: deleted, and put back from an old backup, alone and with all the rest.

One swarm of four; every test leaves it healed.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.failures import Album, alerts, assert_all_is_well, photos, row_of
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

Swarm = tuple[list[Peer], Album]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    with swarm(tmp_path_factory.mktemp("catalogue"), ("ada", "bob", "cyd", "dan")) as peers:
        album = Album()
        album.add(peers[0], photos(6), "--replicas", "3:3")
        wait_until_settled(peers, 6)
        yield peers, album


def test_the_catalogue_deleted(running: Swarm) -> None:
    peers, album = running
    bob = peers[1]
    held = row_of(bob, bob)["roots"]
    assert bob.stop() == 0
    for path in catalogue(bob):
        path.unlink()
    bob.start()
    assert "recovering" in alerts(bob) or bob.one("status")["state"] == "active"
    wait_until(lambda: bob.one("status")["state"] == "active", timeout_s=90, what="bob has recovered")
    assert "recovering" not in alerts(bob)
    again = re.search(r"recovered: (\d+) roots are held again", bob.log_tail(1000))
    assert again is not None
    assert int(again[1]) >= held, "from its own blocks"
    assert_all_is_well(peers, album)


def test_an_old_catalogue_put_back(running: Swarm, tmp_path: Path) -> None:
    """Blocks, pins and promises made since are not in it: it is found out and made anew from the files."""
    peers, album = running
    bob = peers[1]
    backed_up = tmp_path / "backup"
    assert bob.stop() == 0
    backed_up.mkdir()
    for path in catalogue(bob):
        shutil.copy(path, backed_up)
    bob.start()
    album.add(bob, photos(3, start=6), "--replicas", "3:3", "--wait", "2")
    assert_all_is_well(peers, album)
    assert bob.stop() == 0
    for path in catalogue(bob):
        path.unlink()
    for path in backed_up.iterdir():
        shutil.copy(path, bob.data_dir)
    bob.start()
    wait_until(lambda: bob.one("status")["state"] == "active", timeout_s=90, what="bob has recovered")
    assert_all_is_well(peers, album)


def test_a_whole_data_directory_put_back(running: Swarm, tmp_path: Path) -> None:
    """Nothing on this disk shows that it is old: the others tell it, and a new epoch of its holdings begins."""
    peers, album = running
    ada, bob, *_ = peers
    backed_up = tmp_path / "backup"
    assert bob.stop() == 0
    shutil.copytree(bob.data_dir, backed_up, symlinks=True)
    bob.start()
    album.add(ada, make_pictures(8, tmp_path / "in", seed=77, width_px=160, height_px=120), "--replicas", "3:3")
    assert_all_is_well(peers, album)
    bob.kill()
    shutil.rmtree(bob.data_dir)
    shutil.copytree(backed_up, bob.data_dir, symlinks=True)
    bob.start()
    assert_all_is_well(peers, album)
    wait_until(
        lambda: row_of(ada, bob)["roots"] == row_of(bob, bob)["roots"], timeout_s=60, what="ada knows what bob holds"
    )


def catalogue(peer: Peer) -> list[Path]:
    return sorted(peer.data_dir.glob("catalogue.db*"))
