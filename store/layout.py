"""How the blocks of a root lie in a backend: which objects, and which block at which place of which object.

The files of an image lie as files, so that anybody finds a JPEG in the bucket; their leaves are parts of them. Directory
and inner nodes, and all of any other DAG, are objects named by their CIDs, the root's own last.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from store.cid import DAG_PB, RAW, cid_text, codec_of, inline_block
from store.dag import check_codec, links
from store.dag_pb import PBLink, decode_node
from store.errors import DagMalformed, DagTooLarge
from store.traversal import LIMITS, GetBlock, Limits
from store.unixfs_node import Kind, decode_unixfs

IMAGE_FILE = re.compile(r"original\.[a-z0-9]{1,5}|(display|large|medium|small|preview|frame-0\d)\.webp|image\.json")
DESCRIPTION = "image.json"

SizeOf = Callable[[bytes, int | None], int]
"""(CID of a leaf, what the DAG says that its size is, or None) -> its size in bytes."""


class Part(NamedTuple):
    """A block within an object."""

    cid: bytes
    offset_bytes: int
    length_bytes: int


@dataclass(frozen=True, slots=True)
class Object:
    """What is put under one name: these blocks one after the other; one that is repeated is there twice."""

    name: str
    parts: tuple[Part, ...]


def plan_objects(
    root: bytes, get_block: GetBlock, size_of: SizeOf, *, whole_files: bool, limits: Limits = LIMITS
) -> list[Object]:
    """Return the objects of a root, the root's own block last. Nodes are read, leaves are not.

    Raises:
        DagTooLarge, DagMalformed, DagUnsupported: the DAG cannot be kept.
        And whatever `get_block` and `size_of` raise.
    """
    files = _image_files(root, get_block) if whole_files else None
    objects = []
    placed: set[bytes] = set()
    for name, link in files or ():
        leaves = _leaves(link, get_block, size_of, limits)
        if leaves is not None:
            parts = tuple(_laid_out(leaves))
            placed.update(part.cid for part in parts)
            objects.append(Object(name, parts))
    nodes = [_single(cid, size) for cid, size in _rest(root, placed, get_block, size_of, limits)]
    return [*objects, *reversed(nodes)]


def _single(cid: bytes, size_bytes: int) -> Object:
    return Object(cid_text(cid), (Part(cid, 0, size_bytes),))


def _image_files(root: bytes, get_block: GetBlock) -> list[tuple[str, PBLink]] | None:
    """The entries of an image's directory, None where `root` is none."""
    if codec_of(root) != DAG_PB or inline_block(root) is not None:
        return None
    node = decode_node(get_block(root))
    names = [link.name.decode("utf-8", "replace") for link in node.links]
    is_image = DESCRIPTION in names and len(set(names)) == len(names) and all(map(IMAGE_FILE.fullmatch, names))
    if not is_image or decode_unixfs(root, get_block(root)).kind != Kind.DIRECTORY:
        return None
    return list(zip(names, node.links, strict=True))


def _leaves(link: PBLink, get_block: GetBlock, size_of: SizeOf, limits: Limits) -> list[tuple[bytes, int]] | None:
    """The leaves of a file with their sizes, in order; None where it is no file of raw leaves alone."""
    found: list[tuple[bytes, int]] = []
    waiting: list[tuple[bytes, int | None, int]] = [(link.cid, link.tsize_bytes, 1)]
    while waiting:
        cid, said_bytes, depth = waiting.pop()
        if inline_block(cid) is not None:
            return None
        if codec_of(cid) == RAW:
            found.append((cid, size_of(cid, said_bytes)))
            continue
        if codec_of(cid) != DAG_PB or depth > limits.max_depth or len(found) > limits.max_blocks:
            return None
        try:
            node = decode_unixfs(cid, get_block(cid))
        except DagMalformed:
            return None
        if not node.is_file or node.content or len(node.block_sizes) != len(node.links):
            return None
        below = zip(node.links, node.block_sizes, strict=True)
        waiting += reversed([(child.cid, size, depth + 1) for child, size in below])
    return found


def _laid_out(leaves: Sequence[tuple[bytes, int]]) -> Iterator[Part]:
    at_bytes = 0
    for cid, size_bytes in leaves:
        yield Part(cid, at_bytes, size_bytes)
        at_bytes += size_bytes


def _rest(
    root: bytes, placed: set[bytes], get_block: GetBlock, size_of: SizeOf, limits: Limits
) -> Iterator[tuple[bytes, int]]:
    """Every other block once with its size, the root first."""
    seen = {root}
    waiting = [(root, 1)]
    total_bytes = 0
    while waiting:
        cid, depth = waiting.pop()
        if depth > limits.max_depth:
            raise DagTooLarge("depth of a DAG in nodes", depth, limits.max_depth, root)
        check_codec(cid)
        inline = inline_block(cid)
        below: list[bytes] = []
        size_bytes = 0
        if codec_of(cid) == RAW and inline is None:
            size_bytes = size_of(cid, None)
        else:
            block = get_block(cid) if inline is None else inline
            size_bytes = len(block)
            below = [link for link in links(cid, block) if link not in seen and link not in placed]
            seen.update(below)
        total_bytes += size_bytes
        if total_bytes > limits.max_bytes or len(seen) > limits.max_blocks:
            raise DagTooLarge("blocks of a DAG", len(seen), limits.max_blocks, root)
        if inline is None:
            yield cid, size_bytes
        waiting += [(link, depth + 1) for link in reversed(below)]
