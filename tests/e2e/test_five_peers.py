"""Five peers, a hundred photos at factor 3:3: one peer dies, one freezes, both come back."""

import signal
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.failures import SEEN_TIMEOUT_S, Album
from tests.e2e.swarms import assert_doctor_is_content, wait_until_settled
from tests.photos import crops

PHOTOS = 100


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_all_images_are_back_at_three_and_never_above_for_long(tmp_path: Path) -> None:
    photos = crops(PHOTOS)
    with swarm(tmp_path, ("ada", "bob", "cyd", "dan", "eve")) as peers:
        ada, bob, cyd, dan, eve = peers
        rows = ada.rows("add", "--replicas", "3:3", *map(str, photos), timeout_s=600)
        assert [r["error"] for r in rows] == [None] * PHOTOS
        wait_until_settled(peers, PHOTOS)

        dan.kill()
        eve.signal(signal.SIGSTOP)
        rest = [ada, bob, cyd]
        wait_until(lambda: sees_gone(ada, dan, eve), timeout_s=SEEN_TIMEOUT_S, what="both are missed")
        wait_until_settled(rest, PHOTOS)

        eve.signal(signal.SIGCONT)
        dan.start()
        for peer in peers:
            wait_until(lambda p=peer: sees_all(p, peers), timeout_s=120, what=f"{peer.name} sees all again")
        wait_until_settled(peers, PHOTOS)

        album = Album({row["root"]: photo.read_bytes() for row, photo in zip(rows, photos, strict=True)})
        for peer in peers:
            album.assert_readable(peer)
            assert_doctor_is_content(peer)


def sees_gone(watcher: Peer, *gone: Peer) -> bool:
    seen = {r["peer_id"]: r["sees"] for r in watcher.rows("peers")}
    return all(seen[peer.peer_id] != "alive" for peer in gone)


def sees_all(watcher: Peer, peers: list[Peer]) -> bool:
    return {r["peer_id"] for r in watcher.rows("peers") if r["sees"] == "alive"} == {p.peer_id for p in peers}
