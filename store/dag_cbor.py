"""Find the links of a DAG-CBOR block.

`libipld` decodes and checks DAG-CBOR, and recurses; it also gives a link as bare bytes, which no longer tell from a byte
string. So a scan without recursion first bounds the depth and takes the links down, then `libipld` judges the bytes.

Source: https://ipld.io/specs/codecs/dag-cbor/spec/
"""

import libipld

from store.errors import DagMalformed, DagTooLarge

MAX_DEPTH = 128
"""Levels of lists and maps; below what the decoder's own recursion bears. A guess far above any real document."""

_LINK_TAG = b"\xd8\x2a"
_HEAD_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}


def cbor_links(block: bytes) -> list[bytes]:
    """Return the CIDs linked from a DAG-CBOR block, in their order, repeats included. Their content is not checked.

    Raises:
        DagMalformed: not DAG-CBOR in its strict form.
        DagTooLarge: nested deeper than `MAX_DEPTH`.
    """
    links = _scan(block)
    try:
        libipld.decode_dag_cbor(block)
    except ValueError as error:
        raise DagMalformed(f"dag-cbor: {error}") from error
    except RecursionError as error:
        raise DagTooLarge("depth of dag-cbor", MAX_DEPTH + 1, MAX_DEPTH) from error
    return links


def _scan(block: bytes) -> list[bytes]:
    links: list[bytes] = []
    left = [1]  # items still to come, for each level that is open
    at = 0
    while left:
        if left[-1] == 0:
            left.pop()
            continue
        left[-1] -= 1
        if block.startswith(_LINK_TAG, at):
            at, link = _link(block, at + len(_LINK_TAG))
            links.append(link)
            continue
        major, value, at = _head(block, at)
        if major in (2, 3):
            at += value
        elif major in (4, 5):
            left.append(value * 2 if major == 5 else value)
            if len(left) > MAX_DEPTH:
                raise DagTooLarge("depth of dag-cbor", len(left), MAX_DEPTH)
        elif major == 6:
            raise DagMalformed(f"dag-cbor: tag {value}")
    if at != len(block):
        raise DagMalformed(f"dag-cbor: ends at byte {at} of {len(block)}")
    return links


def _head(block: bytes, at: int) -> tuple[int, int, int]:
    """An item's major type, its number and the offset after them."""
    if at >= len(block):
        raise DagMalformed("dag-cbor: cut short")
    major, low = block[at] >> 5, block[at] & 31
    at += 1
    if low < 24:
        return major, low, at
    size_bytes = _HEAD_BYTES.get(low)
    if size_bytes is None:
        raise DagMalformed("dag-cbor: an item of indefinite length")
    value = int.from_bytes(block[at : at + size_bytes], "big")
    return major, value, at + size_bytes


def _link(block: bytes, at: int) -> tuple[int, bytes]:
    """The offset after a link's byte string, and the CID in it, whose first byte is a leading zero."""
    major, size_bytes, at = _head(block, at)
    raw = block[at : at + size_bytes]
    if major != 2 or len(raw) != size_bytes or raw[:1] != b"\0":
        raise DagMalformed("dag-cbor: a link that is no CID")
    return at + size_bytes, raw[1:]
