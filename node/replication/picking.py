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
    dtype: Any = np.uint16 if depth * (most + 64) < 0xFFFF else np.uint32
    taken = np.iinfo(dtype).max
    rank: npt.NDArray[Any] = np.broadcast_to(np.arange(depth, dtype=dtype)[:, None], candidates.shape).copy()
    if used is not None:
        rank += used.astype(dtype) * dtype(depth)
    rank[~eligible] = taken
    filled = np.zeros((most + 1, width), dtype=np.uint16)  # by copies: zones that have more than so many
    for turn in range(most):
        best = rank.min(axis=0)
        wants = wanted > turn
        found = wants & (best != taken)
        place, copies = np.divmod(np.where(found, best, 0).astype(np.intp), depth)[::-1]
        np.maximum(last, np.minimum(place, EVERY), out=last, where=found, casting="unsafe")
        last[wants & (~found | (copies > 0))] = EVERY
        if zone_count is not None:
            copies = np.minimum(copies, most)
            sure &= ~wants | found & ((copies == 0) | (filled[copies - 1, columns] == zone_count))
            leaning |= found & (copies > 0)
            filled[copies[found], columns[found]] += 1
        picks[turn] = np.where(found, candidates[place, columns], NOBODY)
        rank[place[found], columns[found]] = taken
        if turn + 1 < most:
            nearby = (zones == zones[place, columns]) & found & (rank != taken)
            np.add(rank, dtype(depth), out=rank, where=nearby)
    return Picks(picks, sure, leaning, last)
