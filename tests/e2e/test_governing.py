"""Governing a swarm of real daemons: charters on both sides of a split, stewards lost and brought back, peers expelled."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import complaints, counts, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE_S = 90.0
PICTURES = 48
"""Of which placement leaves one peer of four none in one run of 700,000."""


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    with swarm(tmp_path_factory.mktemp("state"), ("ada", "bob", "eve", "dan")) as running:
        for peer in running:  # where the others find it after a restart, all of them at once included
            peer.listen = peer.addrs[0].partition("/p2p/")[0]
        yield running


def charter(peer: Peer) -> dict[str, Any]:
    return peer.one("charter", "show")


def wait_for_charter(peers: Sequence[Peer], name: str) -> None:
    for peer in peers:
        wait_until(lambda p=peer: charter(p)["name"] == name, timeout_s=PATIENCE_S, what=f"{peer.name} knows {name}")


def alerts(peer: Peer) -> dict[str, str]:
    return {alert["check"]: alert["detail"] for alert in peer.one("status")["alerts"]}


def test_a_charter_holds_on_every_peer_at_once_and_only_a_steward_signs_one(peers: list[Peer]) -> None:
    ada, bob = peers[:2]
    done = bob.run("charter", "set", "--name", "bobs")
    assert done.returncode == 5
    assert "no steward's key lies here" in done.stderr
    assert ada.run("charter", "set", "--replicas", "2:9", "--bounds", "1:4").returncode == 5
    assert ada.run("charter", "set", "--counts", "tape").returncode == 2
    bob.call("flow", "set", "wide", "--replicas", "2:9")
    ada.call("charter", "set", "--name", "archive", "--replicas", "1:2", "--bounds", "1:4")
    wait_for_charter(peers, "archive")
    [wide] = [row for row in bob.rows("flow", "ls") if row["name"] == "wide"]
    assert wide["replicas"] == {"min": 2, "max": 9}
    assert wide["acts"] == {"min": 2, "max": 4}
    assert bob.run("flow", "set", "wider", "--replicas", "1:5").returncode == 5
    bob.call("flow", "rm", "wide")
    assert bob.run("flow", "rm", "wide").returncode == 3


def test_two_stewards_on_both_sides_of_a_split_fork_the_charter_and_one_of_them_heals_it(peers: list[Peer]) -> None:
    ada, bob, eve, _ = peers
    ada.call("charter", "steward", "add", bob.peer_id)
    wait_until(lambda: charter(bob)["steward_here"] == bob.peer_id, timeout_s=PATIENCE_S, what="bob is a steward")
    bob.stop()
    ada.call("charter", "set", "--name", "adas", "--trash-days", "20")
    wait_for_charter([eve], "adas")
    for peer in (ada, eve, peers[3]):
        peer.stop()
    bob.start()
    bob.call("charter", "set", "--name", "bobs")
    for peer in (ada, eve, peers[3]):
        peer.start()
    for peer in peers:
        wait_until(
            lambda p=peer: complaints(p).get("charter") == "charter fork",
            timeout_s=PATIENCE_S,
            what=f"{peer.name} sees the fork",
        )
        assert "charter fork" in alerts(peer)
    assert len({charter(peer)["hash"] for peer in peers}) == 1
    [other] = charter(eve)["others"]
    assert {charter(eve)["name"], other["says"]["name"]} == {"adas", "bobs"}
    assert bob.one("charter", "set", "--name", "ours")["others"] == []
    wait_for_charter(peers, "ours")
    assert [complaints(peer) for peer in peers] == [{}] * 4


def test_without_any_steward_work_goes_on_and_the_recovery_key_brings_one_back(
    peers: list[Peer], tmp_path: Path
) -> None:
    ada, bob, eve, _ = peers
    recovery = tmp_path / "recovery.key"
    recovery.write_text(ada.recovery_key)
    done = ada.run("charter", "steward", "rm", bob.peer_id, "--recovery-key", str(ada.data_dir / "identity.key"))
    assert done.returncode == 5
    assert "not the recovery key" in done.stderr
    ada.call("charter", "steward", "rm", bob.peer_id, "--recovery-key", str(recovery))
    wait_until(lambda: charter(bob)["steward_here"] is None, timeout_s=PATIENCE_S, what="bob is no steward any more")
    ada.stop()
    (ada.data_dir / "steward.key").unlink()
    ada.start()
    assert ada.run("invite").returncode == 5
    [picture] = make_pictures(1, tmp_path / "in", seed=51, width_px=160, height_px=120)
    ada.call("add", str(picture), "--wait", "2")
    assert eve.run("charter", "steward", "add").returncode == 5
    made = eve.one("charter", "steward", "add", "--recovery-key", str(recovery))
    assert made["steward_here"] in made["stewards"]
    assert eve.one("invite")["uses"] == 1
    wait_until(lambda: charter(bob)["hash"] == made["hash"], timeout_s=PATIENCE_S, what="bob knows the new steward")
    eve.stop()
    eve.start()
    eve.call("charter", "set", "--name", "recovered")
    eve.call("charter", "steward", "add", ada.peer_id)
    wait_until(lambda: charter(ada)["steward_here"] == ada.peer_id, timeout_s=PATIENCE_S, what="ada is a steward")


def test_an_expelled_peer_learns_it_and_what_it_pinned_stays(peers: list[Peer], tmp_path: Path) -> None:
    ada, bob, _, dan = peers
    pictures = make_pictures(PICTURES, tmp_path / "in", seed=52, width_px=160, height_px=120)
    dan.call("add", "--flow", "dans", "--replicas", "1:1", *map(str, pictures))
    dan.call("rm", pictures[0].name, "--flow", "dans")
    wait_until_settled(peers, len(pictures) + 1)
    sole = {row["root"] for row in dan.rows("ls", "--flow", "dans") if holders(dan, row["root"]) == {"dan"}}
    assert sole
    done = ada.run("expel", "dan")
    assert done.returncode == 5
    assert "without another live copy" in done.stderr
    assert any(line.strip() in sole for line in done.stderr.splitlines())
    assert ada.run("expel", "nobody").returncode == 3
    assert ada.run("expel", "ada").returncode == 5
    assert bob.run("expel", "dan").returncode == 5
    made = ada.one("expel", "dan", "--force", "--reason", "lost")
    assert (made["resigned"], made["dropped"]) == (PICTURES, 0)
    assert made["sole_copies"] - len(sole) in (0, 1)  # `ls` leaves out the one in the trash
    wait_until(lambda: "expelled" in alerts(dan), timeout_s=PATIENCE_S, what="dan knows")
    assert "lost" in complaints(dan)["membership"]
    assert dan.run("add", str(pictures[0])).returncode == 5
    assert dan.peer_id not in {row["peer_id"] for row in ada.rows("members")}
    assert ada.run("expel", dan.peer_id).returncode == 5
    wait_until_settled(peers[:3], len(pictures) + 1)  # what dan alone held was fetched from it
    assert len(bob.rows("ls", "--flow", "dans")) == PICTURES - 1
    assert len(bob.rows("trash", "ls")) == 1
    assert counts(bob)["lost"] == 0


def holders(peer: Peer, root: str) -> set[str]:
    return {row["name"] for row in peer.one("show", root)["holders"]}


def test_a_peer_expelled_while_it_was_away_is_told_when_it_comes_back(peers: list[Peer]) -> None:
    ada, bob, eve, _ = peers
    bob.stop()
    ada.call("expel", bob.peer_id[-8:], "--force")
    bob.start()
    wait_until(lambda: "expelled" in alerts(bob), timeout_s=PATIENCE_S, what="bob was told")
    for peer in (ada, eve):
        assert {row["name"] for row in peer.rows("members")} == {"ada", "eve"}
