"""One peer, as its first user meets it: add, get, list, show, remove, and everything that can be wrong with an input."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_until
from store.cid import RAW, cid_of, cid_text
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, counts, read_back


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with swarm(tmp_path_factory.mktemp("one"), ("solo",)) as peers:
        yield peers[0]


def test_the_ready_line_names_the_peer_and_where_it_listens(peer: Peer) -> None:
    assert peer.ready["peer_id"] == peer.one("status")["peer_id"]
    assert peer.addrs
    assert all(peer.peer_id in addr for addr in peer.addrs)
    assert {f"{addr}/p2p/{peer.peer_id}" for addr in peer.one("peers")["addrs"]} == set(peer.addrs)


def test_what_was_added_comes_back_byte_for_byte(peer: Peer, tmp_path: Path) -> None:
    pictures = make_pictures(3, tmp_path / "in", seed=1)
    rows = peer.rows("add", "--flow", "album", *map(str, pictures))
    assert [r["path"] for r in rows] == [str(p) for p in pictures]
    for row, picture in zip(rows, pictures, strict=True):
        assert row["error"] is None
        assert row["new"] is True
        assert row["copies"] == 1
        assert read_back(peer, row["root"], tmp_path) == picture.read_bytes()
        for variant in ("small", "medium", "large", "display"):
            assert read_back(peer, row["root"], tmp_path, variant)[8:12] == b"WEBP"
        shown = peer.one("show", row["root"])
        assert {"original.jpg", "small.webp", "image.json"} <= {f["name"] for f in shown["files"]}
        assert (shown["width_px"], shown["height_px"], shown["media_type"]) == (640, 480, "image/jpeg")
        assert [h["peer_id"] for h in shown["holders"]] == [peer.peer_id]
    assert {r["name"] for r in peer.rows("ls", "--flow", "album")} == {p.name for p in pictures}


def test_a_reference_may_be_a_prefix_an_original_or_a_name(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=2)
    [row] = peer.rows("add", "--flow", "refs", str(picture))
    for ref in (row["root"], row["root"][:20], row["original"], picture.name):
        assert peer.one("show", ref)["root"] == row["root"]
    assert peer.run("show", "bafkqaaa-no-such").returncode == 3


def test_a_reference_may_be_a_path_and_is_never_empty(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path / "holiday" / "day 1?", seed=12)
    [row] = peer.rows("add", "--recursive", "--flow", "2026/may", str(tmp_path / "holiday"))
    name = f"holiday/day 1?/{picture.name}"
    assert peer.one("show", name)["root"] == row["root"]
    peer.call("get", name, "-o", str(tmp_path / "back.jpg"))
    assert (tmp_path / "back.jpg").read_bytes() == picture.read_bytes()
    assert peer.one("rm", name)["name"] == name
    assert peer.one("undelete", name)["flow"] == "2026/may"
    assert peer.run("flow", "rm", "2026/may").returncode == 5
    peer.call("rm", name, "--purge")
    for words in (("show", ""), ("rm", ""), ("undelete", ""), ("pin", "rm", ""), ("get", ""), ("flow", "rm", "")):
        assert peer.run(*words).returncode in (2, 3), words


def test_a_short_prefix_of_several_images_lists_them(peer: Peer, tmp_path: Path) -> None:
    roots = {row["root"] for row in peer.rows("add", *map(str, make_pictures(2, tmp_path, seed=14)))}
    done = peer.run("show", "b")
    assert done.returncode == 2
    assert any(root in done.stderr for root in roots)


def test_a_flow_that_is_not_there_is_not_verified(peer: Peer) -> None:
    assert peer.run("verify", "--flow", "no such flow").returncode == 3


def test_what_nobody_has_is_not_exported(peer: Peer, tmp_path: Path) -> None:
    nobodys = cid_text(cid_of(RAW, b"nobody has this"))
    peer.call("pin", "add", nobodys, "--wait", "0")
    done = peer.run("export", nobodys, "-o", str(tmp_path / "out.car"))
    assert done.returncode == 1
    assert nobodys in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = peer.run("verify", nobodys, "--json")
    assert done.returncode == 3, "nothing was checked"
    assert json.loads(done.stdout)["ok"] is False
    peer.call("rm", nobodys, "--purge")


def test_a_duration_of_nothing_is_a_mistake(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=15)
    for option in ("--expires", "--timeout"):
        done = peer.run("add", str(picture), option, "0")
        assert done.returncode == 2
        assert option in done.stderr


def test_bounds_of_the_charter_act_on_what_is_there_at_once(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=13)
    peer.call("add", "--replicas", "1:4", str(picture))

    def at_target() -> bool:
        return counts(peer)["at_target"] == counts(peer)["total"] > 0

    assert not at_target()
    peer.call("charter", "set", "--replicas", "1:1", "--bounds", "1:1")
    wait_until(at_target, timeout_s=60, what="one copy is enough of each image")
    peer.call("charter", "set", "--replicas", "2:3", "--bounds", "1:150")
    wait_until(lambda: not at_target(), timeout_s=60, what="one copy is not enough any more")


def test_an_original_has_the_cid_that_cid_only_prints(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=3)
    [row] = peer.rows("add", str(picture))
    assert row["original"] in peer.call("add", "--cid-only", str(picture))


def test_a_plain_file_comes_back_whatever_it_is_called(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=14)
    [row] = peer.rows("add", str(picture))
    peer.call("pin", "add", row["original"], "--name", "фото.jpg")
    out = tmp_path / "out.jpg"
    told = peer.one("get", row["original"], "-o", str(out))
    assert out.read_bytes() == picture.read_bytes()
    assert told["root"] == told["cid"] == row["original"]
    assert told["size_bytes"] == len(out.read_bytes())


def test_adding_known_bytes_again_makes_no_second_image(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=4)
    [first] = peer.rows("add", "--flow", "one", str(picture))
    before = counts(peer)["total"]
    [again] = peer.rows("add", "--flow", "two", str(picture))
    assert (again["root"], again["new"]) == (first["root"], False)
    assert counts(peer)["total"] == before
    assert {r["flow"] for r in peer.rows("ls") if r["root"] == first["root"]} == {"one", "two"}
    refused = peer.run("rm", first["root"])
    assert refused.returncode == 2
    assert "one" in refused.stderr
    assert "two" in refused.stderr


def test_a_removed_image_goes_to_the_trash_and_comes_back(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=5)
    [row] = peer.rows("add", "--flow", "bin", str(picture))
    peer.call("rm", row["root"])
    assert row["root"] not in {r["root"] for r in peer.rows("ls")}
    assert row["root"] in {r["root"] for r in peer.rows("trash", "ls")}
    peer.call("undelete", row["root"])
    assert row["root"] in {r["root"] for r in peer.rows("ls")}


def test_bad_inputs_are_named_one_a_line_and_the_others_are_done(peer: Peer, tmp_path: Path) -> None:
    [good] = make_pictures(1, tmp_path, seed=6)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("not a picture at all")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:9000])
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    bad = [tmp_path / n for n in ("empty.jpg", "text.png", "cut.jpg", "folder", "loop.jpg", "missing.jpg")]
    before = counts(peer)["total"]
    done = peer.run("add", *map(str, bad), str(good))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for path in bad:
        assert sum(path.name in line for line in done.stderr.splitlines()) == 1, done.stderr
    assert counts(peer)["total"] == before + 1
    assert_doctor_is_content(peer)


def test_a_name_in_any_bytes_is_taken(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=7)
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9 \n\xff.jpg")
    os.rename(picture, odd)
    [row] = peer.rows("add", "--flow", "odd", os.fsdecode(odd))
    assert row["error"] is None
    assert row["root"] in {r["root"] for r in peer.rows("ls", "--flow", "odd")}


def test_a_waited_for_count_that_cannot_be_is_refused_before_anything_is_stored(peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=8)
    before = counts(peer)["total"]
    assert peer.run("add", "--wait", "2", str(picture)).returncode == 5
    assert counts(peer)["total"] == before


def test_the_control_socket_is_the_owners_alone(peer: Peer) -> None:
    mode = stat.S_IMODE((peer.data_dir / "control.sock").stat().st_mode)
    assert mode == 0o600


def test_a_second_daemon_on_the_same_directory_is_refused(peer: Peer) -> None:
    done = peer.run("run", "--listen", "/ip4/127.0.0.1/tcp/0", "--gateway", "off")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) <= 2
    assert str(peer.data_dir) in done.stderr


def test_doctor_is_content_with_a_lone_peer(peer: Peer) -> None:
    assert_doctor_is_content(peer)


def test_without_a_daemon_the_exit_code_is_4(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "off", "off")
    peer.init()
    done = peer.run("status")
    assert done.returncode == 4
    assert len(done.stderr.strip().splitlines()) <= 2


def test_a_damaged_invite_is_refused_in_a_line(peer: Peer, tmp_path: Path) -> None:
    line = peer.one("invite")["invite"]
    done = Peer(tmp_path / "guest", "guest").run("init", "--join", line[:-9] + "x" * 9)
    assert done.returncode in (1, 2)
    assert "invite" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "guest" / "identity.key").exists()


def test_sigterm_ends_a_daemon_cleanly_and_it_starts_again_with_everything(tmp_path: Path) -> None:
    with swarm(tmp_path / "s", ("solo",)) as [peer]:
        pictures = make_pictures(2, tmp_path / "in", seed=9)
        rows = peer.rows("add", *map(str, pictures))
        assert peer.stop() == 0
        peer.start()
        for row, picture in zip(rows, pictures, strict=True):
            assert read_back(peer, row["root"], tmp_path) == picture.read_bytes()
        assert_doctor_is_content(peer)
        assert peer.stop() == 0
