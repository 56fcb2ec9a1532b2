"""Imports equal Kubo's, by the vectors taken from it; any stream reads back as it was written."""

import io
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.cid import cid_text, verify_block
from store.errors import DagMalformed, DagTooLarge
from store.unixfs import Block, DirEntry, import_file, list_directory, make_directory, read_file, tsize_of
from tests.unixfs_vectors import VECTORS, content, import_tree


def size_name(vector: dict[str, Any]) -> str:
    return str(vector["size_bytes"])


@pytest.mark.parametrize("vector", VECTORS["files"], ids=size_name)
def test_a_file_has_the_cid_that_kubo_gives_it(vector: dict[str, Any]) -> None:
    importing = import_file(io.BytesIO(content(vector["size_bytes"])))
    tsize_bytes = sum(len(block.data) for block in importing)
    assert cid_text(importing.root) == vector["cid"]
    assert importing.size_bytes == vector["size_bytes"]
    assert importing.tsize_bytes == tsize_bytes


@pytest.mark.parametrize("vector", [v for v in VECTORS["small_chunks"] if v["size_bytes"] < 1 << 21], ids=size_name)
def test_deeper_trees_equal_those_of_kubo(vector: dict[str, Any]) -> None:
    check_small_chunks(vector)


@pytest.mark.slow
@pytest.mark.parametrize("vector", [v for v in VECTORS["small_chunks"] if v["size_bytes"] >= 1 << 21], ids=size_name)
def test_trees_of_a_million_chunks_equal_those_of_kubo(vector: dict[str, Any]) -> None:
    check_small_chunks(vector)


def check_small_chunks(vector: dict[str, Any]) -> None:
    importing = import_file([content(vector["size_bytes"])], chunk_bytes=vector["chunk_bytes"])
    for _ in importing:
        pass
    assert cid_text(importing.root) == vector["cid"]


@pytest.mark.parametrize("vector", VECTORS["directories"], ids=lambda vector: vector["name"])
def test_a_directory_has_the_cid_and_size_that_kubo_gives_it(vector: dict[str, Any]) -> None:
    block = import_tree(vector["files"])
    assert cid_text(block.cid) == vector["cid"]
    assert tsize_of(block) == vector["tsize_bytes"]


@given(
    pieces=st.lists(st.binary(max_size=50), max_size=12),
    chunk_bytes=st.integers(1, 40),
    max_links=st.integers(2, 5),
    start=st.integers(0, 300),
    length=st.one_of(st.none(), st.integers(0, 300)),
)
def test_any_range_of_any_stream_reads_back(
    pieces: list[bytes], chunk_bytes: int, max_links: int, start: int, length: int | None
) -> None:
    whole = b"".join(pieces)
    importing = import_file(pieces, chunk_bytes=chunk_bytes, max_links=max_links)
    blocks = dict(importing)
    for cid, data in blocks.items():
        verify_block(cid, data)
    end = None if length is None else start + length
    assert b"".join(read_file(importing.root, blocks.__getitem__, start, length)) == whole[start:end]


@given(st.binary(max_size=200), st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(1, 32))
def test_the_cid_does_not_depend_on_how_the_bytes_arrive(whole: bytes, cuts: list[int], chunk_bytes: int) -> None:
    class Pipe(io.BytesIO):
        """Gives fewer bytes than asked for, as pipes and sockets do."""

        def read(self, size: int | None = -1, /) -> bytes:
            cuts.append(cuts.pop(0))
            return super().read(min(size or 0, cuts[0]))

    expected = list(import_file([whole], chunk_bytes=chunk_bytes))
    assert list(import_file(Pipe(whole), chunk_bytes=chunk_bytes)) == expected
    assert list(import_file(io.BytesIO(whole), chunk_bytes=chunk_bytes)) == expected


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)


@given(st.dictionaries(names, st.integers(0, 1 << 40), max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_a_directory_lists_what_it_was_made_of_in_the_order_of_bytes(sizes: dict[str, int], random: Any) -> None:
    file = next(import_file([b"x"]))
    entries = [DirEntry(name, file.cid, size_bytes) for name, size_bytes in sizes.items()]
    block = make_directory(entries)
    random.shuffle(entries)
    assert make_directory(entries) == block
    listed = list(list_directory(block.cid, lambda _: block.data))
    assert listed == sorted(entries, key=lambda entry: entry.name.encode())
    assert tsize_of(block) == len(block.data) + sum(sizes.values())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "\ud800"])
def test_names_that_no_file_system_could_hold_are_refused(name: str) -> None:
    with pytest.raises(DagMalformed, match="name"):
        make_directory([DirEntry(name, next(import_file([])).cid, 0)])


def test_a_name_is_there_once() -> None:
    file = next(import_file([]))
    with pytest.raises(DagMalformed, match="two entries named 'a'"):
        make_directory([DirEntry("a", file.cid, 0), DirEntry("b", file.cid, 0), DirEntry("a", file.cid, 0)])


def test_a_directory_that_would_be_sharded_is_refused() -> None:
    file: Block = next(import_file([]))
    with pytest.raises(DagTooLarge, match="directory size in bytes"):
        make_directory([DirEntry(f"{i:064}", file.cid, 0) for i in range(3000)])


def test_memory_does_not_grow_with_the_file() -> None:
    chunk = bytes(1 << 20)
    tracemalloc.start()
    try:
        for _ in import_file(chunk for _ in range(100)):
            pass
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 << 20
