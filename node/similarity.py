"""Find near-duplicates among everything that is pinned, by the perceptual hashes in the pins.

Brute force over 64-bit words: a million are compared in about a millisecond, where trees take hundreds. Nothing is kept
until somebody asks for the first time; from then on changes of pins are followed.

Source: figures and threshold measured, docs/decisions.md.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from protocol.recordset import RecordSet

NEAR_BITS = 8
"""Of 64 that may differ. JPEG at q40, WebP at q50, resizing, brightness and a crop of 5 % stay within; unrelated pictures
begin at 21. Measured."""
MAX_BITS = 20
CHUNK = 1 << 16
"""Hashes compared at once: what fits the processor's cache."""

Words = npt.NDArray[np.uint64]


class Near(NamedTuple):
    """A root whose picture looks alike; `distance_bits` of 64 differ."""

    root: bytes
    distance_bits: int


class Similarity:
    """The perceptual hashes of the live pins that are not in the trash."""

    def __init__(self, records: RecordSet) -> None:
        self._records = records
        self._roots: list[bytes | None] = []
        self._places: dict[bytes, int] = {}
        self._free: list[int] = []
        self._words: Words = np.zeros(0, dtype=np.uint64)
        self._dirty: set[bytes] | None = None

    def changed(self, roots: Iterable[bytes]) -> None:
        """The live pins of these roots may have changed."""
        if self._dirty is not None:
            self._dirty.update(roots)

    def near(self, phash: str, *, within_bits: int = NEAR_BITS, limit: int = 1000) -> list[Near]:
        """Roots whose hash differs from `phash` (16 hexadecimal digits) in at most so many bits, nearest first."""
        self._catch_up()
        wanted = np.uint64(int(phash, 16))
        found: list[Near] = []
        used = self._words[: len(self._roots)]
        for start in range(0, len(used), CHUNK):
            distances: Any = np.bitwise_count(used[start : start + CHUNK] ^ wanted)
            for place in np.flatnonzero(distances <= within_bits).tolist():
                root = self._roots[start + place]
                if root is not None:
                    found.append(Near(root, int(distances[place])))
        return sorted(found, key=lambda near: (near.distance_bits, near.root))[:limit]

    def phash_of(self, root: bytes) -> str | None:
        """The perceptual hash that a root's live pins outside the trash name."""
        pins = (pin.record for pin in self._records.live_pins(root))
        return next((pin.phash for pin in pins if pin.phash is not None and pin.trashed_ms is None), None)

    def _catch_up(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for root in self._records.roots() if dirty is None else dirty:
            phash = self.phash_of(root)
            place = self._places.get(root)
            if phash is None:
                if place is not None:
                    self._roots[place] = None
                    self._free.append(self._places.pop(root))
                continue
            if place is None:
                place = self._places[root] = self._take_place()
                self._roots[place] = root
            self._words[place] = int(phash, 16)

    def _take_place(self) -> int:
        if self._free:
            return self._free.pop()
        self._roots.append(None)
        if len(self._roots) > len(self._words):
            self._words = np.concatenate([self._words, np.zeros(max(64, len(self._words)), dtype=np.uint64)])
        return len(self._roots) - 1
