"""Unsigned varints: of multiformats (at most nine bytes, shortest form) and of protobuf (at most ten, any form).

Source: https://github.com/multiformats/unsigned-varint and https://protobuf.dev/programming-guides/encoding/#varints
"""

MAX_MULTIFORMATS_BYTES = 9
MAX_PROTOBUF_BYTES = 10


class VarintError(ValueError):
    """The bytes hold no varint at this place. Translated by each caller into what it was reading."""


def encode_varint(value: int) -> bytes:
    """Return the shortest form of `value`, which is at least 0."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """Read a multiformats varint at offset `at`; return it and the offset after it. Raises: VarintError."""
    value, end = _read(raw, at, MAX_MULTIFORMATS_BYTES)
    if end - at > 1 and raw[end - 1] == 0:
        raise VarintError("a varint is not in its shortest form")
    return value, end


def read_protobuf_varint(raw: bytes, at: int) -> tuple[int, int]:
    """Read a protobuf varint at offset `at`; return its low 64 bits and the offset after it. Raises: VarintError."""
    value, end = _read(raw, at, MAX_PROTOBUF_BYTES)
    return value & 0xFFFF_FFFF_FFFF_FFFF, end


def _read(raw: bytes, at: int, max_bytes: int) -> tuple[int, int]:
    value = 0
    for index in range(max_bytes):
        if at + index >= len(raw):
            raise VarintError("a varint is cut short")
        byte = raw[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise VarintError(f"a varint is longer than {max_bytes} bytes")
