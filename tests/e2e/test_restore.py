"""An album goes in, its first peer is destroyed, and another brings it back: byte for byte and name for name.

PINAKOTHEK_ALBUM says how many photos it has, 60 otherwise; 1,000 take some minutes. PINAKOTHEK_ALBUM_FROM names a
folder of photos to take them from; otherwise pictures are made.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm, wait_until
from tests.e2e.pictures import make_pictures

PHOTOS = int(os.environ.get("PINAKOTHEK_ALBUM", "60"))
LONG_S = 60 + PHOTOS
"""For whatever is done with the whole album, on a machine that has other things to do."""

pytestmark = pytest.mark.timeout(3 * LONG_S)

Tree = dict[bytes, str]


def tree(folder: Path) -> Tree:
    """Every file below `folder`: its path, and the hash of its bytes."""
    top = os.fsencode(folder)
    found = {}
    for where, _, names in os.walk(top):
        for name in names:
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, top)] = hashlib.sha256(file.read()).hexdigest()
    return found


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An album with folders, a name that is no UTF-8, and one picture under two names."""
    album = tmp_path_factory.mktemp("source") / "album"
    for number, picture in enumerate(_pictures(album, PHOTOS - 2)):
        folder = album / f"year {number % 3}" / f"trip-{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        picture.rename(folder / picture.name)
    odd = os.path.join(os.fsencode(album), b"caf\xe9 \xe2\x98\x83.jpg")
    [first, second] = make_pictures(2, album, seed=62, width_px=200, height_px=150)
    os.rename(first, odd)
    (album / "copy.jpg").write_bytes(second.read_bytes())
    return album


def _pictures(album: Path, count: int) -> list[Path]:
    taken_from = os.environ.get("PINAKOTHEK_ALBUM_FROM")
    if not taken_from:
        return make_pictures(count, album, seed=61, width_px=200, height_px=150)
    photos = sorted(Path(taken_from).iterdir())[:count]
    assert len(photos) == count, f"{taken_from}: {len(photos)} photos, {count} are needed"
    album.mkdir()
    return [Path(shutil.copy(photo, album)) for photo in photos]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, album: Path) -> Iterator[Peer]:
    """The peer that is left after the one that took the album in was destroyed."""
    with swarm(tmp_path_factory.mktemp("two"), ("ada", "bob")) as (ada, bob):
        options = ("--recursive", "--flow", "album", "--replicas", "2:2", "--wait", "2", "--timeout", "5m")
        rows = ada.rows("add", *options, str(album), timeout_s=LONG_S)
        assert [row["error"] for row in rows] == [None] * len(rows)
        assert len(rows) == PHOTOS + 1, "and one of them under two names"
        wait_until(lambda: len(bob.rows("ls", "--flow", "album")) == len(rows), timeout_s=60, what="bob knows all")
        ada.kill()
        shutil.rmtree(ada.data_dir)
        yield bob


def test_an_album_comes_back_as_it_was(left: Peer, album: Path, tmp_path: Path) -> None:
    rows = left.rows("get", "--flow", "album", "-o", str(tmp_path / "back"), timeout_s=LONG_S)
    assert all(row["error"] is None and row["new"] for row in rows)
    assert tree(tmp_path / "back" / "album") == tree(album)


def test_a_killed_restore_goes_on_and_leaves_no_litter(left: Peer, album: Path, tmp_path: Path) -> None:
    folder = tmp_path / "back"
    restore = subprocess.Popen(
        left.command("get", "--flow", "album", "-o", str(folder)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert restore.stdout is not None
    restore.stdout.readline()
    restore.kill()
    restore.wait()
    restore.stdout.close()
    rows = left.rows("get", "--flow", "album", "-o", str(folder), timeout_s=LONG_S)
    assert any(not row["new"] for row in rows), "what was there was not written again"
    assert tree(folder / "album") == tree(album)


def test_what_was_damaged_is_written_again_and_what_is_right_is_not_touched(
    left: Peer, album: Path, tmp_path: Path
) -> None:
    left.call("get", "--flow", "album", "-o", str(tmp_path), timeout_s=LONG_S)
    damaged = tmp_path / "album" / "copy.jpg"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + b"?")
    rows = left.rows("get", "--flow", "album", "-o", str(tmp_path), timeout_s=LONG_S)
    assert [row["path"] for row in rows if row["new"]] == [str(damaged)]
    assert damaged.read_bytes() == content


def test_mistakes_are_told(left: Peer, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for words, code in (
        (("get",), 2),
        (("get", "--flow", "album"), 2),
        (("get", "--flow", "album", "-o", str(file)), 2),
        (("get", "--flow", "album", "--variant", "small", "-o", str(tmp_path)), 2),
        (("get", "--flow", "nothing", "-o", str(tmp_path / "new")), 3),
    ):
        done = left.run(*words)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith("pinakothek: ")
