"""Encode and decode dag-pb, the codec of UnixFS directories and of the inner nodes of files.

Strict where the specification is: unknown fields, repeated fields and links split by the data are refused. Without
protobuf, which would hide the order of fields that the CID depends on.

Source: https://ipld.io/specs/codecs/dag-pb/spec/
"""

from collections.abc import Sequence
from typing import NamedTuple

from store.cid import MAX_CID_BYTES
from store.errors import DagMalformed, DagTooLarge
from store.protobuf import bytes_field, read_fields, varint_field

MAX_BLOCK_BYTES = 2 * 1024 * 1024
"""The largest block that Bitswap carries.

Source: https://specs.ipfs.tech/bitswap-protocol/#block-sizes
"""

MAX_LINKS = 65_536
"""Links in one node. With a sha2-256 CID, name and size a link takes 42 bytes, so fewer than 50,000 fit a block;
only links that hold identity CIDs could be more."""


class PBLink(NamedTuple):
    """A link of a dag-pb node.

    Attributes:
        cid: where it leads; its length is checked here, its content by whoever follows it.
        name: UTF-8 in what well-behaved software writes, any bytes elsewhere; empty in files.
        tsize_bytes: what its author says that the DAG below takes in blocks. Nobody checks it.
    """

    cid: bytes
    name: bytes = b""
    tsize_bytes: int = 0


class PBNode(NamedTuple):
    """A dag-pb node; `data` is None where absent, which is not the same as empty."""

    links: tuple[PBLink, ...] = ()
    data: bytes | None = None


def encode_node(links: Sequence[PBLink], data: bytes | None) -> bytes:
    """Return the block of a node, links in the order given: a directory's caller sorts them by name."""
    parts = [bytes_field(2, _encode_link(link)) for link in links]
    if data is not None:
        parts.append(bytes_field(1, data))
    return b"".join(parts)


def _encode_link(link: PBLink) -> bytes:
    return bytes_field(1, link.cid) + bytes_field(2, link.name) + varint_field(3, link.tsize_bytes)


def decode_node(block: bytes) -> PBNode:
    """Decode a dag-pb block.

    Raises:
        DagMalformed: not dag-pb.
        DagTooLarge: larger than `MAX_BLOCK_BYTES`, or more than `MAX_LINKS` links.
    """
    if len(block) > MAX_BLOCK_BYTES:
        raise DagTooLarge("block size in bytes", len(block), MAX_BLOCK_BYTES)
    links: list[PBLink] = []
    data: bytes | None = None
    links_ended = False
    for number, _, payload in read_fields(block):
        if payload is None or number not in (1, 2):
            raise DagMalformed(f"dag-pb: unexpected field {number} in a node")
        if number == 1:
            if data is not None:
                raise DagMalformed("dag-pb: two data fields")
            data, links_ended = payload, bool(links)
            continue
        if links_ended:
            raise DagMalformed("dag-pb: links on both sides of the data")
        if len(links) == MAX_LINKS:
            raise DagTooLarge("links in one node", len(links) + 1, MAX_LINKS)
        links.append(_decode_link(payload))
    return PBNode(tuple(links), data)


def _decode_link(raw: bytes) -> PBLink:
    cid, name, tsize_bytes = b"", b"", 0
    previous = 0
    for number, value, payload in read_fields(raw):
        if number <= previous:
            raise DagMalformed(f"dag-pb: field {number} of a link follows field {previous}")
        previous = number
        if number == 1 and payload is not None:
            cid = payload
        elif number == 2 and payload is not None:
            name = payload
        elif number == 3 and value is not None:
            tsize_bytes = value
        else:
            raise DagMalformed(f"dag-pb: unexpected field {number} in a link")
    if not 4 <= len(cid) <= MAX_CID_BYTES:
        raise DagMalformed(f"dag-pb: a link with a CID of {len(cid)} bytes")
    return PBLink(cid, name, tsize_bytes)
