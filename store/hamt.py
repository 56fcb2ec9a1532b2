"""Read sharded directories: a hash trie of dag-pb nodes, which Kubo makes of directories above 256 KiB.

Each link's name begins with its slot in hexadecimal. What follows is the entry's name; nothing follows where the link
leads to the shard below. Slots come from the bits of the name's murmur3 hash, the most significant first.

Source: https://specs.ipfs.tech/unixfs/#dag-pb-hamtdirectory
"""

from store.dag_pb import PBLink
from store.errors import DagMalformed, DagTooLarge, DagUnsupported
from store.murmur3 import murmur3_64
from store.traversal import Limits, Plan, Query, want
from store.unixfs_import import DirEntry
from store.unixfs_node import Kind, UnixFSNode, decode_unixfs

MURMUR3_X64_64 = 0x22
HASH_BITS = 64
MAX_FANOUT = 1024
"""Source: boxo `unixfs/hamt`, maximum HAMT width."""


def plan_shard(root: bytes, node: UnixFSNode, limits: Limits) -> Plan[DirEntry]:
    """Output the entries below the shard `node`, the block of `root`, depth first.

    Raises:
        DagMalformed: names without slots, or a shard linked twice: the names in it cannot hash to both places, and a
            doubled link a level would make one more list of names out of each block.
        DagTooLarge, DagUnsupported: as for every directory.
    """
    bits = _slot_bits(root, node)
    prefix_chars = _prefix_chars(node)
    seen = {root}
    waiting: list[tuple[PBLink, int]] = [(link, 1) for link in reversed(node.links)]
    while waiting:
        link, depth = waiting.pop()
        if len(link.name) > prefix_chars:
            name = link.name[prefix_chars:].decode(errors="backslashreplace")
            yield DirEntry(name, link.cid, link.tsize_bytes)
            continue
        if len(link.name) < prefix_chars:
            raise DagMalformed("a link of a shard without its slot", root)
        if link.cid in seen:
            raise DagMalformed("a shard is linked twice", link.cid)
        if depth * bits >= HASH_BITS:
            raise DagTooLarge("depth of a sharded directory", depth + 1, HASH_BITS // bits, root)
        seen.add(link.cid)
        if len(seen) > limits.max_blocks:
            raise DagTooLarge("shards of a directory", len(seen), limits.max_blocks, root)
        below = yield from _shard_below(link.cid, node.fanout)
        waiting += [(link, depth + 1) for link in reversed(below.links)]


def find_in_shard(cid: bytes, node: UnixFSNode, name: str) -> Query[bytes | None]:
    """Return the CID of the entry `name` below the shard `node`, the block of `cid`; None where there is none."""
    bits = _slot_bits(cid, node)
    fanout = node.fanout
    prefix_chars = _prefix_chars(node)
    encoded = name.encode(errors="backslashreplace")
    hashed = murmur3_64(encoded)
    for level in range(HASH_BITS // bits):
        slot = hashed >> (HASH_BITS - bits * (level + 1)) & (fanout - 1)
        prefix = b"%0*X" % (prefix_chars, slot)
        below = None
        for link in node.links:
            if link.name == prefix + encoded:
                return link.cid
            if link.name == prefix:
                below = link.cid
        if below is None:
            return None
        node = yield from _shard_below(below, fanout)
    return None


def _shard_below(cid: bytes, fanout: int) -> Query[UnixFSNode]:
    block = yield from want(cid)
    node = decode_unixfs(cid, block)
    if node.kind is not Kind.HAMT_SHARD or node.fanout != fanout:
        raise DagMalformed("no shard of its directory", cid)
    return node


def _slot_bits(cid: bytes, node: UnixFSNode) -> int:
    fanout = node.fanout
    if node.hash_type != MURMUR3_X64_64:
        raise DagUnsupported(f"sharded directory with hash function 0x{node.hash_type:x}", cid)
    if not 8 <= fanout <= MAX_FANOUT or fanout & (fanout - 1):
        raise DagMalformed(f"sharded directory with {fanout} slots a node", cid)
    return fanout.bit_length() - 1


def _prefix_chars(node: UnixFSNode) -> int:
    return len(f"{node.fanout - 1:X}")
