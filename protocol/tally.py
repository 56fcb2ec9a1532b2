"""What a peer's record set looks like to others: the records that count, their digest, and 256 buckets of both.

The digest is the sum of the records' sha2-256 modulo 2^256: equal sets have equal digests whatever the order, and a
record comes or goes in constant time.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from protocol.limits import SYNC_BUCKETS
from protocol.records import Record, Signed

_MODULUS: Final = 1 << 256


def bucket_of(key: bytes) -> int:
    """Return the bucket of a record's key. Hashed, because an author may choose the ids of his pins."""
    return hashlib.sha256(key).digest()[0]


def record_order(key: bytes) -> int:
    """Return where records of this key belong in a transfer: what gives roles before what needs them."""
    return b"caedfp".index(key[:1])


class Tally:
    """The counting records by key, in buckets, with sums kept up to date."""

    __slots__ = ("_buckets", "_sums", "count")

    def __init__(self) -> None:
        self._buckets: list[dict[bytes, Signed[Record]]] = [{} for _ in range(SYNC_BUCKETS)]
        self._sums = [0] * SYNC_BUCKETS
        self.count = 0

    def add(self, signed: Signed[Record]) -> None:
        bucket = bucket_of(signed.key)
        self._buckets[bucket][signed.key] = signed
        self._sums[bucket] = (self._sums[bucket] + int.from_bytes(signed.digest, "big")) % _MODULUS
        self.count += 1

    def remove(self, signed: Signed[Record]) -> None:
        bucket = bucket_of(signed.key)
        del self._buckets[bucket][signed.key]
        self._sums[bucket] = (self._sums[bucket] - int.from_bytes(signed.digest, "big")) % _MODULUS
        self.count -= 1

    @property
    def digest(self) -> bytes:
        return (sum(self._sums) % _MODULUS).to_bytes(32, "big")

    @property
    def fingerprints(self) -> tuple[bytes, ...]:
        """The sum of each bucket, 32 bytes."""
        return tuple(total.to_bytes(32, "big") for total in self._sums)

    def bucket(self, number: int) -> Mapping[bytes, Signed[Record]]:
        """Return the counting records of one bucket by key."""
        return self._buckets[number]
