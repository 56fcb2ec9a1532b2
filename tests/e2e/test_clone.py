"""A copied data directory: two real daemons speak as one peer, everybody says so, and the one that stays takes over."""

import shutil
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import complaints, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE_S = 120.0


def test_a_cloned_identity_is_shown_everywhere_and_counts_again_after_accept(tmp_path: Path) -> None:
    with swarm(tmp_path, ("ada", "bob", "eve")) as (ada, bob, eve):
        pictures = make_pictures(6, tmp_path / "in", seed=61, width_px=160, height_px=120)
        ada.call("add", "--replicas", "2:3", *map(str, pictures[:3]))
        wait_until_settled([ada, bob, eve], 3)
        bob.stop()
        copy = Peer(tmp_path / "copy", "copy")
        shutil.copytree(bob.data_dir, copy.data_dir)
        try:
            bob.start()
            copy.start()
            assert copy.peer_id == bob.peer_id
            for peer in (ada, eve, bob, copy):
                wait_until(
                    lambda p=peer: bob.peer_id in complaints(p).get("clone", ""),  # type: ignore[misc]
                    timeout_s=PATIENCE_S,
                    what=f"{peer.name} says that bob was cloned",
                )
            ada.call("add", "--replicas", "2:3", *map(str, pictures[3:]))
            wait_until(
                lambda: [row["copies"] for row in ada.rows("ls")] == [2] * 6,
                timeout_s=PATIENCE_S,
                what="bob's copies count for nothing",
            )
            copy.stop()
            assert "epoch" in bob.call("doctor", "--accept")
            wait_until_settled([ada, bob, eve], 6)
            for peer in (ada, eve, bob):
                wait_until(lambda p=peer: complaints(p) == {}, timeout_s=PATIENCE_S, what=f"{peer.name} is content")  # type: ignore[misc]
        finally:
            copy.kill()
