"""Follow the links of any DAG that we pin: raw, dag-pb, dag-cbor and dag-json. Other codecs are refused by name."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from store.cid import DAG_CBOR, DAG_JSON, DAG_PB, RAW, CidParts, codec_name, inline_block, split_cid
from store.dag_cbor import cbor_links
from store.dag_json import json_links
from store.dag_pb import MAX_BLOCK_BYTES, decode_node
from store.errors import DagMalformed, DagTooLarge, DagUnsupported
from store.traversal import LIMITS, GetBlock, Limits, Plan, drive, want


class Visited(NamedTuple):
    """A block of a walk."""

    cid: bytes
    size_bytes: int


def _pb_links(block: bytes) -> list[bytes]:
    return [link.cid for link in decode_node(block).links]


_LINKS: dict[int, Callable[[bytes], list[bytes]]] = {
    RAW: lambda _: [],
    DAG_PB: _pb_links,
    DAG_CBOR: cbor_links,
    DAG_JSON: json_links,
}


def links(cid: bytes, block: bytes) -> list[bytes]:
    """Return the CIDs that `block` links to, in their order, without repeats, each one well-formed.

    Identity CIDs are among them, although no store keeps a block for one: see `cid.inline_block`.

    Raises:
        DagUnsupported: a codec that is none of the four, named.
        DagMalformed: not what its codec prescribes.
        DagTooLarge: the block is above `MAX_BLOCK_BYTES`, or its content above the bounds of its codec.
        BadCid: `cid` or a link is malformed, or of a hash function that we do not compute.
    """
    parts = split_cid(cid)
    check_codec(cid, parts)
    if len(block) > MAX_BLOCK_BYTES:
        raise DagTooLarge("block size in bytes", len(block), MAX_BLOCK_BYTES, cid)
    try:
        found = _LINKS[parts.codec](block)
    except DagMalformed as error:
        raise DagMalformed(error.why, cid) from error
    distinct = list(dict.fromkeys(found))
    for link in distinct:
        split_cid(link)
    return distinct


def check_codec(cid: bytes, parts: CidParts | None = None) -> None:
    """Check that a DAG of this codec can be pinned. Raises: DagUnsupported, BadCid."""
    codec = (parts or split_cid(cid)).codec
    if codec not in _LINKS:
        readable = ", ".join(codec_name(known) for known in _LINKS)
        raise DagUnsupported(f"codec {codec_name(codec)} is none of {readable}", cid)


def walk(root: bytes, get_block: GetBlock, limits: Limits = LIMITS) -> Iterator[Visited]:
    """Yield every block of the DAG once, parents before children, depth first in the order of links.

    Identity CIDs have no block and are not yielded, but what they link to is.

    Raises:
        DagTooLarge: a bound of `limits` is exceeded; what was yielded until then stands.
        And whatever `links` and `get_block` raise.
    """
    return drive(plan_walk(root, limits), get_block)


def plan_walk(root: bytes, limits: Limits = LIMITS) -> Plan[Visited]:
    """Output as `walk` yields, for blocks that arrive over the network: see `traversal.drive_async`."""
    seen = {root}
    total_bytes = 0
    waiting = [(root, 1)]
    while waiting:
        cid, depth = waiting.pop()
        check_codec(cid)
        if depth > limits.max_depth:
            raise DagTooLarge("depth of a DAG in nodes", depth, limits.max_depth, root)
        block = yield from want(cid)
        total_bytes += len(block)
        if total_bytes > limits.max_bytes:
            raise DagTooLarge("size of a DAG in bytes", total_bytes, limits.max_bytes, root)
        if inline_block(cid) is None:
            yield Visited(cid, len(block))
        below = [link for link in links(cid, block) if link not in seen]
        # Remembered when first linked, not when read: a link repeated in a thousand nodes waits once.
        seen.update(below)
        if len(seen) > limits.max_blocks:
            raise DagTooLarge("blocks of a DAG", len(seen), limits.max_blocks, root)
        waiting += [(link, depth + 1) for link in reversed(below)]
