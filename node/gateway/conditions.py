"""HTTP conditions and ranges, decided purely: what a request's headers ask of an answer whose ETag and size are known."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


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
    """The single range asked for, or None where the whole is to be sent (no range, several, or not understood).

    Raises:
        UnsatisfiableRange: a well-formed range that lies outside the file.

    Source: RFC 9110 §14.1.2: a server may ignore what it does not support.
    """
    match = _RANGE.match(header.replace(" ", "")) if header else None
    if not match or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size_bytes - int(last), 0), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= size_bytes or start >= end:
        raise UnsatisfiableRange(f"{header} of {size_bytes} bytes")
    return Span(start, end)
