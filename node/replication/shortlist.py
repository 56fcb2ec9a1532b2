"""The first few slots of very many roots, in order of cost: what `placement.Ranking` has of one root, in columns.

Costs are 64-bit integers, but their order can nearly always be told from 32-bit floats whose last bits are the slot's
place, so that sorting them is enough: where two are nearer to each other than their error, and only there, the integers
are computed. So the order is exact, and a million roots on a hundred slots take two seconds.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from node.replication.placement import WEIGHT_BITS, Slot, Words, costs, pair_costs, pair_words, slot_seed

SlotColumn = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

NOBODY = 0xFFFF
"""In a column of slots or peers: none. So there are fewer than 65,535 of either."""

RELATIVE_ERROR = np.float32(1e-6)
ABSOLUTE_ERROR = np.float32(5e-7)
"""Of a float's -log2 against the table's, in bits: 2e-7 of the table, half a float's last bit of the word (9e-8) and a
few of the logarithm (2.4e-7 of it)."""

_BATCH = 256
"""Roots ranked in one go: with a hundred slots the arrays stay in the processor's cache. Measured: 1,024 take a third
longer."""
_SLOW_BATCH = 4096
_NO_COST = np.iinfo(np.uint64).max


class Shortlist:
    """Ranks roots on `slots`, which are named by their index.

    Args:
        among: slots that are ranked at all.
        length: how many are kept of each root.
    """

    def __init__(self, slots: Sequence[Slot], among: Sequence[int], length: int) -> None:
        self.among = np.array(among, dtype=np.uint16)
        self.length = min(length, len(among))
        self.complete = self.length == len(among)
        self._seeds = np.array([slot_seed(slots[index].slot_id) for index in among], dtype=np.uint64)
        self._weights = np.array([slots[index].weight for index in among], dtype=np.uint64)
        self._all_seeds = np.array([slot_seed(slot.slot_id) for slot in slots], dtype=np.uint64)
        self._all_weights = np.array([slot.weight for slot in slots], dtype=np.uint64)
        share = self._weights.astype(np.float32) / np.float32(1 << WEIGHT_BITS)
        self._per_bit = (np.float32(1) / share)[:, None]
        self._slack = ABSOLUTE_ERROR * self._per_bit
        self._place_bits = np.uint32((1 << max(1, len(among) - 1).bit_length()) - 1)

    def rank(self, seeds: Words) -> SlotColumn:
        """The first `length` slots of each root, lowest cost first: array of shape (length, roots)."""
        count = len(seeds)
        ranked = np.empty((self.length, count), dtype=np.uint16)
        mixed_up, open_ended = np.zeros((2, count), dtype=np.bool_)
        for start in range(0, count if self.length else 0, _BATCH):
            some = slice(start, start + _BATCH)
            ranked[:, some], mixed_up[some], open_ended[some] = self._rank_some(seeds[some])
        for rows in _batches(mixed_up, _SLOW_BATCH):
            ranked[:, rows] = self._in_order(seeds[rows], ranked[:, rows])
        for rows in _batches(open_ended, _SLOW_BATCH):
            ranked[:, rows] = self.rank_all(seeds[rows])[: self.length]
        return ranked

    def rank_all(self, seeds: Words) -> SlotColumn:
        """All slots of `among` for each root, lowest cost first; equal costs by slot index. Shape (slots, roots)."""
        found = costs(seeds, self._seeds, self._weights)
        order: SlotColumn = self.among[np.argsort(found, axis=1, kind="stable")].T
        return order

    def costs_of(self, seeds: Words, slots: SlotColumn) -> Words:
        """The cost of each root on its own slots, of shape (any, roots); the highest possible for `NOBODY`."""
        known = slots != NOBODY
        at = np.where(known, slots, 0)
        if not len(self._all_seeds):
            return np.full(slots.shape, _NO_COST, dtype=np.uint64)
        found: Words = pair_costs(seeds[None, :], self._all_seeds[at], self._all_weights[at])
        found[~known] = _NO_COST
        return found

    def _rank_some(self, seeds: Words) -> tuple[SlotColumn, Flags, Flags]:
        """The order by floats; where it may be wrong among its slots; and where another slot may belong among them."""
        keys = self._least(seeds).view(np.uint32)
        keys &= ~self._place_bits
        keys |= np.arange(len(self.among), dtype=np.uint32)
        keys.sort(axis=1)
        keys = keys[:, : self.length + 1]
        place = keys & self._place_bits
        least = (keys ^ place).view(np.float32)
        slack = self._slack[:, 0][place]
        most = ((keys | self._place_bits).view(np.float32) + slack) * (1 + 2 * RELATIVE_ERROR) + slack
        ranked: SlotColumn = self.among[place[:, : self.length]].T
        mixed_up: Flags = (most[:, : self.length - 1] >= least[:, 1 : self.length]).any(axis=1)
        if self.complete:
            return ranked, mixed_up, np.zeros(len(seeds), dtype=np.bool_)
        return ranked, mixed_up, most[:, : self.length].max(axis=1) >= least[:, self.length]

    def _in_order(self, seeds: Words, slots: SlotColumn) -> SlotColumn:
        order = np.lexsort((slots, self.costs_of(seeds, slots)), axis=0)
        found: SlotColumn = np.take_along_axis(slots, order, axis=0)
        return found

    def _least(self, seeds: Words) -> Floats:
        """A float that no cost is below, in units of the heaviest slot's bit: array of shape (roots, slots)."""
        bits = pair_words(seeds[None, :], self._seeds[:, None]).astype(np.float32)
        np.maximum(bits, np.float32(1), out=bits)
        bits *= np.float32(2.0**-64)
        np.log2(bits, out=bits)
        bits *= -self._per_bit * (1 - RELATIVE_ERROR)
        bits -= self._slack
        np.maximum(bits, np.float32(0), out=bits)
        return np.ascontiguousarray(bits.T)


def _batches(flags: Flags, size: int) -> Iterator[npt.NDArray[np.intp]]:
    """The places that are set, some at a time."""
    rows = np.flatnonzero(flags)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
