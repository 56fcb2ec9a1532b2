"""A peer that was away for longer than deletions are remembered: what was deleted does not come back with it."""

from pathlib import Path

import pytest

from node.control.client import Control
from node.demo.peers import Peer, swarm, wait_for_links, wait_until
from tests.e2e.clocks import shifted
from tests.e2e.failures import photos
from tests.e2e.swarms import complaints, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def checks(peer: Peer) -> dict[str, str]:
    return {row["check"]: row["detail"] for row in peer.rows("doctor")}


def names(peer: Peer) -> set[str]:
    return {row["name"] for row in peer.rows("ls")}


def records(peer: Peer) -> int:
    """How many records count there."""
    with Control(peer.data_dir) as control:
        text = control.open("GET", "/v1/metrics").read().decode()
    [line] = [line for line in text.splitlines() if line.startswith("pinakothek_records ")]
    return int(float(line.split()[1]))


def agree(peers: list[Peer]) -> None:
    """Wait until they know of one another that they have the same records, and stop them: that is written down."""
    wait_for_links(peers)
    before = {peer.name: checks(peer)["touch"] for peer in peers}
    for peer in peers:
        wait_until(lambda p=peer: checks(p)["touch"] != before[p.name], timeout_s=60, what=f"{peer.name} is in touch")
    for peer in peers:
        assert peer.stop() == 0


def restart(peers: list[Peer], *, day: int) -> None:
    for peer in peers:
        peer.env = shifted(f"+{day}d")
        peer.start()


def test_what_was_deleted_and_forgotten_does_not_come_back(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("ada", "bob", "cyd")) as peers:
        ada, bob, cyd = peers
        kept, deleted = photos(2)
        ada.call("add", str(kept), str(deleted), "--replicas", "3:3")
        wait_until_settled(peers, 2)
        [root] = [row["root"] for row in ada.rows("ls") if row["name"] == deleted.name]
        agree([cyd])
        ada.call("rm", root, "--purge")
        wait_until(lambda: names(bob) == {kept.name}, timeout_s=60, what="bob hears of the deletion")
        with_tombstone = records(ada)
        agree([ada, bob])
        restart([ada, bob], day=15)
        agree([ada, bob])
        restart([ada, bob], day=32)
        for peer in (ada, bob):
            wait_until(lambda p=peer: records(p) < with_tombstone, timeout_s=90, what="the tombstone left")
        restart([cyd], day=32)
        wait_for_links(peers)
        wait_until(lambda: "set aside" in checks(cyd), timeout_s=60, what="cyd sorts out its records")
        assert root in checks(cyd)["set aside"]
        assert all(names(peer) == {kept.name} for peer in peers)
        cyd.call("pin", "add", root, "--replicas", "3:3")
        wait_until_settled(peers, 2)
        assert complaints(cyd) == {}
