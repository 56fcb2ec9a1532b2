"""Choosing copies for many roots at once, zones first: `placement.spread` over columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from node.replication.shortlist import NOBODY, SlotColumn

Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
ZoneColumn = npt.NDArray[np.uint16]

EVERY = 0xFF


@dataclass(slots=True)
class Picks:
    """What `pick` chose.

    Attributes:
        slots: of shape (most that was wanted, roots), in the order of the choice, then `NOBODY`.
        sure: whether slots that are not among the candidates could not have been chosen instead.
        leaning: sure only because every zone had as many copies as the one that was chosen.
        last: place of the last candidate that had a say in the choice; `EVERY` where all had.
    """

    slots: SlotColumn
    sure: Flags
    leaning: Flags
    last: npt.NDArray[np.uint8]


def pick(
    candidates: SlotColumn,
    zones: ZoneColumn,
    eligible: Flags,
    wanted: Counts,
    *,
    used: npt.NDArray[np.uint16] | None = None,
    zone_count: int | None = None,
) -> Picks:
    """Pick for each root up to `wanted` of its candidates, each from the zone that holds fewest, then by order.

    Args:
        candidates: of shape (any, roots), lowest cost first.
        zones: the number of each candidate's zone.
        used: copies that each candidate's zone has already; none without it.
        zone_count: zones that slots further down may be in; None where the candidates are all there are.
    """
    depth, width = candidates.shape
    most = int(wanted.max(initial=0))
    picks = np.full((most, width), NOBODY, dtype=np.uint16)
    sure, leaning = np.ones(width, dtype=np.bool_), np.zeros(width, dtype=np.bool_)
    last = np.zeros(width, dtype=np.uint8)
    if not depth:
        return Picks(picks, (wanted == 0) if zone_count is not None else sure, leaning, last)
    columns = np.arange(width)
    dtype: Any = np.uint16 if depth * (most + 64) < 0x7FFF else np.uint32
    taken = dtype(np.iinfo(dtype).max // 2 + 1)  # and all above: what is added to it changes nothing
    rank: npt.NDArray[Any] = np.ascontiguousarray(np.where(eligible, np.arange(depth, dtype=dtype)[:, None], taken))
    if used is not None:
        rank += used.astype(dtype) * dtype(depth)
    flat, slots_of, zones_of = rank.reshape(-1), candidates.reshape(-1), zones.reshape(-1)
    filled = np.zeros((most + 1, width), dtype=np.uint16)  # by copies: zones that have more than so many
    for turn in range(most):
        best = rank.min(axis=0)
        wants = wanted > turn
        found = wants & (best < taken)
        place = np.where(found, best, dtype(0))
        spare = place >= depth  # in a zone that has copies
        leans = bool(spare.any())
        copies, place = np.divmod(place, dtype(depth)) if leans else (None, place)
        np.maximum(last, np.minimum(place, dtype(EVERY)).astype(np.uint8), out=last)
        np.putmask(last, wants & ~found | spare, EVERY)
        if zone_count is not None:
            sure &= ~wants | found
            if copies is None:
                filled[0] += found
            else:
                copies = np.minimum(copies, most).astype(np.intp)
                sure &= ~spare | (filled[copies - 1, columns] == zone_count)
                leaning |= spare
                filled[copies[found], columns[found]] += 1
        at = place * np.intp(width) + columns  # where nothing was found: the first, which is taken or wanted no more
        picks[turn] = np.where(found, slots_of.take(at), np.uint16(NOBODY))
        flat[at] = taken
        if turn + 1 < most:
            rank += (zones == zones_of.take(at)) * dtype(depth)
    return Picks(picks, sure, leaning, last)
