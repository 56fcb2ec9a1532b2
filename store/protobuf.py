"""Read the fields of one protobuf message: as much of protobuf as dag-pb and UnixFS need.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from typing import NamedTuple

from store.errors import DagMalformed
from store.varint import VarintError, encode_varint, read_protobuf_varint

_FIXED_BYTES = {1: 8, 5: 4}


class Field(NamedTuple):
    """One field: `value` where it is a varint, `payload` where it has a length."""

    number: int
    value: int | None
    payload: bytes | None


def read_fields(raw: bytes) -> Iterator[Field]:
    """Yield the fields of the message `raw` in their order; fixed-width ones have neither value nor payload.

    Raises:
        DagMalformed: cut short, groups, or field number 0.
    """
    at, end = 0, len(raw)
    while at < end:
        try:
            tag, at = read_protobuf_varint(raw, at)
            number, wire_type = tag >> 3, tag & 7
            if number == 0:
                raise DagMalformed("protobuf: field number 0")
            if wire_type == 0:
                value, at = read_protobuf_varint(raw, at)
                yield Field(number, value, None)
                continue
            if wire_type == 2:
                size_bytes, at = read_protobuf_varint(raw, at)
            elif wire_type in _FIXED_BYTES:
                size_bytes = _FIXED_BYTES[wire_type]
            else:
                raise DagMalformed(f"protobuf: wire type {wire_type}")
        except VarintError as error:
            raise DagMalformed(f"protobuf: {error}") from error
        if size_bytes > end - at:
            raise DagMalformed(f"protobuf: a field of {size_bytes} bytes where {end - at} are left")
        payload = raw[at : at + size_bytes] if wire_type == 2 else None
        at += size_bytes
        yield Field(number, None, payload)


def varint_field(number: int, value: int) -> bytes:
    """Encode a varint field; `number` is below 16, as all of ours are."""
    return bytes((number << 3,)) + encode_varint(value)


def bytes_field(number: int, payload: bytes) -> bytes:
    """Encode a field with a length; `number` is below 16, as all of ours are."""
    return bytes((number << 3 | 2,)) + encode_varint(len(payload)) + payload
