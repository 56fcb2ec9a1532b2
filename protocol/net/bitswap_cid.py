"""The arithmetic of CIDs that Bitswap needs: a block travels with the CID's prefix, the receiver hashes the rest.

A block's CID is therefore never claimed by the sender: `cid_from` computes it, and a block that is not what was asked
for simply has another CID. Pure; CIDs are `bytes` in their binary form.
"""

import hashlib
from collections.abc import Callable

from blake3 import blake3

MIN_DIGEST_BYTES, MAX_DIGEST_BYTES = 20, 64
"""Shorter digests are forgeable. Source: boxo `verifcid`, minimum 20; the longest hash below gives 64."""

_CIDV0_HEAD = b"\x12\x20"
_CIDV0_BYTES = 34
_CIDV0_PREFIX = b"\x00\x70\x12\x20"
"""Version 0, dag-pb, sha2-256, 32 bytes: Kubo rejects a CIDv0 block without it."""

_HASHES: dict[int, Callable[[bytes], bytes]] = {
    0x12: lambda block: hashlib.sha256(block).digest(),
    0x13: lambda block: hashlib.sha512(block).digest(),
    0x1E: lambda block: blake3(block).digest(),
    0xB220: lambda block: hashlib.blake2b(block, digest_size=32).digest(),
}
"""By multicodec code. Identity is absent: such a CID holds its bytes and is never asked for."""

_EMPTY_DIGESTS = {digest_of(b"") for digest_of in _HASHES.values()}


class BadPrefix(ValueError):
    """A prefix or CID that is malformed, or names a hash we do not compute."""


def read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the unsigned varint at offset `at`, of at most nine bytes, and the offset behind it."""
    value = shift = 0
    while shift < 63:
        if at >= len(raw):
            raise BadPrefix("a varint ends early")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise BadPrefix("a varint has more than nine bytes")


def write_varint(value: int) -> bytes:
    """Return `value`, not negative, as an unsigned varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def prefix_of(cid: bytes) -> bytes:
    """Return what is sent of `cid` along with its block: everything but the digest.

    Source: Bitswap 1.1.0 message, `Block.prefix`: version, codec, multihash code, digest length.
    """
    if len(cid) == _CIDV0_BYTES and cid.startswith(_CIDV0_HEAD):
        return _CIDV0_PREFIX
    at = 0
    for _ in range(4):
        _, at = read_varint(cid, at)
    return cid[:at]


def cid_from(prefix: bytes, block: bytes) -> bytes:
    """Return the CID of `block` under `prefix`, by hashing it. Raises: BadPrefix."""
    version, at = read_varint(prefix, 0)
    codec_at = at
    _, at = read_varint(prefix, at)
    hash_at = at
    code, at = read_varint(prefix, at)
    length, at = read_varint(prefix, at)
    digest_of = _HASHES.get(code)
    if at != len(prefix) or version > 1 or digest_of is None:
        raise BadPrefix(f"unknown prefix {prefix[:16].hex()}")
    digest = digest_of(block)
    if not MIN_DIGEST_BYTES <= length <= len(digest):
        raise BadPrefix(f"a digest of {length} bytes")
    multihash = prefix[hash_at:] + digest[:length]
    return multihash if version == 0 else prefix[:codec_at] + prefix[codec_at:hash_at] + multihash


def is_empty_block(cid: bytes) -> bool:
    """Whether the block is known without fetching it, because it has no bytes."""
    return cid[-32:] in _EMPTY_DIGESTS or cid[-64:] in _EMPTY_DIGESTS
