"""The envelope around every message: canonical DAG-CBOR `{v, k, b}`, and its safe reading.

`v` is the major version, `k` the kind, `b` the body. Bytes of a peer are bounded in size, nesting and number of items
before libipld builds anything from them; what is not the one canonical encoding of its value is refused.

libipld 3.5 as measured: it refuses duplicate and unsorted keys, tags other than links, NaN, indefinite lengths, trailing
bytes and lengths beyond the end; it raises RecursionError on deep nesting; it takes over-long integers and 32-bit floats,
which encoding again and comparing finds. A byte string that is a valid binary CID is written as a link (tag 42), and
only that form is canonical.
"""

from collections.abc import Container, Mapping
from typing import Any, Final

import libipld

from protocol.errors import Reason, Refused
from protocol.limits import CBOR_DEPTH, CBOR_ITEMS, MESSAGE_BYTES, UNSCANNED_BYTES

VERSION: Final = 1
Body = dict[str, Any]


def encode(kind: str, body: Mapping[str, Any]) -> bytes:
    """Return the envelope of one message.

    Raises:
        Refused: the body holds a value that has no encoding, such as a text with lone surrogates.
    """
    return encode_value({"v": VERSION, "k": kind, "b": body})


def encode_value(value: Any) -> bytes:
    """Return the canonical DAG-CBOR of lists, maps, texts, bytes, whole numbers, booleans and None.

    Raises:
        Refused: the value has no encoding.
    """
    try:
        encoded: bytes = libipld.encode_dag_cbor(value)
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, f"cannot be encoded: {str(error)[:200]}") from error
    return encoded


def decode(raw: bytes, known: Container[str], *, max_bytes: int = MESSAGE_BYTES) -> tuple[str, Body] | None:
    """Read an envelope.

    Args:
        raw: bytes as received.
        known: kinds the caller understands.
        max_bytes: what the caller takes at most.

    Returns:
        Kind and body, or None for a kind that is not known: a newer peer's, to be ignored.

    Raises:
        Refused: anything else.
    """
    envelope = decode_map(raw, max_bytes=max_bytes)
    version, kind, body = envelope.get("v"), envelope.get("k"), envelope.get("b")
    if type(version) is not int:
        raise Refused(Reason.MALFORMED, "envelope without version")
    if version != VERSION:
        raise Refused(Reason.UNKNOWN_VERSION, f"version {version} of the protocol, ours is {VERSION}")
    if type(kind) is not str or type(body) is not dict:
        raise Refused(Reason.MALFORMED, "envelope without kind or body")
    return (kind, body) if kind in known else None


def decode_map(raw: bytes, *, max_bytes: int = MESSAGE_BYTES) -> Body:
    """Read one canonical DAG-CBOR map.

    Raises:
        Refused: too large, too deep, too many items, not canonical, or no map.
    """
    if len(raw) > max_bytes:
        raise Refused(Reason.TOO_LARGE, f"{len(raw)} bytes, at most {max_bytes}")
    if len(raw) > UNSCANNED_BYTES:
        _scan(raw)
    try:
        value = libipld.decode_dag_cbor(raw)
        canonical = libipld.encode_dag_cbor(value)
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, f"no DAG-CBOR: {str(error)[:200]}") from error
    if canonical != raw:
        raise Refused(Reason.MALFORMED, "DAG-CBOR that is not canonical")
    if type(value) is not dict:
        raise Refused(Reason.MALFORMED, "no map")
    return value


def _scan(raw: bytes) -> None:
    """Walk the heads of the items without building them; refuse what is too deep or has too many."""
    at, end, items = 0, len(raw), 0
    open_counts = [1]
    while open_counts:
        if open_counts[-1] == 0:
            open_counts.pop()
            continue
        open_counts[-1] -= 1
        items += 1
        if items > CBOR_ITEMS:
            raise Refused(Reason.TOO_LARGE, f"more than {CBOR_ITEMS} items in one message")
        if at >= end:
            raise Refused(Reason.MALFORMED, "no DAG-CBOR: ends early")
        major, low = raw[at] >> 5, raw[at] & 31
        at += 1
        argument = low
        if low >= 24:
            if low > 27:
                raise Refused(Reason.MALFORMED, "no DAG-CBOR: reserved length")
            width = 1 << (low - 24)
            argument = int.from_bytes(raw[at : at + width], "big")
            at += width
        if major in (2, 3):
            at += argument
        elif major >= 4 and major != 7:
            open_counts.append(argument if major == 4 else 2 * argument if major == 5 else 1)
            if len(open_counts) > CBOR_DEPTH:
                raise Refused(Reason.MALFORMED, f"nested deeper than {CBOR_DEPTH}")
