"""How ranges of an ordered set are written: each with its upper bound, from where the one before ended.

| first byte, highest two bits | then | means |
|---|---|---|
| 0 | | nothing to say: equal, or not asked about |
| 1 | 16 bytes | the fingerprint of the range |
| 2 | two bytes of count, 16 bytes each | the places in the range, shortened: all that is there |

The lower six bits of the first byte are the length of the bound that follows it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from protocol.errors import Reason, Refused
from protocol.limits import SYNC_LISTED
from protocol.ordered import FINGERPRINT_BYTES
from protocol.places import PLACE_BYTES, SHORT_BYTES, START

_SKIP, _FINGERPRINT, _PLACES = range(3)


class Part(NamedTuple):
    """One range: up to, not including, `high`. With neither field there is nothing to say of it."""

    high: bytes
    fingerprint: bytes | None = None
    places: tuple[bytes, ...] | None = None


def pack(parts: Iterable[Part]) -> bytes:
    """Return the bytes of some ranges."""
    return b"".join(map(_packed, parts))


def packed_bytes(part: Part) -> int:
    """Return how long one range is."""
    more = 0 if part.fingerprint is None else FINGERPRINT_BYTES
    return 1 + len(part.high) + more + (0 if part.places is None else 2 + SHORT_BYTES * len(part.places))


def _packed(part: Part) -> bytes:
    if part.fingerprint is not None:
        return bytes([_FINGERPRINT << 6 | len(part.high)]) + part.high + part.fingerprint
    if part.places is not None:
        count = len(part.places).to_bytes(2, "big")
        return bytes([_PLACES << 6 | len(part.high)]) + part.high + count + b"".join(part.places)
    return bytes([len(part.high)]) + part.high


def unpack(raw: bytes, most: int) -> list[Part]:
    """Read at most so many ranges that a peer has sent.

    Raises:
        Refused: they are cut short, not ascending, or more.
    """
    parts: list[Part] = []
    low, at = START, 0
    while at < len(raw):
        if len(parts) == most:
            raise Refused(Reason.TOO_LARGE, f"more than {most} ranges in one message")
        mode, length = raw[at] >> 6, raw[at] & 63
        high, at = raw[at + 1 : at + 1 + length], at + 1 + length
        if not 0 < length <= PLACE_BYTES or high <= low:
            raise Refused(Reason.MALFORMED, "ranges that do not ascend")
        part, at = _read(raw, at, mode, high)
        if at > len(raw):
            raise Refused(Reason.MALFORMED, "ranges that are cut short")
        parts.append(part)
        low = high
    return parts


def _read(raw: bytes, at: int, mode: int, high: bytes) -> tuple[Part, int]:
    if mode == _SKIP:
        return Part(high), at
    if mode == _FINGERPRINT:
        return Part(high, fingerprint=raw[at : at + FINGERPRINT_BYTES]), at + FINGERPRINT_BYTES
    count, at = int.from_bytes(raw[at : at + 2], "big"), at + 2
    if mode != _PLACES or count > SYNC_LISTED:
        raise Refused(Reason.MALFORMED, "a range of no kind that is known")
    end = at + SHORT_BYTES * count
    return Part(high, places=split_places(raw[at:end])), end


def split_places(packed: bytes) -> tuple[bytes, ...]:
    """Return the shortened places that lie side by side in some bytes."""
    return tuple(packed[at : at + SHORT_BYTES] for at in range(0, len(packed), SHORT_BYTES))


def join_places(places: Sequence[bytes]) -> bytes:
    """Return shortened places side by side."""
    return b"".join(places)
