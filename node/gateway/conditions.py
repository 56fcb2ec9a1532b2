"""HTTP conditions and ranges, decided purely: what a request's headers ask of an answer whose ETag and size are known."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""Longer numbers than any file has bytes are not understood; Python would refuse to read the longest of them."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `end`, the end not included."""

    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """How many bytes that is."""
        return self.end - self.start


class UnsatisfiableRange(Exception):
    """No byte of the file lies in the range that was asked for: 416."""


def etag_matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has this very answer: weak comparison over a list, `*` matches anything.

    Source: RFC 9110 §13.1.2.
    """
    if not if_none_match:
        return False
    wanted = etag.removeprefix("W/")
    return any(tag in ("*", wanted) for tag in (t.strip().removeprefix("W/") for t in if_none_match.split(",")))


def parse_range(header: str | None, size_bytes: int) -> Span | None:
    """The single range asked for, or None where the whole is to be sent.

    That is: no range, several, one not understood, or any of an empty file, whose whole is no more than the range.

    Raises:
        UnsatisfiableRange: a well-formed range that lies outside the file.

    Source: RFC 9110 §14.1.2: a server may ignore what it does not support.
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or not size_bytes or match[1] == match[2] == "":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size_bytes - int(last), 0), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= end:
        raise UnsatisfiableRange(f"range: {header}: the file has {size_bytes} bytes")
    return Span(start, end)


def asked_span(range_header: str | None, if_range: str | None, etag: str, size_bytes: int) -> Span | None:
    """As `parse_range`, unless the client has a part of another version of the file: then the whole is sent.

    Source: RFC 9110 §13.1.5; a weak tag or a date never matches.
    """
    if if_range is not None and if_range.strip() != etag:
        return None
    return parse_range(range_header, size_bytes)
