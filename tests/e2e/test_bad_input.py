"""Inputs that are no image, hostile, or out of reach: one line names each, nothing is kept of it, the others are done."""

import json
import os
import random
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from node.demo.peers import Peer, swarm
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import assert_doctor_is_content, counts, read_back
from tests.pictures import gif_of_size, png_chunk, png_of_size, saved, webp_of_size

NOBODY = 65534


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with swarm(tmp_path_factory.mktemp("bad"), ("solo",)) as [running]:
        yield running


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def cut(path: Path) -> None:
    [picture] = make_pictures(1, path.parent / "whole", seed=40)
    path.write_bytes(picture.read_bytes()[:9000])


def png_of_real_pixels(path: Path) -> None:
    """A gigapixel of one colour, all of it there: 130 KB that unpack to 128 MiB of rows."""
    side_px, deflate = 32_768, zlib.compressobj(9)
    rows = b"".join(deflate.compress(b"\0" * (1 + side_px // 8)) for _ in range(side_px)) + deflate.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, body) for name, body in chunks))


def png_of_much_text(path: Path) -> None:
    content = saved(Image.new("RGB", (16, 16)), "PNG")
    deflate = zlib.compressobj(9)
    text = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(200)) + deflate.flush()
    path.write_bytes(content[:33] + png_chunk(b"zTXt", b"comment\0\0" + text) + content[33:])


def avif_of_claimed_size(path: Path) -> None:
    content = saved(Image.new("RGB", (64, 64)), "AVIF")
    at = content.index(b"ispe") + 8
    path.write_bytes(content[:at] + struct.pack(">II", 16_000, 16_000) + content[at + 8 :])


def sparse(size_bytes: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(saved(Image.new("RGB", (16, 16)), "JPEG"))
            file.truncate(size_bytes)

    return make


def bind(path: Path) -> None:
    """A socket's name is short, so it is bound from its own folder's handle."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (write(b""), "empty, 0 bytes"),
    "text": (write(b"no picture at all\n"), "not an image: text"),
    "noise": (write(random.Random(1).randbytes(70_000)), "not an image: unknown bytes"),
    "start-of-jpeg": (write(b"\xff\xd8\xff"), "damaged image"),
    "cut": (cut, "truncated after 9000 bytes"),
    "bomb-png": (write(png_of_size(60_000, 60_000)), "too many pixels: 60000 × 60000"),
    "bomb-png-rows": (png_of_real_pixels, "too many pixels: 32768 × 32768"),
    "bomb-png-text": (png_of_much_text, "too large"),
    "bomb-gif": (write(gif_of_size(65_000, 65_000, 1)), "too many pixels: 65000 × 65000"),
    "bomb-gif-frames": (write(gif_of_size(4_000, 4_000, 50_000)), "too many pixels: 50000 frames of 4000 × 4000"),
    "bomb-webp": (write(webp_of_size(16_000, 16_000, 1)), "too many pixels: 16000 × 16000"),
    "bomb-avif": (avif_of_claimed_size, "too many pixels: 16000 × 16000"),
    "sparse": (sparse(5 << 30), "too large: 5.0 GiB, at most 256 MiB"),
    "pipe": (os.mkfifo, "not a regular file"),
    "socket": (bind, "not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "memory": (lambda path: path.symlink_to("/proc/self/mem"), "empty, 0 bytes"),
    "folder": (Path.mkdir, "is a directory"),
    "loop": (lambda path: path.symlink_to(path), "too many levels of symbolic links"),
    "dangling": (lambda path: path.symlink_to(path.with_name("nowhere")), "no such file"),
    "absent": (lambda _: None, "no such file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_input_is_named_in_one_line_and_nothing_of_it_is_kept(peer: Peer, tmp_path: Path, name: str) -> None:
    make, said = BAD[name]
    path = tmp_path / f"{name}.jpg"
    make(path)
    before = peer.one("status")
    done = peer.run("add", str(path))
    after = peer.one("status")
    assert done.returncode == (3 if said == "no such file" else 1)
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("hint: ")]
    assert line.startswith(f"pinakothek: {path}: ")
    assert said in line
    assert done.stdout == ""
    assert after["store"]["used_bytes"] == before["store"]["used_bytes"]
    assert after["images"] == before["images"]
    assert after["work"] == {"queued": 0, "running": 0, "failed": 0}


def test_all_of_them_at_once_leave_the_good_ones_done(peer: Peer, tmp_path: Path) -> None:
    good = make_pictures(3, tmp_path / "good", seed=41)
    bad = [tmp_path / f"{name}.jpg" for name in BAD]
    for path in bad:
        BAD[path.stem][0](path)
    mixed: list[Path] = [good[0], *bad[:9], good[1], *bad[9:], good[2]]
    before = counts(peer)["total"]
    done = peer.run("add", "--json", *map(str, mixed))
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == len(mixed)
    for path in bad:
        assert sum(f"/{path.name}: " in line for line in done.stderr.splitlines()) == 1, path
    assert counts(peer)["total"] == before + len(good)
    assert_doctor_is_content(peer)


class OrdinaryPeer(Peer):
    """A peer without root's right to read everything, even where root runs the tests."""

    def command(self, *words: str) -> list[str]:
        drop = [] if os.geteuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        return [*drop, *super().command(*words)]


@pytest.fixture
def ordinary(tmp_path: Path) -> Iterator[OrdinaryPeer]:
    peer = OrdinaryPeer(tmp_path / "peer", "ordinary")
    try:
        peer.init()
        peer.start()
        yield peer
    finally:
        peer.kill()


def test_what_may_not_be_read(ordinary: OrdinaryPeer) -> None:
    home = ordinary.data_dir.parent / "in"
    locked, hidden, good = make_pictures(3, home, seed=42)
    locked.chmod(0)
    (home / "closed").mkdir()
    hidden = hidden.rename(home / "closed" / hidden.name)
    (home / "closed").chmod(0)
    try:
        one_by_one = ordinary.run("add", str(locked), str(hidden), str(good))
        recursive = ordinary.run("add", "--recursive", "--flow", "all", str(home))
    finally:
        (home / "closed").chmod(0o700)
    for done, paths in ((one_by_one, (locked, hidden)), (recursive, (locked, home / "closed"))):
        assert done.returncode == 1
        assert {f"pinakothek: {path}: permission denied" for path in paths} <= set(done.stderr.splitlines())
    assert counts(ordinary)["total"] == 1
    assert_doctor_is_content(ordinary)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_daemon_of_another_user_is_not_spoken_to(peer: Peer) -> None:
    control = peer.data_dir / "control.sock"
    os.chown(control, NOBODY, -1)
    try:
        done = peer.run("status")
    finally:
        os.chown(control, os.geteuid(), -1)
    assert done.returncode == 5
    assert done.stderr.splitlines()[0] == f"pinakothek: {control}: the daemon belongs to another user"


def test_a_file_that_changes_while_it_is_read(peer: Peer, tmp_path: Path) -> None:
    """Whatever comes of it: what is acknowledged is a picture that was there, whole."""
    versions = [p.read_bytes() for p in make_pictures(2, tmp_path / "in", seed=43, width_px=2400, height_px=1800)]
    path = tmp_path / "changing.jpg"
    path.write_bytes(versions[0])
    over = threading.Event()

    def keep_changing() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            path.write_bytes(versions[turn % 2])

    writer = threading.Thread(target=keep_changing)
    writer.start()
    try:
        for _ in range(8):
            done = peer.run("add", "--json", str(path))
            row = json.loads(done.stdout)
            assert done.returncode == (1 if row["error"] else 0)
            if row["root"]:
                assert read_back(peer, row["root"], tmp_path) in versions
            else:
                assert len([li for li in done.stderr.splitlines() if not li.startswith("hint: ")]) == 1
    finally:
        over.set()
        writer.join()
    assert_doctor_is_content(peer)
