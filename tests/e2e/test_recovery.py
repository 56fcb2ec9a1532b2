"""A swarm whose members lose what they knew of themselves: a bad block, a deleted catalogue, an old copy put back.

One swarm of three, in which everybody holds everything; every test leaves it healed.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_for_links, wait_until
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, counts, read_back, wait_until_settled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    with swarm(tmp_path_factory.mktemp("recovery"), ("ada", "bob", "cyd")) as running:
        for peer in running:  # where the others will look: their addresses go with the catalogue
            peer.listen = peer.addrs[0].partition("/p2p/")[0]
        yield running


def holders(peer: Peer, root: str) -> set[str]:
    return {row["peer_id"] for row in peer.one("show", root)["holders"]}


def seen_alive_and_active(by: Peer, peer: Peer) -> bool:
    return any(
        row["peer_id"] == peer.peer_id and (row["sees"], row["state"]) == ("alive", "active")
        for row in by.rows("peers")
    )


def test_a_block_gone_bad_is_retracted_and_made_good(peers: list[Peer], tmp_path: Path) -> None:
    ada, bob, _ = peers
    [picture] = make_pictures(1, tmp_path, seed=61)
    [row] = ada.rows("add", "--replicas", "3:3", "--wait", "3", str(picture))
    wait_until_settled(peers, 1)
    file = next(bob.data_dir.glob("blocks/??/*.data"))
    good = file.read_bytes()
    file.write_bytes(b"rotten" + good[6:])
    assert read_back(bob, row["root"], tmp_path) == picture.read_bytes()  # from the others, if it must be
    wait_until(lambda: file.exists() and file.read_bytes() == good, timeout_s=90, what="the block is good again")
    wait_until_settled(peers, 1)
    assert holders(ada, row["root"]) == {peer.peer_id for peer in peers}


def test_a_member_whose_catalogue_was_deleted_recovers_from_its_files_and_its_fellows(
    peers: list[Peer], tmp_path: Path
) -> None:
    ada, bob, cyd = peers
    before = counts(ada)["total"]
    pictures = make_pictures(4, tmp_path / "in", seed=62)
    rows = ada.rows("add", "--replicas", "3:3", "--wait", "3", *map(str, pictures))
    wait_until_settled(peers, before + 4)
    assert bob.stop() == 0
    for path in bob.data_dir.glob("catalogue.db*"):
        path.unlink()
    bob.start()
    wait_until(lambda: bob.one("status")["state"] == "active", timeout_s=90, what="bob has recovered")
    for other in (ada, cyd):
        wait_until(lambda o=other: seen_alive_and_active(o, bob), timeout_s=60, what="bob is believed")
    wait_until_settled(peers, before + 4)
    for row, picture in zip(rows, pictures, strict=True):
        assert holders(cyd, row["root"]) == {peer.peer_id for peer in peers}
        assert read_back(bob, row["root"], tmp_path) == picture.read_bytes()
    for peer in peers:
        assert_doctor_is_content(peer)


def test_a_member_whose_whole_directory_is_an_old_copy_recovers_and_is_believed(
    peers: list[Peer], tmp_path: Path
) -> None:
    ada, bob, cyd = peers
    before = counts(ada)["total"]
    first, *later = make_pictures(4, tmp_path / "in", seed=63)
    rows = ada.rows("add", "--replicas", "3:3", "--wait", "3", str(first))
    wait_until_settled(peers, before + 1)
    assert bob.stop() == 0
    shutil.copytree(bob.data_dir, tmp_path / "backup", ignore=shutil.ignore_patterns("control.sock"))
    bob.start()
    wait_for_links(peers)
    rows += ada.rows("add", "--replicas", "3:3", "--wait", "3", *map(str, later))
    wait_until_settled(peers, before + 4)
    assert bob.stop() == 0
    shutil.rmtree(bob.data_dir)
    shutil.copytree(tmp_path / "backup", bob.data_dir)
    (bob.data_dir / "daemon.log").unlink()
    bob.start()
    wait_until(lambda: "epoch" in bob.log_tail(100), timeout_s=60, what="bob begins a new epoch")
    wait_until(lambda: bob.one("status")["state"] == "active", timeout_s=90, what="bob has recovered")
    for other in (ada, cyd):
        wait_until(lambda o=other: seen_alive_and_active(o, bob), timeout_s=60, what="bob is believed")
    wait_until_settled(peers, before + 4)
    for row, picture in zip(rows, [first, *later], strict=True):
        assert holders(cyd, row["root"]) == {peer.peer_id for peer in peers}
        assert read_back(bob, row["root"], tmp_path) == picture.read_bytes()
    for peer in peers:
        assert_doctor_is_content(peer)
