"""Prove, or check, that a root's bytes are here: BLAKE3 keyed with the challenger's nonce over ranges of blocks.

Which blocks, and where in a large one the range begins, follows from the nonce alone: both sides read the same bytes,
and nobody can answer for bytes that he does not have. The prover's id goes in first, so that one holder's proof is of
no use to another. `docs/operating.md` states what a proof shows, and `tests/unit/test_proving.py` holds it against
these formulas:

- Of n blocks, m of them missing, a proof of k is right with probability C(n - m, k) / C(n, k); up to `PROOF_BLOCKS` all
  are read, and any missing block is found.
- Of a block of s bytes with a gap of g, a range of r misses the gap with probability 1 - min(1, (g + r - 1) / s).

A proof shows access to the bytes, not a disk of one's own.

Source: DESIGN §7, audit.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

from blake3 import blake3

from store.cid import RAW, inline_block, split_cid
from store.dag import links
from store.errors import DagTooLarge

GetBlock = Callable[[bytes], bytes]

PROOF_BLOCKS = 16
"""Blocks a proof reads: an image has about a dozen, so its copies are looked at in every block. Guess; audits repeat."""

RANGE_BYTES = 256 * 1024
"""Of a block: all of those that are no larger, a range of the others. Guess."""

MAX_BLOCKS = 1 << 20

NONCE_BYTES = 32


def picked(nonce: bytes, cids: Iterable[bytes]) -> list[bytes]:
    """The blocks that a nonce picks from a root's, whatever order they are given in."""
    ranked = sorted(set(cids), key=lambda cid: hashlib.sha256(nonce + cid).digest())
    return ranked[:PROOF_BLOCKS]


def range_of(nonce: bytes, cid: bytes, block: bytes) -> tuple[int, bytes]:
    """Where in a block its range begins, and the bytes of it; at the end it goes on with the beginning."""
    if len(block) <= RANGE_BYTES:
        return 0, block
    start = int.from_bytes(hashlib.sha256(b"range" + nonce + cid).digest()[:8], "big") % len(block)
    return start, block[start : start + RANGE_BYTES] + block[: max(0, start + RANGE_BYTES - len(block))]


def proofs(nonce: bytes, provers: Sequence[str], cids: Iterable[bytes], get: GetBlock) -> dict[str, bytes]:
    """What each of `provers` would have to answer, 32 bytes each; the blocks are read once.

    Args:
        nonce: 32 random bytes of the challenger.
        cids: every block of the root.
        get: returns a block, verified; its errors reach the caller.
    """
    hashers = {prover: blake3(_framed(prover.encode()), key=nonce) for prover in provers}
    for cid in picked(nonce, cids):
        block = get(cid)
        start, part = range_of(nonce, cid, block)
        said = _framed(cid) + len(block).to_bytes(4, "big") + start.to_bytes(4, "big")
        for hasher in hashers.values():
            hasher.update(said)
            hasher.update(part)
    return {prover: hasher.digest() for prover, hasher in hashers.items()}


def prove(nonce: bytes, prover: str, root: bytes, get: GetBlock) -> bytes:
    """`prover`'s proof of holding a root, 32 bytes. `get` as in `proofs`."""
    return proofs(nonce, [prover], blocks_of(root, get), get)[prover]


def blocks_of(root: bytes, get: GetBlock) -> list[bytes]:
    """Every block of a DAG, reading those alone that can have links.

    Raises:
        DagTooLarge: it has more than `MAX_BLOCKS`.
        And whatever `get` raises.
    """
    found: list[bytes] = []
    seen, waiting = {root}, [root]
    while waiting:
        cid = waiting.pop()
        block = inline_block(cid)
        if block is None:
            found.append(cid)
        if split_cid(cid).codec == RAW:
            continue
        below = [link for link in links(cid, get(cid) if block is None else block) if link not in seen]
        seen.update(below)
        if len(seen) > MAX_BLOCKS:
            raise DagTooLarge("blocks of a DAG", len(seen), MAX_BLOCKS, root)
        waiting += below
    return found


def _framed(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text
