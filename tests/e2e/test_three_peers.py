"""A small swarm over real sockets: receipts, reads through a peer that holds nothing, pins by CID, the demo."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, read_back, wait_until_settled


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    with swarm(tmp_path_factory.mktemp("three"), ("ada", "bob", "cyd")) as running:
        yield running


def test_add_wait_returns_when_that_many_peers_hold_it_durably(peers: list[Peer], tmp_path: Path) -> None:
    ada, *others = peers
    [picture] = make_pictures(1, tmp_path, seed=11)
    [row] = ada.rows("add", "--replicas", "3:3", "--wait", "3", str(picture))
    assert row["copies"] == 3
    for peer in others:  # at once: the receipt said that it is there
        assert peer.peer_id in {h["peer_id"] for h in peer.one("show", row["root"])["holders"]}
        assert read_back(peer, row["root"], tmp_path) == picture.read_bytes()


def test_a_peer_that_holds_nothing_serves_a_thumbnail(peers: list[Peer], tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=12)
    [row] = peers[0].rows("add", "--replicas", "1:1", str(picture))
    wait_until(
        lambda: peers[2].run("show", row["root"]).returncode == 0, timeout_s=60, what="the pin reaches the third peer"
    )
    thumbs = {read_back(peer, row["root"], tmp_path, "small") for peer in peers}
    assert len(thumbs) == 1


def test_images_settle_at_their_factor_and_every_peer_agrees(peers: list[Peer], tmp_path: Path) -> None:
    total = peers[0].one("status")["images"]["total"]
    peers[1].rows("add", "--replicas", "2:2", *map(str, make_pictures(6, tmp_path, seed=13)))
    wait_until_settled(peers, total + 6)
    for peer in peers:
        assert_doctor_is_content(peer)


def test_any_dag_is_pinned_by_cid(peers: list[Peer], tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=14)
    [row] = peers[0].rows("add", str(picture))
    peers[1].call("pin", "add", row["original"], "--name", "just-the-original", "--replicas", "2:2", "--wait", "2")
    assert row["original"] in peers[1].call("pin", "ls", "--json")
    peers[1].call("pin", "rm", row["original"])


def test_an_invite_used_up_is_refused(peers: list[Peer], tmp_path: Path) -> None:
    line = peers[0].one("invite", "--uses", "1")["invite"]
    Peer(tmp_path / "first", "first").init("--join", line)
    done = Peer(tmp_path / "second", "second").run("init", "--join", line)
    assert done.returncode == 5
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_demo_tells_its_story_and_ends_well() -> None:
    done = subprocess.run([sys.executable, "-m", "node", "demo", "--json"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["ok"] is True
    assert figures["images"] >= 12
    assert figures["bytes_moved"] > 0
