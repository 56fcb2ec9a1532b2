"""A set in order that can say in little time what any range of it amounts to: what range-based reconciliation needs.

Values lie in sorted chunks, each with the sum of its values' hashes; what lies before a chunk is added up when somebody
asks, and only from the first chunk that has changed since. So with n values adding one looks at some twenty others, and
a fingerprint costs one chunk and at most n/128 additions, whatever else happens meanwhile. A value's place is worked out
when it is needed, so a set costs little more than a pointer a value.

Source: A. Meyer, Range-Based Set Reconciliation (2022); fingerprints as in Negentropy, version 1.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

V = TypeVar("V")

FINGERPRINT_BYTES: Final = 16
CHUNK: Final = 256
"""Values in a chunk at most; a full one becomes two."""
_MODULUS: Final = 1 << 256


class Weight(NamedTuple):
    """What some values amount to: how many, and the sum of their hashes (not reduced, and so exact)."""

    size: int
    total: int

    def __sub__(self, before: "Weight") -> "Weight":
        return Weight(self.size - before.size, self.total - before.total)

    @property
    def fingerprint(self) -> bytes:
        """16 bytes that differ, for all practical purposes, where the values do."""
        packed = (self.total % _MODULUS).to_bytes(32, "big") + self.size.to_bytes(8, "big")
        return hashlib.sha256(packed).digest()[:FINGERPRINT_BYTES]


NOTHING: Final = Weight(0, 0)


class OrderedSet(Generic[V]):
    """Values by place.

    Args:
        place_of: where a value stands, at most 24 bytes that do not begin with 0xff.
        digest_of: its hash, 32 bytes, which counts in sums.
        values: in any order, no two with one place.
    """

    __slots__ = ("_before", "_chunks", "_lows", "_size", "_sums", "_total", "digest_of", "place_of")

    def __init__(
        self, place_of: Callable[[V], bytes], digest_of: Callable[[V], bytes], values: Iterable[V] = ()
    ) -> None:
        self.place_of = place_of
        self.digest_of = digest_of
        ordered = sorted(values, key=place_of)
        half = CHUNK // 2
        self._chunks = [ordered[at : at + half] for at in range(0, len(ordered), half)] or [[]]
        self._lows = [place_of(chunk[0]) if chunk else b"" for chunk in self._chunks]
        self._lows[0] = b""
        self._sums = [self._sum(chunk) for chunk in self._chunks]
        self._before: list[Weight] = [NOTHING]  # of as many chunks as are known; extended by `_known`
        self._size, self._total = len(ordered), sum(self._sums)

    # changing

    def add(self, value: V) -> bool:
        """Put a value in; False if its place is taken already."""
        place = self.place_of(value)
        number = bisect_right(self._lows, place) - 1
        chunk = self._chunks[number]
        at = bisect_left(chunk, place, key=self.place_of)
        if at < len(chunk) and self.place_of(chunk[at]) == place:
            return False
        chunk.insert(at, value)
        self._changed(number, 1, self._share(value))
        if len(chunk) > CHUNK:
            self._split(number)
        return True

    def discard(self, value: V) -> bool:
        """Take a value out; False if nothing is at its place."""
        place = self.place_of(value)
        number = bisect_right(self._lows, place) - 1
        chunk = self._chunks[number]
        at = bisect_left(chunk, place, key=self.place_of)
        if at == len(chunk) or self.place_of(chunk[at]) != place:
            return False
        del chunk[at]
        self._changed(number, -1, -self._share(value))
        if not chunk and number:
            del self._chunks[number], self._lows[number], self._sums[number]
        return True

    def _changed(self, number: int, count: int, share: int) -> None:
        self._sums[number] += share
        self._size += count
        self._total += share
        del self._before[number + 1 :]

    def _split(self, number: int) -> None:
        chunk = self._chunks[number]
        upper = chunk[len(chunk) // 2 :]
        del chunk[len(chunk) // 2 :]
        above = self._sum(upper)
        self._sums[number] -= above
        self._chunks.insert(number + 1, upper)
        self._lows.insert(number + 1, self.place_of(upper[0]))
        self._sums.insert(number + 1, above)

    def _sum(self, values: Iterable[V]) -> int:
        digest_of = self.digest_of
        return sum([int.from_bytes(digest_of(value), "big") for value in values])

    def _share(self, value: V) -> int:
        """A value's part of a sum: its hash as a number."""
        return int.from_bytes(self.digest_of(value), "big")

    # asking

    def __len__(self) -> int:
        return self._size

    @property
    def digest(self) -> bytes:
        """The sum of all hashes modulo 2^256, big-endian."""
        return (self._total % _MODULUS).to_bytes(32, "big")

    def before(self, bound: bytes) -> Weight:
        """Return what the values below a bound amount to; two of these, subtracted, weigh a range."""
        number = bisect_right(self._lows, bound) - 1
        chunk = self._chunks[number]
        at = bisect_left(chunk, bound, key=self.place_of)
        count, total = self._known(number)
        if at == 0:
            return Weight(count, total)
        if 2 * at <= len(chunk):
            return Weight(count + at, total + self._sum(chunk[:at]))
        return Weight(count + at, total + self._sums[number] - self._sum(chunk[at:]))

    def _known(self, number: int) -> Weight:
        """What lies before a chunk."""
        before = self._before
        while len(before) <= number:
            count, total = before[-1]
            last = len(before) - 1
            before.append(Weight(count + len(self._chunks[last]), total + self._sums[last]))
        return before[number]

    def at(self, rank: int) -> V:
        """Return the value before which there are `rank` others."""
        self._known(len(self._chunks) - 1)
        number = bisect_right(self._before, rank, key=lambda weight: weight.size) - 1
        return self._chunks[number][rank - self._before[number].size]

    def between(self, low: bytes, high: bytes) -> Iterator[V]:
        """Iterate over the values from `low` on and below `high`; the set must not change meanwhile."""
        number = bisect_right(self._lows, low) - 1
        at = bisect_left(self._chunks[number], low, key=self.place_of)
        while number < len(self._chunks):
            for value in self._chunks[number][at:]:
                if self.place_of(value) >= high:
                    return
                yield value
            number, at = number + 1, 0

    def divide(self, low: bytes, high: bytes, parts: int) -> list[bytes]:
        """Return the upper bounds of `parts` ranges of equally many values, ascending; the last is `high`.

        Bounds are as short as tells two neighbours apart. There are fewer of them where there are fewer values.
        """
        first, count = self.before(low).size, self.before(high).size - self.before(low).size
        ranks = sorted({first + count * part // parts for part in range(1, parts)} - {first})
        return [self._bound_before(rank) for rank in ranks] + [high]

    def _bound_before(self, rank: int) -> bytes:
        above, below = self.place_of(self.at(rank)), self.place_of(self.at(rank - 1))
        length = next(n for n, (a, b) in enumerate(zip(above, below, strict=True), 1) if a != b)
        return above[:length]
