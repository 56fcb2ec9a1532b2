"""Every form of UnixFS that Kubo makes is read, a range touches only its own blocks, and hostile DAGs end in our errors."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from store.cid import DAG_CBOR, DAG_PB, RAW, cid_of, cid_text, identity_cid, parse_cid
from store.dag_pb import MAX_BLOCK_BYTES, PBLink, encode_node
from store.errors import BlockNotFound, DagMalformed, DagTooLarge, DagUnsupported, PathNotFound, StoreError
from store.unixfs import (
    Kind,
    Limits,
    import_file,
    list_directory,
    list_directory_async,
    read_file,
    read_file_async,
    resolve_path,
    resolve_path_async,
    stat,
    stat_async,
)
from store.unixfs_node import encode_file
from tests.unixfs_vectors import VECTORS, blocks_of, content

READABLE = VECTORS["readable"]
FILES = [vector for vector in READABLE if "size_bytes" in vector]
DIRECTORIES = [vector for vector in READABLE if "files" in vector]
SHARDED = next(vector for vector in READABLE if vector["name"].startswith("sharded"))


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


class Blocks(dict[bytes, bytes]):
    """Blocks in memory that remember which were asked for."""

    def __init__(self, blocks: dict[bytes, bytes]) -> None:
        super().__init__(blocks)
        self.asked: list[bytes] = []

    def get_block(self, cid: bytes) -> bytes:
        self.asked.append(cid)
        if cid not in self:
            raise BlockNotFound(cid)
        return self[cid]

    async def get_block_async(self, cid: bytes) -> bytes:
        return self.get_block(cid)

    def add(self, codec: int, data: bytes) -> bytes:
        cid = cid_of(codec, data)
        self[cid] = data
        return cid

    def add_file(self, children: list[tuple[bytes, int]]) -> bytes:
        links = [PBLink(cid) for cid, _ in children]
        return self.add(DAG_PB, encode_node(links, encode_file([size_bytes for _, size_bytes in children])))


@pytest.mark.parametrize("vector", FILES, ids=name_of)
def test_every_layout_of_a_file_reads_back_in_ranges(vector: dict[str, Any]) -> None:
    blocks = Blocks(blocks_of(vector))
    root, whole = parse_cid(vector["cid"]), content(vector["size_bytes"])
    assert stat(root, blocks.get_block).size_bytes == len(whole)
    assert b"".join(read_file(root, blocks.get_block)) == whole
    for start in range(0, len(whole) + 40, 37):
        for length in (0, 1, 64, 200):
            assert b"".join(read_file(root, blocks.get_block, start, length)) == whole[start : start + length]


@pytest.mark.parametrize("vector", FILES, ids=name_of)
async def test_awaited_blocks_read_the_same(vector: dict[str, Any]) -> None:
    blocks = Blocks(blocks_of(vector))
    root = parse_cid(vector["cid"])
    pieces = [piece async for piece in read_file_async(root, blocks.get_block_async, 5, 100)]
    assert b"".join(pieces) == content(vector["size_bytes"])[5:105]
    assert await stat_async(root, blocks.get_block_async) == stat(root, blocks.get_block)


@pytest.mark.parametrize("vector", DIRECTORIES, ids=name_of)
async def test_directories_list_and_resolve_plain_and_sharded(vector: dict[str, Any]) -> None:
    blocks = Blocks(blocks_of(vector))
    root = parse_cid(vector["cid"])
    entries = list(list_directory(root, blocks.get_block))
    expected = {path.partition("/")[0] for path in [*vector["files"], *vector.get("symlinks", {})]}
    assert sorted(entry.name for entry in entries) == sorted(expected)
    assert [entry async for entry in list_directory_async(root, blocks.get_block_async)] == entries
    for path, size_bytes in vector["files"].items():
        cid = resolve_path(root, path, blocks.get_block)
        assert b"".join(read_file(cid, blocks.get_block)) == content(size_bytes)
        assert await resolve_path_async(root, f"//{path}/", blocks.get_block_async) == cid
    for absent in ("absent", "写真", ".."):
        with pytest.raises(PathNotFound, match="no entry named"):
            resolve_path(root, absent, blocks.get_block)


def test_symlinks_are_reported_and_not_followed() -> None:
    vector = next(vector for vector in READABLE if vector["name"] == "symlink")
    blocks, root = Blocks(blocks_of(vector)), parse_cid(vector["cid"])
    alias = resolve_path(root, "alias", blocks.get_block)
    assert stat(alias, blocks.get_block) == (Kind.SYMLINK, 10, "target.txt")
    with pytest.raises(DagUnsupported, match="a symlink cannot be read as a file"):
        list(read_file(alias, blocks.get_block))
    with pytest.raises(PathNotFound, match="below a symlink"):
        resolve_path(root, "alias/x", blocks.get_block)


def test_a_range_asks_only_for_the_blocks_that_hold_it() -> None:
    whole = content(1000)
    importing = import_file([whole], chunk_bytes=10, max_links=4)
    blocks = Blocks(dict(importing))
    assert b"".join(read_file(importing.root, blocks.get_block, 511, 9)) == whole[511:520]
    depth = 5  # 100 leaves under nodes of four links
    assert len(blocks.asked) == depth
    assert blocks.asked[-1] == cid_of(RAW, whole[510:520])


def test_a_name_in_a_sharded_directory_is_found_without_listing_it() -> None:
    blocks, root = Blocks(blocks_of(SHARDED)), parse_cid(SHARDED["cid"])
    resolve_path(root, "image-8.webp", blocks.get_block)
    assert len(blocks.asked) <= 4


def test_reading_streams_and_stops_where_the_reader_does() -> None:
    importing = import_file([content(1000)], chunk_bytes=10)
    blocks = Blocks(dict(importing))
    reading = read_file(importing.root, blocks.get_block)
    assert next(reading) == content(10)
    assert len(blocks.asked) == 2


async def test_an_asynchronous_reader_may_be_left_early() -> None:
    importing = import_file([content(1000)], chunk_bytes=10)
    blocks = Blocks(dict(importing))
    async with aclosing(read_file_async(importing.root, blocks.get_block_async)) as reading:
        assert await anext(reading) == content(10)
    assert len(blocks.asked) == 2


def test_a_missing_block_reaches_the_reader_as_such() -> None:
    importing = import_file([content(30)], chunk_bytes=10)
    blocks = Blocks(dict(importing))
    del blocks[cid_of(RAW, content(30)[10:20])]
    reading = read_file(importing.root, blocks.get_block)
    next(reading)
    with pytest.raises(BlockNotFound):
        next(reading)


def doubled(blocks: Blocks, levels: int, leaf: bytes) -> bytes:
    cid, size_bytes = blocks.add(RAW, leaf), len(leaf)
    for _ in range(levels):
        cid = blocks.add_file([(cid, size_bytes)] * 2)
        size_bytes *= 2
    return cid


def lying_child(blocks: Blocks) -> bytes:
    return blocks.add_file([(blocks.add(RAW, b"four"), 5)])


def lying_total(blocks: Blocks) -> bytes:
    return blocks.add(DAG_PB, encode_node([], b"\x08\x02\x12\x01x\x18\x09"))


def sizes_missing(blocks: Blocks) -> bytes:
    return blocks.add(DAG_PB, encode_node([PBLink(blocks.add(RAW, b"x"))], b"\x08\x02"))


def wrong_codec(blocks: Blocks) -> bytes:
    return blocks.add_file([(blocks.add(DAG_CBOR, b"\xa0"), 1)])


def huge_block(blocks: Blocks) -> bytes:
    return blocks.add(RAW, bytes(MAX_BLOCK_BYTES + 1))


def huge_length(blocks: Blocks) -> bytes:
    return blocks.add_file([(blocks.add(RAW, b"x"), 1 << 63)])


@pytest.mark.parametrize(
    ("make", "error", "why"),
    [
        (lambda blocks: doubled(blocks, 40, b"x"), DagTooLarge, "length|depth"),
        (lambda blocks: doubled(blocks, 32, b"x"), DagTooLarge, "depth of a file in nodes: 33"),
        (lying_child, DagMalformed, "4 bytes of a file where its parent has 5"),
        (lying_total, DagMalformed, "a file of 1 bytes announces 9"),
        (sizes_missing, DagMalformed, "1 links and 0 block sizes"),
        (wrong_codec, DagUnsupported, "codec dag-cbor"),
        (huge_block, DagTooLarge, "block size"),
        (huge_length, DagTooLarge, "length of a file"),
    ],
)
def test_hostile_files_are_refused(make: Callable[[Blocks], bytes], error: type[StoreError], why: str) -> None:
    blocks = Blocks({})
    root = make(blocks)
    with pytest.raises(error, match=why):
        for _ in read_file(root, blocks.get_block):
            pass
    assert len(blocks.asked) < 50


def test_doubling_nothing_costs_nothing() -> None:
    blocks = Blocks({})
    assert list(read_file(doubled(blocks, 40, b""), blocks.get_block)) == []
    assert len(blocks.asked) == 1


def test_nodes_read_of_one_file_are_bounded() -> None:
    blocks = Blocks({})
    root = doubled(blocks, 12, b"x")
    with pytest.raises(DagTooLarge, match="nodes of a file: 101"):
        for _ in read_file(root, blocks.get_block, limits=Limits(max_blocks=100)):
            pass


def shard(slots: list[tuple[bytes, bytes]], *, fanout: int = 16, hash_type: int = 0x22) -> bytes:
    links = [PBLink(cid, name) for name, cid in slots]
    return encode_node(links, b"\x08\x05\x28" + bytes((hash_type,)) + b"\x30" + bytes((fanout,)))


def test_a_shard_linked_twice_is_refused() -> None:
    blocks = Blocks({})
    cid = blocks.add(DAG_PB, shard([(b"0name", blocks.add(RAW, b""))]))
    for _ in range(10):
        cid = blocks.add(DAG_PB, shard([(b"0", cid), (b"1", cid)]))
    with pytest.raises(DagMalformed, match="linked twice"):
        list(list_directory(cid, blocks.get_block))


def test_shards_are_no_deeper_than_the_hash_has_bits() -> None:
    blocks = Blocks({})
    cid = blocks.add(DAG_PB, shard([(b"0name", blocks.add(RAW, b""))]))
    for _ in range(16):
        cid = blocks.add(DAG_PB, shard([(b"0", cid)]))
    with pytest.raises(DagTooLarge, match="depth of a sharded directory: 17"):
        list(list_directory(cid, blocks.get_block))


@pytest.mark.parametrize(
    ("block", "error", "why"),
    [
        (shard([], fanout=7), DagMalformed, "7 slots"),
        (shard([], hash_type=0x12), DagUnsupported, "hash function 0x12"),
        (shard([(b"", identity_cid(RAW, b""))]), DagMalformed, "without its slot"),
        (shard([(b"0", identity_cid(RAW, b""))]), DagMalformed, "no shard of its directory"),
    ],
)
def test_hostile_shards_are_refused(block: bytes, error: type[StoreError], why: str) -> None:
    with pytest.raises(error, match=why):
        list(list_directory(cid_of(DAG_PB, block), lambda _: block))


def test_names_that_are_not_utf8_are_shown_and_found() -> None:
    file = cid_of(RAW, b"")
    block = encode_node([PBLink(file, b"a\xff.jpg")], b"\x08\x01")
    root = cid_of(DAG_PB, block)
    assert [entry.name for entry in list_directory(root, lambda _: block)] == ["a\\xff.jpg"]
    assert resolve_path(root, "a\\xff.jpg", lambda _: block) == file


def test_a_path_below_a_file_is_not_found() -> None:
    file = cid_of(RAW, b"x")
    assert resolve_path(file, "", lambda _: b"x") == file
    with pytest.raises(PathNotFound, match=f"{cid_text(file)}/a/b: 'a' is below a raw"):
        resolve_path(file, "a/b", lambda _: b"x")
