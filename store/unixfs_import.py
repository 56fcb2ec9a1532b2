"""Turn a stream of bytes into the blocks of a UnixFS file, and entries into a directory.

Profile `unixfs-v1-2025`: version 1 CIDs, raw leaves of 1 MiB, a balanced tree of at most 1024 links a node; the CIDs
equal those of `ipfs add` under that profile. Memory is one chunk and one unfinished node a level, whatever the size of
the file.

Source: IPIP-499, https://github.com/ipfs/specs/pull/499
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from store.cid import DAG_PB, RAW, cid_of, codec_of
from store.dag_pb import PBLink, decode_node, encode_node
from store.errors import DagMalformed, DagTooLarge
from store.unixfs_node import DIRECTORY_MESSAGE, encode_file

CHUNK_BYTES = 1024 * 1024
MAX_FILE_LINKS = 1024
MAX_DIRECTORY_BYTES = 256 * 1024
"""A larger directory is sharded under the profile, which we read and do not write: image directories have a dozen names.

Source: Kubo `Import.UnixFSHAMTDirectorySizeThreshold`, estimated by `block`; measured with Kubo 0.42: a block of
262,144 bytes stays plain, one byte more is sharded.
"""


class Block(NamedTuple):
    """A block and the CID that its bytes hash to."""

    cid: bytes
    data: bytes


class DirEntry(NamedTuple):
    """A name in a directory; `tsize_bytes` is the size of all blocks of the DAG under it."""

    name: str
    cid: bytes
    tsize_bytes: int


class FileImport(Iterator[Block]):
    """The blocks of one file, children before parents and the root last. A repeated chunk is yielded each time.

    Attributes, complete once exhausted:
        root: the file's CID, empty until then.
        size_bytes: of the file.
        tsize_bytes: of all its blocks, as a directory entry states it.
    """

    def __init__(self, chunks: Iterable[bytes], max_links: int) -> None:
        self.root = b""
        self.size_bytes = 0
        self.tsize_bytes = 0
        self._max_links = max_links
        self._levels: list[list[_Subtree]] = [[]]
        self._blocks = self._build(chunks)

    def __next__(self) -> Block:
        return next(self._blocks)

    def _build(self, chunks: Iterable[bytes]) -> Iterator[Block]:
        for chunk in chunks:
            cid = cid_of(RAW, chunk)
            yield Block(cid, chunk)
            yield from self._add(0, _Subtree(cid, len(chunk), len(chunk)))
        level = 0
        while len(self._levels[level]) > 1 or level + 1 < len(self._levels):
            yield from self._close(level)
            level += 1
        self.root, self.size_bytes, self.tsize_bytes = self._levels[level][0]

    def _add(self, level: int, subtree: "_Subtree") -> Generator[Block, None, None]:
        if level == len(self._levels):
            self._levels.append([])
        # A full node is closed only by the next arrival: a file that just fills it must not get a parent of one link.
        if len(self._levels[level]) == self._max_links:
            yield from self._close(level)
        self._levels[level].append(subtree)

    def _close(self, level: int) -> Generator[Block, None, None]:
        children = self._levels[level]
        links = [PBLink(child.cid, b"", child.tsize_bytes) for child in children]
        sizes = [child.size_bytes for child in children]
        data = encode_node(links, encode_file(sizes))
        cid = cid_of(DAG_PB, data)
        yield Block(cid, data)
        tsize_bytes = len(data) + sum(child.tsize_bytes for child in children)
        self._levels[level] = []
        yield from self._add(level + 1, _Subtree(cid, sum(sizes), tsize_bytes))


class _Subtree(NamedTuple):
    cid: bytes
    size_bytes: int
    tsize_bytes: int


def import_file(
    stream: BinaryIO | Iterable[bytes], *, chunk_bytes: int = CHUNK_BYTES, max_links: int = MAX_FILE_LINKS
) -> FileImport:
    """Import a file.

    Args:
        stream: a binary file, or pieces of any length.
        chunk_bytes, max_links: of the profile; other values are for tests, and make other CIDs.

    Returns:
        An iterator over the blocks that knows root and sizes when exhausted. One chunk is the root itself; an empty
        file is the raw block of no bytes.
    """
    read = getattr(stream, "read", None)
    return FileImport(_chunks_read(read, chunk_bytes) if read else _chunks_cut(stream, chunk_bytes), max_links)


def _chunks_read(read: Callable[[int], bytes], chunk_bytes: int) -> Iterator[bytes]:
    """Read whole chunks, from pipes too, which return less than was asked for."""
    return _chunks_cut(iter(lambda: read(chunk_bytes), b""), chunk_bytes)


def _chunks_cut(pieces: Iterable[bytes], chunk_bytes: int) -> Iterator[bytes]:
    waiting = bytearray()
    nothing_yet = True
    for piece in pieces:
        if not waiting and len(piece) == chunk_bytes:
            yield bytes(piece)
            nothing_yet = False
            continue
        view = memoryview(piece)
        while view:
            taken = view[: chunk_bytes - len(waiting)]
            waiting += taken
            view = view[len(taken) :]
            if len(waiting) == chunk_bytes:
                yield bytes(waiting)
                nothing_yet = False
                waiting.clear()
    if waiting or nothing_yet:
        yield bytes(waiting)


def make_directory(entries: Sequence[DirEntry]) -> Block:
    """Return the block of a directory; entries come in any order and are written in that of their names' bytes.

    Raises:
        DagMalformed: a name that is empty, `.` or `..`, has a slash or NUL, is not UTF-8 or is there twice.
        DagTooLarge: above `MAX_DIRECTORY_BYTES`.
    """
    links = sorted((PBLink(entry.cid, _name_bytes(entry.name), entry.tsize_bytes) for entry in entries), key=_by_name)
    for one, other in pairwise(links):
        if one.name == other.name:
            raise DagMalformed(f"two entries named {one.name.decode()!r}")
    data = encode_node(links, DIRECTORY_MESSAGE)
    if len(data) > MAX_DIRECTORY_BYTES:
        raise DagTooLarge("directory size in bytes", len(data), MAX_DIRECTORY_BYTES)
    return Block(cid_of(DAG_PB, data), data)


def _by_name(link: PBLink) -> bytes:
    return link.name


def _name_bytes(name: str) -> bytes:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise DagMalformed(f"{name!r} cannot be a name in a directory")
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise DagMalformed(f"the name {name!r} is not UTF-8") from error


def tsize_of(block: Block) -> int:
    """Return the size in bytes of the DAG under `block`, as a directory entry for it states it.

    Raises: StoreError where the block is dag-pb and does not decode.
    """
    if codec_of(block.cid) != DAG_PB:
        return len(block.data)
    return len(block.data) + sum(link.tsize_bytes for link in decode_node(block.data).links)
