"""Peers whose disks fail under them: found by audit, scrub and probe, said to the others within a minute, and healed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.control.client import Control
from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, counts, read_back, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
IMAGES = 3
NOTICE_S = 60.0
"""DESIGN §7, invariant 9."""


class Damage:
    """A swarm of three, and what it was given."""

    def __init__(self, peers: list[Peer], home: Path) -> None:
        self.ada, self.bob, self.cyd = self.peers = peers
        self.home = home
        self.pictures = make_pictures(IMAGES, home / "in", seed=81)
        self.roots = [row["root"] for row in self.ada.rows("add", "--replicas", "3:3", *map(str, self.pictures))]
        self.settled()
        self.blocks = {path: path.read_bytes() for path in self.bob.data_dir.glob("blocks/??/*.data")}

    def settled(self) -> None:
        wait_until_settled(self.peers, IMAGES, timeout_s=90)

    def rot(self) -> None:
        """Every block file of bob's has other bytes."""
        for path, good in self.blocks.items():
            path.write_bytes(b"rotten" + good[6:])

    def assert_whole(self) -> None:
        """Every image is back at its factor, byte for byte, on bob too, and everybody is content."""
        self.settled()
        wait_until(
            lambda: all(path.exists() and path.read_bytes() == good for path, good in self.blocks.items()),
            timeout_s=60,
            what="bob's blocks are good again",
        )
        for root, picture in zip(self.roots, self.pictures, strict=True):
            assert read_back(self.bob, root, self.home) == picture.read_bytes()
        for peer in self.peers:
            assert_doctor_is_content(peer)

    def metric(self, peer: Peer, name: str) -> float:
        """A number of a peer's metrics."""
        with Control(peer.data_dir) as control:
            text = control.open("GET", "/v1/metrics").read().decode()
        [line] = [line for line in text.splitlines() if line.startswith(f"pinakothek_{name} ")]
        return float(line.split()[1])


@pytest.fixture(scope="module")
def damage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Damage]:
    home = tmp_path_factory.mktemp("truth")
    with swarm(home / "s", ("ada", "bob", "cyd")) as peers:
        yield Damage(peers, home)


def test_an_audit_finds_what_has_rotted_elsewhere_and_it_heals(damage: Damage) -> None:
    ada, bob = damage.ada, damage.bob
    good = ada.one("audit")
    assert good == {"challenges": 2 * IMAGES, "proven": 2 * IMAGES, "wrong": 0, "silent": 0}
    assert all(holder["proven_at"] for holder in ada.one("show", damage.roots[0])["holders"])
    damage.rot()
    found = ada.one("audit")
    assert (found["challenges"], found["wrong"], found["silent"]) == (2 * IMAGES, IMAGES, 0)
    damage.assert_whole()
    assert ada.one("audit")["proven"] == 2 * IMAGES
    assert damage.metric(ada, "audit_wrong_total") == IMAGES
    assert damage.metric(bob, "blocks_quarantined_total") >= IMAGES
    assert len(list((bob.data_dir / "quarantine").iterdir())) >= IMAGES


def test_a_scrub_finds_what_has_rotted_here_and_heals_it_before_it_returns(damage: Damage) -> None:
    bob = damage.bob
    clean = bob.one("scrub")
    assert clean["bad"] == 0
    assert clean["blocks_checked"] >= 6 * IMAGES
    damage.rot()
    found = bob.one("scrub")
    assert found["bad"] == found["healed"] == len(damage.blocks)
    damage.assert_whole()
    rows = bob.rows("verify", "--flow", "default", "--deep")
    assert [(row["ok"], row["proven"]) for row in rows] == [(True, 2)] * IMAGES


def test_verify_says_what_is_bad_and_has_it_healed(damage: Damage) -> None:
    damage.rot()
    done = damage.bob.run("verify", "--flow", "default")
    assert done.returncode == 1
    assert done.stdout.count("BAD") == IMAGES
    damage.assert_whole()


def test_a_folder_of_blocks_that_goes_away_is_advertised_no_more_and_filled_again(damage: Damage) -> None:
    bob = damage.bob
    before = damage.metric(bob, "roots_retracted_total")
    shutil.rmtree(bob.data_dir / "blocks")
    wait_until(
        lambda: damage.metric(bob, "roots_retracted_total") == before + IMAGES,
        timeout_s=NOTICE_S,
        what="bob says that it holds nothing",
    )
    damage.assert_whole()
    assert (bob.data_dir / "blocks/STORE_ID").exists()
    assert bob.stop() == 0
    bob.start()
    damage.assert_whole()


def kept_by_its_adder(adder: Peer, roots: list[str]) -> str:
    """A root that only its adder ever held; what moved away can be had again, for an hour, from the blocks left behind."""
    seen: list[list[str]] = []

    def rests() -> bool:
        """No copy has moved for some seconds."""
        with Control(adder.data_dir) as control:  # spares a process for each
            shown = [control.call("GET", f"/v1/images/{root}") for root in roots]
        held = [[holder["peer_id"] for holder in image["holders"]] for image in shown]
        seen.append([root for root, peers in zip(roots, held, strict=True) if peers == [adder.peer_id]])
        settled = all(len(peers) == 1 for peers in held)
        return settled and len(seen) >= 10 and all(one == seen[-1] for one in seen[-10:])

    wait_until(rests, timeout_s=120, what="no copy moves")
    return seen[-1][0]


def test_an_image_that_was_lost_is_lost_after_a_restart_too(tmp_path: Path) -> None:
    quick = {"PINAKOTHEK_SUSPECT_AFTER": "15s", "PINAKOTHEK_REPAIR_AFTER": "16s"}
    with swarm(tmp_path / "s", ("ada", "bob"), env=quick) as (ada, bob):
        pictures = make_pictures(16, tmp_path, seed=82, width_px=160, height_px=120)
        rows = ada.rows("add", "--replicas", "1:1", *map(str, pictures))
        wait_until_settled((ada, bob), len(pictures), timeout_s=90)
        root = kept_by_its_adder(ada, [row["root"] for row in rows])

        def state() -> str:
            return str(bob.one("show", root)["state"])

        ada.listen = ada.addrs[0].partition("/p2p/")[0]  # where bob will look for it
        ada.kill()
        wait_until(lambda: state() == "lost", timeout_s=90, what="the image is lost")
        assert bob.stop() == 0
        bob.start()
        wait_until(lambda: counts(bob)["lost"] >= 1, timeout_s=90, what="the image is lost after the restart")
        assert state() == "lost"
        assert bob.run("doctor").returncode == 1
        ada.start()
        wait_until(lambda: state() == "at_target", timeout_s=90, what="the image is back")
