"""A flow's limits bind whatever is added to it, known images too; a flow that strips says so in `add`'s line."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from node.demo.peers import Peer, swarm
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import read_back
from tests.pictures import saved, scene


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with swarm(tmp_path_factory.mktemp("limits"), ("solo",)) as peers:
        yield peers[0]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--max-bytes", "20kB", "takes at most 19.5 KiB (20000 bytes), and this has"),
        ("--max-px", "1000", "takes at most 1000 pixels, and this has 640 × 480"),
        ("--types", "png,webp", "takes image/png, image/webp only, and this is image/jpeg"),
    ],
)
def test_limits_bind_new_and_known_images(peer: Peer, tmp_path: Path, option: str, value: str, said: str) -> None:
    [new, known] = map(str, make_pictures(2, tmp_path, seed=len(option)))
    peer.call("add", known)
    peer.call("flow", "set", "tight", option, value)
    for path in (new, known):
        done = peer.run("add", "--flow", "tight", path)
        assert done.returncode == 5
        assert said in done.stderr
    peer.call("flow", "set", "tight", option, "any" if option == "--types" else "0")
    peer.call("add", "--flow", "tight", new)


def test_a_type_nobody_knows_is_a_mistake(peer: Peer) -> None:
    done = peer.run("flow", "set", "tight", "--types", "bmp")
    assert done.returncode == 2
    assert "expected some of jpeg, png" in done.stderr


def test_a_flow_that_strips_makes_another_image_and_says_so(peer: Peer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[29] = "secret"
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(saved(scene(), "JPEG", exif=exif))
    clean = tmp_path / "clean.png"
    clean.write_bytes(saved(scene(), "PNG"))
    row = peer.one("flow", "set", "public", "--strip")
    assert row["strip"] is True
    first, second = peer.rows("add", "--flow", "public", str(photo), str(clean))
    assert (first["stripped"], second["stripped"]) == (True, False)
    assert "without its metadata" in peer.call("add", "--flow", "public", str(photo))
    [as_it_is] = peer.rows("add", str(photo))
    assert as_it_is["original"] != first["original"]
    back = read_back(peer, first["root"], tmp_path)
    assert b"secret" not in back
    assert Image.open(io.BytesIO(back)).getexif() == {0x0112: 6}
    assert read_back(peer, second["root"], tmp_path) == clean.read_bytes()
    assert list((peer.data_dir / "workspace").glob("stripped-*")) == []


def test_what_cannot_be_stripped_is_refused_and_so_are_archives(peer: Peer, tmp_path: Path) -> None:
    photo = tmp_path / "photo.tiff"
    photo.write_bytes(saved(scene(), "TIFF"))
    peer.call("flow", "set", "public", "--strip")
    done = peer.run("add", "--flow", "public", str(photo))
    assert done.returncode == 1
    assert "the metadata of TIFF cannot be taken out" in done.stderr
    [row] = peer.rows("add", str(photo))
    peer.call("export", row["root"], "-o", str(tmp_path / "one.car"))
    assert peer.run("import", "--flow", "public", str(tmp_path / "one.car")).returncode == 5
