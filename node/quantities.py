"""Sizes, durations, counts, replication factors, instants and odd file names, from text and back.

Standard library only: the command line, the settings and the control socket all read them here, so that `100GiB` means
the same everywhere. What cannot be read raises `Usage`, naming the value and what was expected.
"""

import re

from node.errors import Usage

SIZE_UNITS = {"": 1, "B": 1}
SIZE_UNITS |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)}
SIZE_UNITS |= {f"{letter}B": 1000**power for power, letter in enumerate("kMGTP", 1)}
DURATION_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
MAX_REPLICAS = 150
"""The largest swarm that keeps a full mesh (DESIGN §5): more replicas than peers make no sense."""

_NUMBER = r"\d+(?:\.\d+)?"


def parse_size(text: str) -> int:
    """Bytes in `text`: `100GiB`, `1.5TB`, `4096`. Binary units have an i; a bare `G` is refused as ambiguous."""
    found = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]*)", text.strip())
    if not found or found[2] not in SIZE_UNITS:
        raise Usage(f"size {text!r}: expected a number and a unit such as 100GiB or 500MB")
    return int(float(found[1]) * SIZE_UNITS[found[2]]) if "." in found[1] else int(found[1]) * SIZE_UNITS[found[2]]


def parse_duration(text: str) -> float:
    """Seconds in `text`: `60s`, `7d`, `1h30m`; a bare number is seconds."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        return float(text)
    if not re.fullmatch(rf"(?:{_NUMBER}(?:ms|[smhdw]))+", text):
        raise Usage(f"duration {text!r}: expected a number and a unit such as 60s, 90m, 12h or 7d")
    return sum(float(number) * DURATION_UNITS_S[unit] for number, unit in re.findall(rf"({_NUMBER})(ms|[smhdw])", text))


def parse_factor(text: str) -> tuple[int, int]:
    """(min, max) in `text`: `2:3`, or `3` for `3:3`."""
    found = re.fullmatch(r"(\d{1,4})(?::(\d{1,4}))?", text.strip())
    if not found:
        raise Usage(f"replicas {text!r}: expected MIN:MAX such as 2:3, or one number")
    low, high = int(found[1]), int(found[2] or found[1])
    if not 1 <= low <= high <= MAX_REPLICAS:
        raise Usage(f"replicas {text!r}: expected 1 ≤ MIN ≤ MAX ≤ {MAX_REPLICAS}")
    return low, high


def parse_since(text: str, now_ms: int) -> int:
    """Wall-clock milliseconds of an RFC 3339 date or time, or of a duration before `now_ms`."""
    from datetime import datetime

    if re.match(r"\d{4}-", text.strip()):
        try:
            return int(datetime.fromisoformat(text.strip()).astimezone().timestamp() * 1000)
        except ValueError as error:
            raise Usage(f"time {text!r}: {error}") from error
    try:
        return now_ms - int(parse_duration(text) * 1000)
    except Usage as error:
        raise Usage(f"time {text!r}: expected 2026-05-31, 2026-05-31T12:00:00Z or a duration such as 7d") from error


def escape_path(name: bytes) -> str:
    r"""Text for a file name of any bytes, unchanged where it is UTF-8 (see below), reversible by `unescape_path`.

    Each byte that is not UTF-8 is written `\xNN`. So that this can be undone, a backslash that already stands before
    `xNN` in the name is written `\x5c`.
    """
    text = re.sub(r"\\(?=x[0-9a-f]{2})", r"\\x5c", name.decode("utf-8", "surrogateescape"))
    return re.sub("[\udc80-\udcff]", lambda odd: f"\\x{ord(odd[0]) - 0xDC00:02x}", text)


def unescape_path(text: str) -> bytes:
    """The file name that `escape_path` wrote as `text`.

    Raises:
        Usage: `text` holds lone surrogates or a NUL, which no file name has.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise Usage(f"path {text!r}: not text") from error
    name = re.sub(rb"\\x([0-9a-f]{2})", lambda code: bytes([int(code[1], 16)]), raw)
    if b"\0" in name:
        raise Usage(f"path {text!r}: a file name has no NUL")
    return name


def size_text(size_bytes: int) -> str:
    """A size for people: `3.2 MiB`."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    units = ("KiB", "MiB", "GiB", "TiB", "PiB")
    power = 1
    while size_bytes / 1024**power >= 999.95 and power < len(units):
        power += 1
    value = size_bytes / 1024**power
    return f"{value:.1f} {units[power - 1]}" if value < 99.95 else f"{value:.0f} {units[power - 1]}"


def duration_text(seconds: float) -> str:
    """A duration for people, its two largest units: `3 h 12 min`."""
    whole = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """`1 image`, `1,204 images`; `many` where an s is not enough."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
