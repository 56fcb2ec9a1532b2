"""Which stores a root belongs on: weighted rendezvous hashing, zones first, in integers only.

Equal views give equal answers on every machine, without a leader or a message. A *slot* is what can hold one copy: a
store, offered by one peer or by several. For each (root, slot) a cost is computed; the slot of the lowest cost comes
first. docs/placement.md has the formula and tests/vectors/placement.json the values that pin it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from statistics import median_low
from typing import Any

import numpy as np
import numpy.typing as npt

from node.replication.view import PeerState, PeerView

Words = npt.NDArray[np.uint64]

CAP_MEDIANS = 4
"""A peer's weight is at most so many rounded medians, so that one giant does not own every root. Source: DESIGN §7."""

WEIGHT_BITS = 20
"""Weights are counted in 2^-20 of the largest possible one: a peer a thousandth of it is right to 0.1 %."""

LOG_BITS = 34
"""Fraction bits of a logarithm: with 6 whole bits and `COST_SHIFT` more, a cost stays below 2^63."""

TABLE_BITS = 10
"""Steps of the table of logarithms; linear between them, the error stays below 2e-7."""

COST_SHIFT = 22

_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # the finalizer of SplitMix64: Steele, Lea & Flood, 2014

GONE: frozenset[PeerState] = frozenset({"left", "expelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One store that can hold a copy.

    Attributes:
        slot_id: the lowest peer id of those that announce the store; what is hashed.
        peers: those peers, ascending.
        zone: the zone of the first of them.
        capacity_bytes: the largest capacity that they announce.
        weight: 1 .. 2^WEIGHT_BITS, relative to the other keepers (`weights`).
    """

    slot_id: str
    peers: tuple[str, ...]
    zone: str
    capacity_bytes: int
    weight: int


def log2_table() -> Words:
    """log2(1 + i / 2^TABLE_BITS) for i = 0 .. 2^TABLE_BITS, in 2^-LOG_BITS, rounded down; integers only.

    Source: digit-by-digit logarithm by repeated squaring: Knuth, TAOCP vol. 1, 1.2.2, exercise 25.
    """
    precision = 64
    values = []
    for step in range(1 << TABLE_BITS):
        value = ((1 << TABLE_BITS) + step) << (precision - TABLE_BITS)
        digits = 0
        for _ in range(LOG_BITS):
            value = value * value >> precision
            carry = value >> (precision + 1)
            digits = digits << 1 | carry
            value >>= carry
        values.append(digits)
    return np.array([*values, 1 << LOG_BITS], dtype=np.uint64)


_LOG2 = log2_table()


def root_seed(root: bytes) -> int:
    """64 bits of a root's CID."""
    return int.from_bytes(blake2b(root, digest_size=8, person=b"pinakothek-root").digest(), "big")


def slot_seed(slot_id: str) -> int:
    """64 bits of a slot's name."""
    return int.from_bytes(blake2b(slot_id.encode(), digest_size=8, person=b"pinakothek-slot").digest(), "big")


def mixed(words: Words) -> Words:
    """A bijection of 64-bit words in which every bit of the input moves half of the output's."""
    words = words ^ words >> np.uint64(30)
    words *= np.uint64(_MIX[0])
    words ^= words >> np.uint64(27)
    words *= np.uint64(_MIX[1])
    words ^= words >> np.uint64(31)
    return words


def pair_words(root_seeds: Words, slot_seeds: Words) -> Words:
    """64 bits for a root and a slot together, of arrays that numpy can broadcast."""
    words = mixed(root_seeds ^ slot_seeds)
    words += slot_seeds
    return mixed(words)


def negative_log2(words: Words) -> Words:
    """-log2((word + 1) / 2^64) in 2^-LOG_BITS, at least 1; a word of all ones counts as the one below it."""
    value = np.minimum(words, np.uint64(2**64 - 2)) + np.uint64(1)
    whole = np.full(value.shape, 63, dtype=np.uint64)
    for shift in (32, 16, 8, 4, 2, 1):
        small = value < np.uint64(1 << (64 - shift))
        value = np.where(small, value << np.uint64(shift), value)
        whole -= np.where(small, np.uint64(shift), np.uint64(0))
    step = value >> np.uint64(63 - TABLE_BITS) & np.uint64((1 << TABLE_BITS) - 1)
    rest = value >> np.uint64(63 - TABLE_BITS - LOG_BITS) & np.uint64((1 << LOG_BITS) - 1)
    fraction = _LOG2[step] + ((_LOG2[step + np.uint64(1)] - _LOG2[step]) * rest >> np.uint64(LOG_BITS))
    negated: Words = np.uint64(64 << LOG_BITS) - (whole << np.uint64(LOG_BITS)) - fraction
    return np.maximum(negated, np.uint64(1))


def costs(root_seeds: Words, slot_seeds: Words, slot_weights: Words) -> Words:
    """The cost of every root on every slot; the lower, the earlier.

    -log2 of a uniform number over a weight is exponentially distributed with that weight as its rate, so a slot is
    the first of all with a chance of weight / sum of weights, and adding or removing one moves no other pair.

    Returns: array of shape (roots, slots), each below 2^63.
    Source: Schindelhauer & Schomaker, "Weighted distributed hash tables", 2005 (the logarithmic method).
    """
    return pair_costs(root_seeds[:, None], slot_seeds[None, :], slot_weights[None, :])


def pair_costs(root_seeds: Words, slot_seeds: Words, slot_weights: Words) -> Words:
    """`costs` of arrays that numpy can broadcast, each root with its own slot."""
    return (negative_log2(pair_words(root_seeds, slot_seeds)) << np.uint64(COST_SHIFT)) // slot_weights


def weights(capacities_bytes: Sequence[int], keepers_bytes: Iterable[int]) -> list[int]:
    """Relative weights: min(capacity, 4 x median rounded down to a power of two), in 2^-WEIGHT_BITS of that limit.

    Args:
        capacities_bytes: what to weigh.
        keepers_bytes: capacities of all keepers of the swarm, those that are down included; the median is over them.
    """
    limit = most_counted_bytes(keepers_bytes)
    return [max(1, min(capacity, limit) * (1 << WEIGHT_BITS) // limit) for capacity in capacities_bytes]


def most_counted_bytes(keepers_bytes: Iterable[int]) -> int:
    """Of a peer's capacity so much counts, whatever it says: 4 x the median, rounded down to a power of two."""
    known = [capacity for capacity in keepers_bytes if capacity > 0]
    return CAP_MEDIANS * (1 << (median_low(known).bit_length() - 1) if known else 1)


def slots_of(peers: Iterable[PeerView], kind: str) -> tuple[Slot, ...]:
    """The stores of `kind` that peers of the swarm announce, by slot id; those that left or were expelled have none."""
    standing = [peer for peer in peers if peer.state not in GONE]
    stores: dict[str, list[PeerView]] = {}
    for peer in standing:
        stores.setdefault(peer.store_ids.get(kind) or f"peer {peer.peer_id}", []).append(peer)
    groups = sorted((sorted(group, key=lambda peer: peer.peer_id) for group in stores.values()), key=_first_id)
    capacities = [max(peer.capacity_bytes for peer in group) for group in groups]
    keepers = [peer.capacity_bytes for peer in standing if peer.keeper]
    return tuple(
        Slot(
            slot_id=group[0].peer_id,
            peers=tuple(peer.peer_id for peer in group),
            zone=group[0].zone,
            capacity_bytes=capacity,
            weight=weight,
        )
        for group, capacity, weight in zip(groups, capacities, weights(capacities, keepers), strict=True)
    )


def _first_id(group: list[PeerView]) -> str:
    return group[0].peer_id


class Ranking:
    """Every slot in order of cost, per root; kept from plan to plan while slots and weights stay the same.

    Attributes:
        slots: in the order of their ids; an order names them by their index here.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = tuple(slots)
        self._seeds = np.array([slot_seed(slot.slot_id) for slot in slots], dtype=np.uint64)
        self._weights = np.array([slot.weight for slot in slots], dtype=np.uint64)
        self._orders: dict[bytes, tuple[int, ...]] = {}

    def matches(self, slots: Sequence[Slot]) -> bool:
        """Whether `slots` would be ranked alike: same ids, same weights."""
        return [(s.slot_id, s.weight) for s in slots] == [(s.slot_id, s.weight) for s in self.slots]

    def order(self, root: bytes) -> tuple[int, ...]:
        """Indices of all slots for `root`, lowest cost first; equal costs by slot id."""
        if root not in self._orders:
            self.learn([root])
        return self._orders[root]

    def learn(self, roots: Iterable[bytes]) -> None:
        """Rank all of `roots` that are not ranked yet, many at a time."""
        new = [root for root in roots if root not in self._orders]
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            seeds = np.array([root_seed(root) for root in batch], dtype=np.uint64)
            orders: Any = np.argsort(costs(seeds, self._seeds, self._weights), axis=1, kind="stable").tolist()
            self._orders.update(zip(batch, map(tuple, orders), strict=True))

    def keep_only(self, roots: Iterable[bytes]) -> None:
        """Forget what is not among `roots`, once that is more than half of all."""
        kept = set(roots)
        if len(self._orders) > 2 * len(kept):
            self._orders = {root: order for root, order in self._orders.items() if root in kept}


_BATCH = 4096
"""Roots ranked in one go: with 100 slots the arrays take a few megabytes each."""


def spread(
    order: Iterable[int], zones: Sequence[str], count: int, *, placed: Iterable[int] = (), among: Callable[[int], bool]
) -> list[int]:
    """Pick up to `count` slots, each from the zone that holds fewest, then by `order`.

    Args:
        zones: the zone of each slot.
        placed: slots that already hold or will hold a copy: their zones start with one each.
        among: which slots of `order` may be picked at all.

    Returns: the picks in the order they were made.
    """
    left = [slot for slot in order if among(slot)]
    used: dict[str, int] = {}
    for slot in placed:
        used[zones[slot]] = used.get(zones[slot], 0) + 1
    picks: list[int] = []
    while left and len(picks) < count:
        fewest = min(used.get(zones[slot], 0) for slot in left) if used else 0
        slot = next(slot for slot in left if used.get(zones[slot], 0) == fewest)
        left.remove(slot)
        picks.append(slot)
        used[zones[slot]] = fewest + 1
    return picks
