"""Against the real Kubo: our CIDs are its CIDs, our blocks its blocks, and what it makes we read."""

import io
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.car import CarReader, write_car
from store.cid import cid_text, inline_block, parse_cid
from store.dag import walk
from store.unixfs import (
    Block,
    DirEntry,
    import_file,
    list_directory,
    make_directory,
    read_file,
    resolve_path,
    stat,
    tsize_of,
)
from tests.kubo import Kubo
from tests.unixfs_vectors import VECTORS, content, import_tree

pytestmark = pytest.mark.interop

MIB = 1 << 20


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    with Kubo(tmp_path_factory.mktemp("kubo")) as running:
        yield running


def added(kubo: Kubo, whole: bytes, *options: str) -> str:
    return kubo.cli("add", "-Q", *options, stdin=whole).decode().strip()


def exported(kubo: Kubo, cid: str) -> dict[bytes, bytes]:
    archive = kubo.cli("dag", "export", "--progress=false", cid)
    return {frame.cid: frame.data for frame in CarReader(io.BytesIO(archive))}


def reader_of(kubo: Kubo) -> Callable[[bytes], bytes]:
    return lambda cid: kubo.block(cid_text(cid))


@pytest.mark.parametrize("size_bytes", [0, 1, 1000, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB + 17, 100_000_000])
def test_a_file_has_the_cid_and_blocks_that_kubo_gives_it(kubo: Kubo, size_bytes: int) -> None:
    whole = random.Random(size_bytes).randbytes(size_bytes)
    importing = import_file(io.BytesIO(whole))
    blocks = dict(importing)
    cid = added(kubo, whole)
    assert cid_text(importing.root) == cid
    assert exported(kubo, cid) == blocks
    assert int(kubo.cli("files", "stat", "--format=<cumulsize>", f"/ipfs/{cid}")) == importing.tsize_bytes


def test_the_vectors_are_still_what_kubo_makes(kubo: Kubo) -> None:
    for vector in VECTORS["files"]:
        assert added(kubo, content(vector["size_bytes"])) == vector["cid"]
    for vector in VECTORS["small_chunks"]:
        chunker = f"--chunker=size-{vector['chunk_bytes']}"
        assert added(kubo, content(vector["size_bytes"]), chunker, "--only-hash") == vector["cid"]


NAMES = [
    "a",
    "B",
    "a b",
    "b.txt",
    "größe.jpg",
    "e\u0301",
    "é",
    "写真.jpg",
    "🖼.png",
    "%41",
    "-",
    "...",
    "\u202e",
    "n\nl",
    "\x7f",
]


def test_nested_directories_with_any_names_equal_those_of_kubo(kubo: Kubo, tmp_path: Path) -> None:
    files = {name: index for index, name in enumerate(NAMES)}
    files |= {f"deep/er/{name}": index for index, name in enumerate(NAMES)}
    files |= {"deep/large.bin": MIB + 1, "deep.txt": 5, "deep-er/x": 1}
    for path, size_bytes in files.items():
        target = tmp_path / "tree" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content(size_bytes))
    cid = kubo.cli("add", "-Qr", "--hidden", str(tmp_path / "tree")).decode().strip()
    block = import_tree(files)
    assert cid_text(block.cid) == cid
    assert int(kubo.cli("files", "stat", "--format=<cumulsize>", f"/ipfs/{cid}")) == tsize_of(block)


def test_the_largest_plain_directory_is_plain_to_kubo_too(kubo: Kubo, tmp_path: Path) -> None:
    file = next(import_file([b""]))
    folder = tmp_path / "wide"
    folder.mkdir()
    entries = []
    for index in range(2427):
        name = f"{index:064}"
        (folder / name).touch()
        entries.append(DirEntry(name, file.cid, 0))
    block = make_directory(entries)
    assert len(block.data) > 255 * 1024
    assert kubo.cli("add", "-Qr", str(folder)).decode().strip() == cid_text(block.cid)


LAYOUTS = {
    "version 0": ["--cid-version=0", "--raw-leaves=false", "--chunker=size-262144", "--max-file-links=174"],
    "version 0, deep": ["--cid-version=0", "--raw-leaves=false", "--chunker=size-8192", "--max-file-links=3"],
    "trickle": ["--trickle", "--chunker=size-8192", "--max-file-links=5"],
    "trickle, dag-pb leaves": ["--trickle", "--raw-leaves=false", "--chunker=size-8192"],
    "rabin": ["--chunker=rabin-2048-8192-16384"],
    "buzhash": ["--chunker=buzhash"],
    "inline": ["--inline", "--inline-limit=64", "--chunker=size-60"],
    "blake3": ["--hash=blake3"],
    "blake2b-256": ["--hash=blake2b-256"],
    "sha2-512": ["--hash=sha2-512"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_that_kubo_makes_reads_back(kubo: Kubo, layout: str) -> None:
    whole = random.Random(layout).randbytes(10_000 if layout == "inline" else 2_000_000)
    text = added(kubo, whole, *LAYOUTS[layout])
    root = parse_cid(text)
    assert cid_text(root) == text
    blocks = exported(kubo, text)
    assert b"".join(read_file(root, blocks.__getitem__)) == whole
    assert b"".join(read_file(root, blocks.__getitem__, 5_001, 3_000)) == whole[5_001:8_001]
    stored = {cid for cid in blocks if inline_block(cid) is None}
    assert {visited.cid for visited in walk(root, blocks.__getitem__)} == stored


@pytest.mark.parametrize("fanout", [8, 256])
def test_sharded_directories_that_kubo_makes_are_read(tmp_path: Path, fanout: int) -> None:
    settings = {"Import.UnixFSHAMTDirectorySizeThreshold": "1B", "Import.UnixFSHAMTDirectoryMaxFanout": fanout}
    kubo = Kubo(tmp_path / "kubo", settings=settings).init()
    folder = tmp_path / "sharded"
    folder.mkdir()
    names = [f"写真 {index:04}.jpg" for index in range(700)]
    for index, name in enumerate(names):
        (folder / name).write_bytes(b"%d" % index)
    os.symlink(names[0], folder / "alias")
    root = parse_cid(kubo.cli("add", "-Qr", str(folder)).decode().strip())
    blocks = exported(kubo, cid_text(root))
    assert sorted(entry.name for entry in list_directory(root, blocks.__getitem__)) == sorted([*names, "alias"])
    for index, name in enumerate(names):
        found = resolve_path(root, name, blocks.__getitem__)
        assert b"".join(read_file(found, blocks.__getitem__)) == b"%d" % index
    assert stat(resolve_path(root, "alias", blocks.__getitem__), blocks.__getitem__).target == names[0]


def test_kubo_takes_our_archives(kubo: Kubo) -> None:
    importing = import_file([random.Random(1).randbytes(3 * MIB)])
    blocks = list(importing)
    directory = make_directory([DirEntry("original.jpg", importing.root, importing.tsize_bytes)])
    archive = b"".join(write_car([directory.cid], [*blocks, directory]))
    path = kubo.home / "ours.car"
    path.write_bytes(archive)
    kubo.cli("dag", "import", str(path))
    root = cid_text(directory.cid)
    assert kubo.cli("cat", f"/ipfs/{root}/original.jpg") == b"".join(data for _, data in blocks[:-1])
    assert [Block(cid, data) for cid, data in exported(kubo, root).items()] == [directory, blocks[-1], *blocks[:-1]]


def test_documents_that_link_are_walked(kubo: Kubo) -> None:
    leaf = added(kubo, b"leaf")
    document = json.dumps({"list": [{"/": leaf}, 1.5, None, True], "bytes": {"/": {"bytes": "AAEC"}}}).encode()
    cbor = kubo.cli("dag", "put", "--input-codec=dag-json", "--store-codec=dag-cbor", stdin=document).decode().strip()
    outer = json.dumps({"inner": {"/": cbor}}).encode()
    root = kubo.cli("dag", "put", "--input-codec=dag-json", "--store-codec=dag-json", stdin=outer).decode().strip()
    visited = [cid_text(block.cid) for block in walk(parse_cid(root), reader_of(kubo))]
    assert visited == [root, cbor, leaf]
