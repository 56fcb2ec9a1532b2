"""Prove, or check, that a root's bytes are here: BLAKE3 keyed with the challenger's nonce over blocks that it picks.

Which blocks follows from the nonce alone, so both sides read the same ones and nobody can answer for bytes that he does
not have. `tests/unit/test_proving.py` holds the detection rate against the formula below.

A copy that misses a share m of its blocks survives one proof of k blocks with probability (1 - m)^k; a small root is
read whole. A proof shows access to the bytes, not a disk of one's own.

Source: DESIGN §7, audit.
"""

import hashlib
from collections.abc import Callable, Sequence

from blake3 import blake3

PROOF_BLOCKS = 16
"""Blocks a proof reads: an image has about a dozen, so its copies are read whole. Guess; audits repeat."""

NONCE_BYTES = 32


def picked(nonce: bytes, cids: Sequence[bytes]) -> list[bytes]:
    """The blocks that a nonce picks from a root's, whatever order they are given in."""
    ranked = sorted(set(cids), key=lambda cid: hashlib.sha256(nonce + cid).digest())
    return ranked[:PROOF_BLOCKS]


def prove(nonce: bytes, cids: Sequence[bytes], get: Callable[[bytes], bytes]) -> bytes:
    """The proof of holding, 32 bytes.

    Args:
        nonce: 32 random bytes of the challenger.
        cids: every block of the root.
        get: returns a block, verified; its errors reach the caller.
    """
    keyed = blake3(key=nonce)
    for cid in picked(nonce, cids):
        block = get(cid)
        keyed.update(len(cid).to_bytes(2, "big") + cid + len(block).to_bytes(4, "big"))
        keyed.update(block)
    return keyed.digest()
