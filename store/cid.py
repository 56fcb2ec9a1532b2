"""CIDs as bytes: make one from a block, check a block against one, read and print the text form.

A CID crosses every boundary of this project in its binary form: version 1 is `0x01 codec multihash`, version 0 the bare
34-byte sha2-256 multihash of a dag-pb block. `multiformats` reads the text forms and names codecs and hash functions;
its CID objects cost about 0.2 ms each, so nothing here makes one per block.

Source: https://github.com/multiformats/cid
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import blake3
from multiformats import multibase, multicodec

from store.cid_text import cid_text
from store.errors import BadCid, BlockCorrupt
from store.varint import VarintError, encode_varint, read_varint

__all__ = [
    "DAG_CBOR",
    "DAG_JSON",
    "DAG_PB",
    "RAW",
    "CidParts",
    "cid_of",
    "cid_text",
    "codec_name",
    "codec_of",
    "identity_cid",
    "inline_block",
    "parse_cid",
    "split_cid",
    "verify_block",
]

RAW = 0x55
DAG_PB = 0x70
DAG_CBOR = 0x71
DAG_JSON = 0x0129

IDENTITY = 0x00
SHA2_256 = 0x12

MAX_CID_BYTES = 160
"""Three varints and the longest identity digest fit with room to spare."""

MAX_IDENTITY_BYTES = 128
"""Kubo's own limit for a CID that holds its bytes.

Source: boxo `verifcid.DefaultMaxIdentityDigestSize`.
"""


def _blake3(block: bytes) -> bytes:
    return blake3.blake3(block).digest()


def _blake2b_256(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=32).digest()


_DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    SHA2_256: lambda block: hashlib.sha256(block).digest(),
    0x13: lambda block: hashlib.sha512(block).digest(),
    0x1E: _blake3,
    0xB220: _blake2b_256,
}
_DIGEST_BYTES = {SHA2_256: 32, 0x13: 64, 0x1E: 32, 0xB220: 32}


class CidParts(NamedTuple):
    """The fields of a binary CID."""

    version: int
    codec: int
    hash_code: int
    digest: bytes


def cid_of(codec: int, block: bytes) -> bytes:
    """Return the version 1, sha2-256 CID of `block`."""
    return _prefix(codec) + hashlib.sha256(block).digest()


@lru_cache(maxsize=64)
def _prefix(codec: int) -> bytes:
    return b"\x01" + encode_varint(codec) + b"\x12\x20"


def identity_cid(codec: int, block: bytes) -> bytes:
    """Return the CID that holds `block` itself, at most `MAX_IDENTITY_BYTES` of it."""
    if len(block) > MAX_IDENTITY_BYTES:
        raise BadCid(b"", f"{len(block)} bytes are too many to be held in a CID, the limit is {MAX_IDENTITY_BYTES}")
    return b"\x01" + encode_varint(codec) + b"\x00" + encode_varint(len(block)) + block


def split_cid(cid: bytes) -> CidParts:
    """Take a binary CID apart.

    Raises:
        BadCid: truncated, trailing bytes, an unknown version, a hash function that we cannot compute or a digest
            of another length than that function gives. A cut-short digest would make collisions cheap.
    """
    if len(cid) == 34 and cid.startswith(b"\x12\x20"):
        return CidParts(0, DAG_PB, SHA2_256, cid[2:])
    if len(cid) > MAX_CID_BYTES:
        raise BadCid(cid, f"{len(cid)} bytes long, the limit is {MAX_CID_BYTES}")
    try:
        version, at = read_varint(cid, 0)
        codec, at = read_varint(cid, at)
        hash_code, at = read_varint(cid, at)
        digest_bytes, at = read_varint(cid, at)
    except VarintError as error:
        raise BadCid(cid, str(error)) from error
    digest = cid[at:]
    if version != 1:
        raise BadCid(cid, f"version {version}")
    if len(digest) != digest_bytes:
        raise BadCid(cid, f"the digest has {len(digest)} bytes and announces {digest_bytes}")
    _check_digest(cid, hash_code, digest_bytes)
    return CidParts(version, codec, hash_code, digest)


def _check_digest(cid: bytes, hash_code: int, digest_bytes: int) -> None:
    if hash_code == IDENTITY:
        if digest_bytes > MAX_IDENTITY_BYTES:
            raise BadCid(cid, f"holds {digest_bytes} bytes itself, the limit is {MAX_IDENTITY_BYTES}")
    elif hash_code not in _DIGESTS:
        raise BadCid(cid, f"the hash function {codec_name(hash_code)} is not accepted")
    elif digest_bytes != _DIGEST_BYTES[hash_code]:
        raise BadCid(cid, f"a {codec_name(hash_code)} of {digest_bytes} bytes, {_DIGEST_BYTES[hash_code]} expected")


def codec_of(cid: bytes) -> int:
    """Return the codec's multicodec number. Raises: BadCid."""
    return split_cid(cid).codec


def codec_name(code: int) -> str:
    """Return the name of a multicodec or multihash number, for messages."""
    try:
        return str(multicodec.get(code=code).name)
    except KeyError:
        return f"0x{code:x}"


def inline_block(cid: bytes) -> bytes | None:
    """Return the bytes that an identity CID holds, None for every other. Raises: BadCid."""
    parts = split_cid(cid)
    return parts.digest if parts.hash_code == IDENTITY else None


def verify_block(cid: bytes, block: bytes) -> None:
    """Check that `block` hashes to `cid`.

    Raises:
        BlockCorrupt: it does not.
        BadCid: `cid` itself is malformed or of a hash function that we do not compute.
    """
    parts = split_cid(cid)
    found = block if parts.hash_code == IDENTITY else _DIGESTS[parts.hash_code](block)
    if found != parts.digest:
        raise BlockCorrupt(cid, _with_digest(parts, found[:MAX_IDENTITY_BYTES]))


def _with_digest(parts: CidParts, digest: bytes) -> bytes:
    multihash = encode_varint(parts.hash_code) + encode_varint(len(digest)) + digest
    return multihash if parts.version == 0 else b"\x01" + encode_varint(parts.codec) + multihash


def parse_cid(text: str) -> bytes:
    """Read a CID in any multibase, or a version 0 `Qm…`, and return its binary form.

    Raises:
        BadCid: not a CID, or one that `split_cid` refuses.
    """
    if len(text) > MAX_CID_BYTES * 8 + 1:
        raise BadCid(text, f"{len(text)} characters long")
    try:
        if len(text) == 46 and text.startswith("Qm"):
            cid = multibase.get("base58btc").decode("z" + text)
        else:
            cid = multibase.decode(text)
    except (ValueError, LookupError) as error:
        raise BadCid(text, "no text form of a CID") from error
    if text[:1] != "Q" and cid[:1] == b"\x12":
        raise BadCid(text, "version 0 is written in bare base58")
    try:
        split_cid(cid)
    except BadCid as error:
        raise BadCid(text, error.why) from error
    return cid
