"""The failure table, row "identity cloned": two daemons with one key, until the operator has chosen."""

import shutil
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_for_links, wait_until
from tests.e2e.failures import Album, alerts, assert_all_is_well, photos
from tests.e2e.swarms import complaints, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


def test_a_cloned_identity(tmp_path: Path) -> None:
    """It counts as no replica, every doctor says so, the others make up for it; `doctor --accept` ends it."""
    with swarm(tmp_path / "s", ("ada", "bob", "cyd", "dan")) as peers:
        ada, bob, *_ = peers
        others = [peer for peer in peers if peer is not bob]
        album = Album()
        album.add(ada, photos(6), "--replicas", "3:3")
        wait_until_settled(peers, 6)
        bob.listen = bob.addrs[0].partition("/p2p/")[0]
        assert bob.stop() == 0
        clone = Peer(tmp_path / "clone", "clone")
        shutil.copytree(bob.data_dir, clone.data_dir, symlinks=True)
        try:
            bob.start()
            clone.start()
            album.add(bob, photos(2, start=6), "--replicas", "3:3")
            for peer in (*others, bob, clone):
                wait_until(lambda p=peer: "clone" in alerts(p), timeout_s=120, what=f"{peer.name} tells of the clone")
                assert "clone" in complaints(peer)
            assert all(bob.peer_id in alerts(peer)["clone"] for peer in others)
            wait_until_settled(others, len(album.originals))
            for peer in others:
                album.assert_readable(peer)
            assert clone.stop() == 0
        finally:
            clone.kill()
        assert "clone" in complaints(ada), "it does not pass by itself"
        bob.run("doctor", "--accept")
        for peer in peers:
            wait_until(lambda p=peer: "clone" not in alerts(p), timeout_s=60, what=f"{peer.name} trusts bob again")
        wait_for_links(peers)
        assert_all_is_well(peers, album)
