"""What an operator asks besides adding: pages, flows, bulk removals, uploads, metrics; one steward and one curator."""

from collections.abc import Iterator

import pytest

from node.control.client import Control
from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures

PICTURES = 26


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    home = tmp_path_factory.mktemp("two")
    with swarm(home, ("ada", "bob")) as running:
        pictures = make_pictures(PICTURES, home / "in", seed=41, width_px=160, height_px=120)
        running[0].call("add", "--flow", "album", "--replicas", "1:2", *map(str, pictures))
        wait_until(
            lambda: len(running[1].rows("ls", "--flow", "album")) == PICTURES,
            timeout_s=60,
            what="bob knows all pictures",
        )
        yield running


def test_pages_hold_every_image_once_in_every_order(peers: list[Peer]) -> None:
    with Control(peers[1].data_dir) as control:
        for sort in ("", "&sort=added", "&sort=taken"):
            seen: list[str] = []
            after: str | None = ""
            while after is not None:
                page = control.call("GET", f"/v1/images?flow=album&limit=7{sort}{after and '&after=' + after}")
                seen += [row["name"] for row in page["rows"]]
                after = page["next"]
            assert len(seen) == len(set(seen)) == PICTURES
            assert sort != "&sort=added" or seen == sorted(seen, key=added_at(peers[1]).__getitem__)


def added_at(peer: Peer) -> dict[str, str]:
    return {row["name"]: row["added_at"] for row in peer.rows("ls", "--flow", "album")}


def test_a_flow_takes_effect_on_every_peer_and_bounds_are_kept(peers: list[Peer]) -> None:
    ada, bob = peers
    [picture] = make_pictures(1, bob.data_dir / "in", seed=42, width_px=160, height_px=120)
    bob.call("flow", "set", "feed", "--replicas", "1:1")
    bob.call("add", "--flow", "feed", str(picture))
    wait_until(
        lambda: [r["replicas"] for r in ada.rows("ls", "--flow", "feed")] == [{"min": 1, "max": 1}],
        timeout_s=60,
        what="ada knows the flow and its picture",
    )
    assert bob.run("add", "--flow", "feed", "--wait", "2", str(picture)).returncode == 5
    for backend in ("s3", "kubo"):
        done = bob.run("flow", "set", "feed", "--backend", backend)
        assert done.returncode == 5
        assert backend in done.stderr


def test_who_may_add_to_a_flow_is_set_at_run_time(peers: list[Peer]) -> None:
    ada, bob = peers
    [picture] = make_pictures(1, bob.data_dir / "in", seed=43, width_px=160, height_px=120)

    def set_adders(word: str, peer_ids: list[str]) -> None:
        assert ada.one("flow", "set", "closed", "--adders", word)["adders"] == peer_ids
        wait_until(
            lambda: [row["adders"] for row in bob.rows("flow", "ls") if row["name"] == "closed"] == [peer_ids],
            timeout_s=60,
            what=f"bob knows that {word} may add",
        )

    set_adders("ada", [ada.peer_id])
    done = bob.run("add", "--flow", "closed", str(picture))
    assert done.returncode == 5
    assert "none of those who may add" in done.stderr
    ada.call("add", "--flow", "closed", str(picture))
    set_adders("any", [])
    bob.call("add", "--flow", "closed", str(picture))
    assert ada.run("flow", "set", "closed", "--adders", "nobody").returncode == 3


def test_an_upload_leaves_nothing_in_the_workspace(peers: list[Peer]) -> None:
    [picture] = make_pictures(1, peers[0].data_dir / "in", seed=43, width_px=160, height_px=120)
    with Control(peers[0].data_dir) as control:
        taken = control.open("POST", "/v1/upload?name=up.jpg&flow=feed", upload=[picture.read_bytes()]).read()
    assert b'"path":"up.jpg"' in taken
    assert list((peers[0].data_dir / "workspace").iterdir()) == []


def test_metrics_say_what_status_says(peers: list[Peer]) -> None:
    total = peers[0].one("status")["images"]["total"]
    with Control(peers[0].data_dir) as control:
        text = control.open("GET", "/v1/metrics").read().decode()
    assert f"\npinakothek_roots {float(total)}\n" in text
    assert '\npinakothek_peers{sees="alive"} 2.0\n' in text
    assert "\npinakothek_bitswap_sent_bytes_total " in text
    assert "\npinakothek_records_set_aside 0.0\n" in text
    assert '\npinakothek_alert{check="set aside"} 0.0\n' in text


def test_a_curator_may_not_empty_an_album_and_a_steward_may(peers: list[Peer]) -> None:
    ada, bob = peers
    names = sorted(row["name"] for row in bob.rows("ls", "--flow", "album"))
    codes = [bob.run("rm", name).returncode for name in names[:21]]
    assert codes == [0] * 20 + [5]
    wait_until(lambda: len(ada.rows("trash", "ls")) == 20, timeout_s=60, what="ada sees the trash")
    assert bob.run("rm", "--purge", names[0]).returncode == 5
    ada.call("rm", "--purge", names[0])
    assert [ada.run("rm", name).returncode for name in names[20:]] == [0] * (PICTURES - 20)
    assert ada.rows("ls", "--flow", "album") == []
    bob.call("undelete", names[5])
    assert bob.run("invite").returncode == 5
