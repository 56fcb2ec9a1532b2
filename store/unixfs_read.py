"""Read a UnixFS DAG: a range of a file, a directory, what a node is, what a path leads to. As plans, see `traversal`.

Reads whatever Kubo can make: raw and dag-pb leaves, balanced and trickle trees, both CID versions, identity CIDs, plain
and sharded directories. Symlinks are reported and not followed. Sizes announced by a parent are held against what its
child turns out to be, so that work is bounded by the bytes that come out.
"""

from typing import NamedTuple

from store.errors import DagMalformed, DagTooLarge, DagUnsupported, PathNotFound
from store.hamt import find_in_shard, plan_shard
from store.traversal import LIMITS, Limits, Plan, Query, want
from store.unixfs_import import DirEntry
from store.unixfs_node import Kind, UnixFSNode, decode_unixfs

MAX_WAITING_PARTS = 1 << 17
"""Links of a file read and not yet followed. Kubo's trees hold a thousand a level; 26 MB bound hostile ones."""

MAX_FILE_DEPTH = 32
"""Nodes from a file's root to its leaves. Kubo's trees have five or six; each level can double a hostile one."""


class Stat(NamedTuple):
    """What a CID is, from its first block alone.

    Attributes:
        kind: `RAW` for a raw block, which is a file like any other.
        size_bytes: of a file as announced; of a symlink the length of its target; 0 for directories.
        target: of a symlink; empty elsewhere.
    """

    kind: Kind
    size_bytes: int
    target: str

    @property
    def is_file(self) -> bool:
        return self.kind in (Kind.FILE, Kind.RAW)

    @property
    def is_directory(self) -> bool:
        return self.kind in (Kind.DIRECTORY, Kind.HAMT_SHARD)


def _node(cid: bytes) -> Query[UnixFSNode]:
    block = yield from want(cid)
    return decode_unixfs(cid, block)


def query_stat(root: bytes) -> Query[Stat]:
    """Result: what `root` is. Raises: BadCid, DagMalformed, DagTooLarge, DagUnsupported."""
    node = yield from _node(root)
    target = node.content.decode(errors="backslashreplace") if node.kind is Kind.SYMLINK else ""
    return Stat(node.kind, node.size_bytes, target)


class _Part(NamedTuple):
    cid: bytes
    at_bytes: int
    size_bytes: int | None
    depth: int


def plan_file(root: bytes, start: int, length: int | None, limits: Limits = LIMITS) -> Plan[bytes]:
    """Output the file's bytes from offset `start`, at most `length` of them, in pieces of at most a block.

    Only blocks that hold bytes of the range, and the nodes above them, are wanted. A range that begins at or after the
    end of the file is empty.

    Raises:
        DagUnsupported: a directory, a symlink, or a codec that files are not made of.
        DagMalformed: a node that is not UnixFS, or sizes that contradict one another.
        DagTooLarge: a bound of `limits` is exceeded.
    """
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"`start` and `length` must be non-negative, not {start} and {length}")
    end = None if length is None else start + length
    waiting = [_Part(root, 0, None, 1)]
    read_count = 0
    while waiting:
        part = waiting.pop()
        read_count += 1
        if read_count > limits.max_blocks:
            raise DagTooLarge("nodes of a file", read_count, limits.max_blocks, root)
        node = yield from _node(part.cid)
        _check_part(part, node, limits)
        content_end = part.at_bytes + len(node.content)
        if start < content_end and (end is None or part.at_bytes < end):
            until = len(node.content) if end is None else end - part.at_bytes
            yield node.content[max(start - part.at_bytes, 0) : until]
        waiting += reversed(_parts_within(node, content_end, part.depth + 1, start, end))
        if len(waiting) > MAX_WAITING_PARTS:
            raise DagTooLarge("links of a file waiting to be followed", len(waiting), MAX_WAITING_PARTS, root)


def _check_part(part: _Part, node: UnixFSNode, limits: Limits) -> None:
    if not node.is_file:
        name = node.kind.name.lower()
        raise DagUnsupported(f"a {name} cannot be read as a file", part.cid)
    if part.depth > MAX_FILE_DEPTH:
        raise DagTooLarge("depth of a file in nodes", part.depth, MAX_FILE_DEPTH, part.cid)
    if node.size_bytes > limits.max_bytes:
        raise DagTooLarge("length of a file in bytes", node.size_bytes, limits.max_bytes, part.cid)
    if part.size_bytes is not None and node.size_bytes != part.size_bytes:
        raise DagMalformed(f"{node.size_bytes} bytes of a file where its parent has {part.size_bytes}", part.cid)


def _parts_within(node: UnixFSNode, at_bytes: int, depth: int, start: int, end: int | None) -> list[_Part]:
    """The children with bytes in the range. Empty ones have none, so doubling them without end costs nothing."""
    parts = []
    for link, size_bytes in zip(node.links, node.block_sizes, strict=True):
        if size_bytes and at_bytes + size_bytes > start and (end is None or at_bytes < end):
            parts.append(_Part(link.cid, at_bytes, size_bytes, depth))
        at_bytes += size_bytes
    return parts


def plan_directory(root: bytes, limits: Limits = LIMITS) -> Plan[DirEntry]:
    """Output the entries: of a plain directory in its own order, of a sharded one in that of the hashes.

    A name that is not UTF-8 has its odd bytes shown as `\\xff`, which `query_path` understands in plain directories.

    Raises:
        DagUnsupported: not a directory, or a shard of an unknown hash function.
        DagMalformed, DagTooLarge: as for files.
    """
    node = yield from _node(root)
    if node.kind is Kind.DIRECTORY:
        for link in node.links:
            yield DirEntry(_shown(link.name), link.cid, link.tsize_bytes)
    elif node.kind is Kind.HAMT_SHARD:
        yield from plan_shard(root, node, limits)
    else:
        raise DagUnsupported(f"a {node.kind.name.lower()} is not a directory", root)


def query_path(root: bytes, path: str, limits: Limits = LIMITS) -> Query[bytes]:
    """Result: the CID that `path` leads to from `root`; the root itself when the path is empty.

    Empty segments are skipped, as by gateways; `.` and `..` are names like any other, that no directory has.

    Raises:
        PathNotFound: no such name, or a segment below something that is no directory.
        DagUnsupported, DagMalformed, DagTooLarge: as for directories.
    """
    segments = [segment for segment in path.split("/") if segment]
    if len(segments) > limits.max_depth:
        raise DagTooLarge("depth of a path", len(segments), limits.max_depth, root)
    cid = root
    for segment in segments:
        node = yield from _node(cid)
        if not node.is_directory:
            raise PathNotFound(root, path, f"{segment!r} is below a {node.kind.name.lower()}")
        if node.kind is Kind.DIRECTORY:
            found = next((link.cid for link in node.links if _shown(link.name) == segment), None)
        else:
            found = yield from find_in_shard(cid, node, segment)
        if found is None:
            raise PathNotFound(root, path, f"no entry named {segment!r}")
        cid = found
    return cid


def _shown(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
