"""The lines of a segment: JSON that a person can read, with the signed bytes beside it and a checksum over the rest."""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

FORGOTTEN = "forgotten"
"""Kind of the line that takes a key's entry away."""
ASIDE = "aside"
"""Kind of entries that are kept beside the current set, and not given out with it."""
COMPACTED = "compacted"
"""Kind of the first line of a segment that replaces all segments before it."""


class RecordEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One record as the store keeps it; its bytes are opaque here.

    Attributes:
        key: what a later entry replaces it by.
        kind: for people and for loading; not FORGOTTEN or COMPACTED.
        raw: the signed bytes.
        readable: what they say, as JSON allows; bytes are written in base64. Never read back by the daemon.
        seal: by which who wrote it knows again what it has checked; kept in the catalogue alone.
    """

    key: bytes
    kind: str
    raw: bytes
    readable: Mapping[str, Any] = msgspec.field(default_factory=dict)
    seal: bytes | None = None


_READABLE = msgspec.json.Encoder(order="sorted")


class Line(NamedTuple):
    """One line; `raw` is None for FORGOTTEN and COMPACTED."""

    kind: str
    key: bytes
    raw: bytes | None
    readable: str


def readable_text(readable: Mapping[str, Any]) -> str:
    """Canonical JSON, so that a line can be written again byte for byte."""
    return _READABLE.encode(readable).decode()


def encode_line(line: Line) -> bytes:
    """Return the line with its line feed."""
    kind, key, signed = map(_READABLE.encode, (line.kind, line.key, line.raw))  # it writes bytes in base64
    checked = b'{"kind":%b,"key":%b,"record":%b,"signed":%b' % (kind, key, line.readable.encode(), signed)
    return b'%b,"crc32":%d}\n' % (checked, zlib.crc32(checked))


def decode_line(raw: bytes) -> Line | None:
    """Read a line, with or without its line feed; None if it is damaged."""
    checked, comma, crc = raw.rstrip(b"\n").rpartition(b',"crc32":')
    if not comma or crc != b"%d}" % zlib.crc32(checked):
        return None
    try:
        fields = json.loads(checked + b"}")
        signed = fields["signed"]
        return Line(
            fields["kind"],
            base64.b64decode(fields["key"]),
            None if signed is None else base64.b64decode(signed),
            readable_text(fields["record"]),
        )
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
