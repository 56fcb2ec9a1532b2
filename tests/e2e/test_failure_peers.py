"""The failure table, row "peer SIGKILLed", and what becomes of a swarm that loses most of its capacity at once."""

import json
from pathlib import Path

import pytest

from node.demo.peers import Peer, founded, swarm, wait_for_links, wait_until
from tests.e2e.failures import REPAIR_TIMEOUT_S, SEEN_TIMEOUT_S, Album, alerts, assert_all_is_well, photos, watched
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import complaints, counts, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

SOON_DOWN = {"PINAKOTHEK_REPAIR_AFTER": "30s"}
SMALL, LARGE = ({"PINAKOTHEK_CAPACITY": size} for size in ("10GiB", "100GiB"))


def test_a_peer_killed(tmp_path: Path) -> None:
    """Below min is repaired once it is suspect, the rest once it is down; what is too many afterwards is let go."""
    with swarm(tmp_path / "s", ("ada", "bob", "cyd", "dan"), env=SOON_DOWN) as peers:
        *rest, dan = peers
        album = Album()
        album.add(peers[0], photos(6), "--replicas", "3:3")
        album.add(peers[1], photos(6, start=6), "--replicas", "2:3")
        wait_until_settled(peers, 12)
        with watched(peers[0], tmp_path) as events:
            dan.kill()
            events.wait_for("peer_suspect", dan)
            events.wait_for("peer_down", dan)
            wait_until_settled(rest, 12, REPAIR_TIMEOUT_S)
        for peer in rest:
            assert peer.one("status")["peers"] == {"alive": 3, "suspect": 0, "down": 1, "left": 0}
            album.assert_readable(peer)
            assert complaints(peer) == {}
        dan.start()
        wait_for_links(peers)
        assert_all_is_well(peers, album)


def test_most_of_the_capacity_gone_at_once(tmp_path: Path) -> None:
    """Only what has one live copy left is repaired, until the operator says `repair --now` or enough is back.

    One peer alone is more than half of the capacity that counts, so it is a mass loss as soon as it is missed.
    """
    small = [Peer(tmp_path / name, name, env=SMALL) for name in ("ada", "bob", "cyd")]
    dan = Peer(tmp_path / "dan", "dan", env=LARGE)
    with founded([*small, dan]) as peers:
        album = Album()
        album.add(small[0], make_pictures(20, tmp_path / "in", seed=40, width_px=160, height_px=120))
        album.add(small[0], photos(8), "--replicas", "2:2")
        small[0].call("flow", "set", "default", "--replicas", "3:3")
        wait_until_settled(peers, 28)
        dan.kill()
        for peer in small:
            wait_until(lambda p=peer: "mass loss" in alerts(p), timeout_s=SEEN_TIMEOUT_S, what="the mass loss is told")
        wait_until(lambda: fewest_live(small[0]) >= 2, timeout_s=REPAIR_TIMEOUT_S, what="two live copies of each image")
        held_back = [row for row in small[0].rows("ls") if row["state"] == "below_min"]
        assert held_back, "and some are to wait for the third"
        assert "mass loss" in small[0].one("show", held_back[0]["root"])["reason"]
        assert counts(small[0])["lost"] == 0
        small[0].call("repair", "--now")
        wait_until_settled(small, 28, REPAIR_TIMEOUT_S)
        assert "mass loss" not in alerts(small[1])
        dan.start()
        wait_for_links(peers)
        assert_all_is_well(peers, album)


def fewest_live(peer: Peer) -> int:
    """Live copies of the image that has fewest."""
    rows = [json.loads(line) for line in peer.call("ls", "--json").splitlines()]
    return min(int(row["copies"]) for row in rows)
