"""`similar` finds a picture again that was scaled, re-encoded or added elsewhere, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, Peer, Path]]:
    """Two peers; the first has eight pictures, of one there is a smaller and poorer copy as well."""
    home = tmp_path_factory.mktemp("two")
    pictures = make_pictures(8, home / "in", seed=81)
    with Image.open(pictures[0]) as image:
        image.resize((320, 240)).save(home / "in" / "poorer.jpg", quality=60)
    with swarm(home, ("ada", "bob")) as (ada, bob):
        ada.call("add", "--flow", "album", "--replicas", "1:1", *map(str, pictures), str(home / "in" / "poorer.jpg"))
        wait_until(lambda: len(bob.rows("ls")) == 9, timeout_s=60, what="bob knows all")
        yield ada, bob, pictures[0]


def test_a_poorer_copy_is_found_from_any_peer(peers: tuple[Peer, Peer, Path]) -> None:
    ada, bob, first = peers
    for peer in (ada, bob):
        rows = peer.rows("similar", first.name, "--flow", "album")
        assert [row["name"] for row in rows] == ["poorer.jpg"]
        assert rows[0]["distance_bits"] <= 8


def test_a_file_that_is_in_no_swarm_can_be_asked_about(peers: tuple[Peer, Peer, Path], tmp_path: Path) -> None:
    _, bob, first = peers
    with Image.open(first) as image:
        image.save(tmp_path / "mine.png")
    assert {row["name"] for row in bob.rows("similar", str(tmp_path / "mine.png"))} == {first.name, "poorer.jpg"}
    [stranger] = make_pictures(1, tmp_path, seed=82)
    assert bob.rows("similar", str(stranger)) == []


def test_what_is_in_the_trash_is_not_alike(peers: tuple[Peer, Peer, Path]) -> None:
    ada, _, first = peers
    ada.call("rm", "poorer.jpg")
    assert ada.rows("similar", first.name, "--flow", "album") == []
    ada.call("undelete", "poorer.jpg")
    assert len(ada.rows("similar", first.name, "--flow", "album")) == 1


def test_mistakes_are_told(peers: tuple[Peer, Peer, Path], tmp_path: Path) -> None:
    ada = peers[0]
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    assert ada.run("similar", "nobody.jpg").returncode == 3
    assert ada.run("similar", str(text)).returncode == 1
    assert ada.run("similar", peers[2].name, "--within", "21").returncode == 2
