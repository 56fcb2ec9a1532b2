"""Images leave one swarm as a CAR file and come into another; and what an archive may bring that nobody asked for."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm
from store.car import CarReader, write_car
from store.cid import RAW, cid_of, cid_text, parse_cid
from store.dag import walk
from store.images.facts import IMAGE_JSON
from store.unixfs import Block, DirEntry, import_file, list_directory, make_directory
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, read_back


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, Peer]]:
    """Two swarms of one peer each."""
    with (
        swarm(tmp_path_factory.mktemp("one"), ("ada",)) as (ada,),
        swarm(tmp_path_factory.mktemp("other"), ("bob",)) as (bob,),
    ):
        yield ada, bob


@pytest.fixture(scope="module")
def exported(peers: tuple[Peer, Peer], tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """Three images, and the archive of them."""
    home = tmp_path_factory.mktemp("pictures")
    rows = peers[0].rows("add", *map(str, make_pictures(3, home, seed=71)))
    archive = home / "three.car"
    roots = [row["root"] for row in rows]
    peers[0].call("export", *roots, "-o", str(archive))
    return roots, archive


def blocks_of(archive: Path) -> dict[bytes, bytes]:
    with archive.open("rb") as file:
        return {frame.cid: frame.data for frame in CarReader(file)}


def test_an_archive_is_whole_and_every_block_is_what_it_says(exported: tuple[list[str], Path]) -> None:
    roots, archive = exported
    with archive.open("rb") as file:
        assert [cid_text(root) for root in CarReader(file).roots] == roots
    blocks = blocks_of(archive)
    reached = {visited.cid for root in roots for visited in walk(parse_cid(root), blocks.__getitem__)}
    assert reached == set(blocks)


def test_images_come_in_as_images_with_the_same_roots_and_bytes(
    peers: tuple[Peer, Peer], exported: tuple[list[str], Path], tmp_path: Path
) -> None:
    ada, bob = peers
    roots, archive = exported
    rows = bob.rows("import", str(archive), "--flow", "inherited")
    assert [(row["root"], row["new"], row["error"]) for row in rows] == [(root, True, None) for root in roots]
    listed = {row["root"]: row for row in bob.rows("ls", "--flow", "inherited")}
    assert {root: (row["width_px"], row["media_type"]) for root, row in listed.items()} == dict.fromkeys(
        roots, (640, "image/jpeg")
    )
    for variant in ("original", "small"):
        assert read_back(bob, roots[0], tmp_path, variant) == read_back(ada, roots[0], tmp_path, variant)
    assert [row["new"] for row in bob.rows("import", str(archive))] == [False] * 3
    assert_doctor_is_content(bob)


def test_a_directory_with_forged_thumbnails_is_no_image(
    peers: tuple[Peer, Peer], exported: tuple[list[str], Path], tmp_path: Path
) -> None:
    _, bob = peers
    roots, archive = exported
    blocks = blocks_of(archive)
    entries = {entry.name: entry for entry in list_directory(parse_cid(roots[1]), blocks.__getitem__)}
    forged = import_file([b"another picture"])
    made: list[Block] = list(forged)
    entries["small.webp"] = DirEntry("small.webp", forged.root, forged.tsize_bytes)
    made.append(make_directory(list(entries.values())))
    assert IMAGE_JSON in entries
    blocks |= {block.cid: block.data for block in made}
    path = tmp_path / "forged.car"
    path.write_bytes(b"".join(write_car([made[-1].cid], blocks.items())))
    [row] = bob.rows("import", str(path), "--flow", "forged")
    assert row["error"] is None
    [listed] = [pin for pin in bob.rows("pin", "ls") if pin["cid"] == row["root"]]
    assert listed["content"] == "dag"


def test_bad_archives_are_refused_in_a_line_and_leave_nothing(
    peers: tuple[Peer, Peer], exported: tuple[list[str], Path], tmp_path: Path
) -> None:
    _, bob = peers
    whole = exported[1].read_bytes()
    leaf = cid_of(RAW, b"leaf")
    cases = {
        "empty": b"",
        "text": b"no archive at all",
        "cut": whole[: len(whole) // 2],
        "flipped": whole[:-1] + bytes((whole[-1] ^ 1,)),
        "rootless": b"".join(write_car([], [(leaf, b"leaf")])),
    }
    before = bob.one("status")["images"]["total"]
    for name, content in cases.items():
        path = tmp_path / f"{name}.car"
        path.write_bytes(content)
        done = bob.run("import", str(path))
        assert done.returncode == 1, name
        assert len(done.stderr.splitlines()) <= 2, done.stderr
        assert "Traceback" not in done.stderr
    assert bob.one("status")["images"]["total"] == before
    assert_doctor_is_content(bob)


def test_a_root_whose_blocks_are_not_all_there_is_named_and_the_others_are_pinned(
    peers: tuple[Peer, Peer], tmp_path: Path
) -> None:
    _, bob = peers
    content = b"whole", b"absent"
    roots = [cid_of(RAW, each) for each in content]
    path = tmp_path / "some.car"
    path.write_bytes(b"".join(write_car(roots, [(roots[0], content[0])])))
    done = bob.run("import", str(path), "--json")
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["root"] for row in rows] == [cid_text(roots[0]), None]
    assert "lacks a block" in rows[1]["error"]


def test_what_is_not_there_cannot_be_exported(peers: tuple[Peer, Peer], tmp_path: Path) -> None:
    out = tmp_path / "out.car"
    assert peers[0].run("export", "nothing.jpg", "-o", str(out)).returncode == 3
    assert not out.exists()
    assert peers[0].run("export").returncode == 2
