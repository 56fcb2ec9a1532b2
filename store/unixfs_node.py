"""The UnixFS message inside a dag-pb node: what kind of thing the node is, and the sizes below it.

Source: https://specs.ipfs.tech/unixfs/ (the protobuf, and which fields each kind has)
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from store.cid import DAG_PB, RAW, codec_name, codec_of
from store.dag_pb import MAX_BLOCK_BYTES, PBLink, decode_node
from store.errors import DagMalformed, DagTooLarge, DagUnsupported
from store.protobuf import read_fields, varint_field
from store.varint import VarintError, read_protobuf_varint


class Kind(IntEnum):
    """What a node is; the numbers are the wire's."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT_SHARD = 5


class UnixFSNode(NamedTuple):
    """One node of a UnixFS DAG, links included. A block of codec raw reads as a file without links.

    Attributes:
        content: the file's own bytes (which precede those of its children), a symlink's target or a shard's bit field.
        size_bytes: of the whole file below this node; of a symlink the length of its target; 0 for directories.
        block_sizes: file bytes below each link, for files.
        hash_type, fanout: of shards; 0 elsewhere.
    """

    kind: Kind
    links: tuple[PBLink, ...]
    content: bytes
    size_bytes: int
    block_sizes: tuple[int, ...] = ()
    hash_type: int = 0
    fanout: int = 0

    @property
    def is_file(self) -> bool:
        return self.kind in (Kind.FILE, Kind.RAW)

    @property
    def is_directory(self) -> bool:
        return self.kind in (Kind.DIRECTORY, Kind.HAMT_SHARD)


def encode_file(block_sizes: Sequence[int]) -> bytes:
    """Return the message of a file's inner node: the bytes below each of its links, and their sum."""
    sizes = b"".join(varint_field(4, size_bytes) for size_bytes in block_sizes)
    return varint_field(1, Kind.FILE) + varint_field(3, sum(block_sizes)) + sizes


DIRECTORY_MESSAGE = varint_field(1, Kind.DIRECTORY)


def decode_unixfs(cid: bytes, block: bytes) -> UnixFSNode:
    """Read the block of `cid` as a UnixFS node; that it hashes to `cid` is the caller's to know.

    Raises:
        DagUnsupported: a codec other than raw and dag-pb, named.
        DagMalformed: not UnixFS, or sizes that contradict one another.
        DagTooLarge: a block above `MAX_BLOCK_BYTES`, or too many links.
    """
    codec = codec_of(cid)
    if codec not in (RAW, DAG_PB):
        raise DagUnsupported(f"codec {codec_name(codec)} is not part of UnixFS", cid)
    if len(block) > MAX_BLOCK_BYTES:
        raise DagTooLarge("block size in bytes", len(block), MAX_BLOCK_BYTES, cid)
    if codec == RAW:
        return UnixFSNode(Kind.RAW, (), block, len(block))
    try:
        node = decode_node(block)
        if node.data is None:
            raise DagMalformed("dag-pb without a UnixFS message")
        return _decode_message(node.data, node.links)
    except DagMalformed as error:
        raise DagMalformed(error.why, cid) from error


def _decode_message(message: bytes, links: tuple[PBLink, ...]) -> UnixFSNode:
    numbers: dict[int, int] = {}
    content = b""
    sizes: list[int] = []
    for number, value, payload in read_fields(message):
        if number == 2 and payload is not None:
            content = payload
        elif number == 4:
            sizes.extend(_unpacked(payload) if value is None else (value,))
        elif value is not None:
            numbers[number] = value
    try:
        kind = Kind(numbers[1])
    except (KeyError, ValueError) as error:
        raise DagMalformed(f"UnixFS kind {numbers.get(1)}") from error
    if kind in (Kind.FILE, Kind.RAW):
        size_bytes = _checked_size(len(content), sizes, len(links), numbers.get(3))
        return UnixFSNode(kind, links, content, size_bytes, tuple(sizes))
    size_bytes = len(content) if kind is Kind.SYMLINK else 0
    return UnixFSNode(kind, links, content, size_bytes, (), numbers.get(5, 0), numbers.get(6, 0))


def _unpacked(payload: bytes | None) -> list[int]:
    """Block sizes in protobuf's packed form, which readers must accept."""
    if payload is None:
        raise DagMalformed("UnixFS block sizes of fixed width")
    values, at = [], 0
    while at < len(payload):
        try:
            value, at = read_protobuf_varint(payload, at)
        except VarintError as error:
            raise DagMalformed(f"UnixFS block sizes: {error}") from error
        values.append(value)
    return values


def _checked_size(own_bytes: int, sizes: list[int], links: int, announced_bytes: int | None) -> int:
    if len(sizes) != links:
        raise DagMalformed(f"a file with {links} links and {len(sizes)} block sizes")
    total_bytes = own_bytes + sum(sizes)
    if announced_bytes is not None and announced_bytes != total_bytes:
        raise DagMalformed(f"a file of {total_bytes} bytes announces {announced_bytes}")
    return total_bytes
