"""A peer that is destroyed comes back from its backup on another machine: the same peer, with a new epoch."""

import shutil
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, counts, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_destroyed_peer_comes_back_from_its_backup(tmp_path: Path) -> None:
    with swarm(tmp_path, ("ada", "bob")) as (ada, bob):
        pictures = make_pictures(4, tmp_path / "in", seed=81, width_px=160, height_px=120)
        ada.call("add", "--replicas", "2:2", *map(str, pictures[:2]))
        wait_until_settled([ada, bob], 2)
        archive = tmp_path / "bob.tar"
        made = bob.one("backup", "-o", str(archive))
        assert made["contacts"] >= 1
        assert archive.stat().st_mode & 0o777 == 0o600
        ada.call("add", "--replicas", "2:2", str(pictures[2]), "--wait", "2")
        bob.kill()
        assert bob.run("backup", "-o", str(tmp_path / "again.tar")).returncode == 0
        shutil.rmtree(bob.data_dir)
        back = Peer(tmp_path / "back", "back")
        try:
            assert back.one("init", "--from-backup", str(archive))["peer_id"] == bob.peer_id
            assert back.run("init", "--from-backup", str(archive)).returncode == 1
            assert ada.run("init", "--from-backup", str(archive), "--name", "x").returncode == 2
            back.start()
            assert back.peer_id == bob.peer_id
            wait_until_settled([ada, back], 3)
            back.call("add", "--replicas", "2:2", str(pictures[3]), "--wait", "2")
            wait_until_settled([ada, back], 4)
            wait_until(lambda: back.one("status")["state"] == "active", timeout_s=60, what="it has recovered")
            for peer in (ada, back):
                assert counts(peer)["lost"] == 0
                assert_doctor_is_content(peer)
        finally:
            back.kill()
