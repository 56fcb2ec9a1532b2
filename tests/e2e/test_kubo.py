"""A real Kubo reads what a peer stores, and a peer pins what a Kubo has: byte for byte, by both CID versions."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.demo.peers import Peer, swarm
from tests.e2e.pictures import make_pictures
from tests.e2e.swarms import read_back
from tests.kubo import Kubo

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    with Kubo(tmp_path_factory.mktemp("kubo")) as running:
        yield running


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with swarm(tmp_path_factory.mktemp("swarm"), ("solo",)) as [running]:
        yield running


def noise(path: Path, size_bytes: int, seed: int) -> Path:
    path.write_bytes(random.Random(seed).randbytes(size_bytes))
    return path


def test_kubo_gets_an_image_directory_from_a_peer(kubo: Kubo, peer: Peer, tmp_path: Path) -> None:
    [picture] = make_pictures(1, tmp_path, seed=31, width_px=3000, height_px=2000)
    row = peer.one("add", str(picture))
    kubo.connect(peer.addrs[0])
    kubo.cli("get", "-o", str(tmp_path / "copy"), row["root"])
    assert (tmp_path / "copy/original.jpg").read_bytes() == picture.read_bytes()
    for variant in ("small", "display"):
        assert (tmp_path / f"copy/{variant}.webp").read_bytes() == read_back(peer, row["root"], tmp_path, variant)
    kubo.cli("pin", "add", row["root"])


@pytest.mark.parametrize(
    "options",
    [("--cid-version=0", "--raw-leaves=false", "--chunker=size-262144"), ("--cid-version=1",)],
    ids=["v0", "v1"],
)
def test_a_peer_pins_a_file_from_kubo(kubo: Kubo, peer: Peer, tmp_path: Path, options: tuple[str, ...]) -> None:
    content = noise(tmp_path / "file", 20_000_000, seed=len(options))
    cid = kubo.cli("add", "-Q", *options, str(content)).decode().strip()
    peer.call("pin", "add", cid, "--from", kubo.addr, "--wait", "1", "--timeout", "60s")
    back = hashlib.sha256(read_back(peer, cid, tmp_path)).digest()
    assert back == hashlib.sha256(content.read_bytes()).digest()


def test_a_peer_pins_a_directory_from_kubo_and_serves_it_on(kubo: Kubo, peer: Peer, tmp_path: Path) -> None:
    folder = tmp_path / "album/inner"
    folder.mkdir(parents=True)
    files = [noise(folder / f"{n}.bin", 700_000 * n + 1, seed=n) for n in range(4)]
    cid = kubo.cli("add", "-Q", "-r", str(tmp_path / "album")).decode().strip()
    peer.call("pin", "add", cid, "--from", kubo.addr, "--timeout", "60s")
    with Kubo(tmp_path / "second") as second:
        second.connect(peer.addrs[0])
        second.cli("get", "-o", str(tmp_path / "copy"), cid)
    for path in files:
        assert (tmp_path / "copy/inner" / path.name).read_bytes() == path.read_bytes()
