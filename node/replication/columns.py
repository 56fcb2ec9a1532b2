"""`weighing.weigh` for many roots at once, in columns: the same rules, line by line, as arrays.

`weigh` stays the reference: tests compare the two over random views, and what a row asks this peer to do is decided by
the reference again, on that row alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self, get_args

import numpy as np
import numpy.typing as npt

from node.replication.board import Board, Rows
from node.replication.facts import ALIVE, PLACEABLE, Facts
from node.replication.picking import Flags, Picks, ZoneColumn, pick
from node.replication.placement import Words
from node.replication.shortlist import NOBODY, Shortlist, SlotColumn
from node.replication.weighing import SAFE_COPIES, Level, Standing

STANDINGS: Final[tuple[Standing, ...]] = get_args(Standing)
CODE: Final[Mapping[Standing, int]] = {standing: code for code, standing in enumerate(STANDINGS)}

NOTHING, MISSING, SPREAD, MOVABLE, SURPLUS = range(5)
"""What a row may ask of somebody: a copy, one in another zone, one on its owner, or that one goes."""

UNKNOWN = 0xFF
"""The standing of a row that was not weighed."""

NEAR, ZONES, FAR = range(3)
"""What owners depend on: slots of the shortlist alone; which zones there are; any slot."""

NEAREST_PER_COPY = 2
"""Slots looked at first for each copy that is wanted: with ten zones they tell all owners but of three roots in 1,000."""

_BATCH = 1 << 14
_DEEP_BYTES = 1 << 24
"""Of the costs computed at once for roots whose shortlist does not tell."""

Small = npt.NDArray[np.int16]


@dataclass(slots=True)
class Answers:
    """What the rows come to, a column each; of shape (width, rows) where there are several slots.

    Attributes:
        standing: index into `STANDINGS`.
        todo: `NOTHING` … `SURPLUS`.
        held: copies on peers that are not gone.
        missing: copies to be made now; `pressing` where that is below `min` or the last live one.
        homeless: those of them that no store has room for.
        reach: which slots the owners depend on: `NEAR`, `ZONES` or `FAR`.
        last: place in the shortlist beyond which no slot matters to the owners; `EVERY` where all do.
        owners, lacking: as `Weighed` has them.
        stay: the counted slots that stay, in no order.
    """

    standing: npt.NDArray[np.uint8]
    todo: npt.NDArray[np.uint8]
    held: npt.NDArray[np.uint8]
    missing: npt.NDArray[np.uint16]
    pressing: Flags
    homeless: npt.NDArray[np.uint16]
    reach: npt.NDArray[np.uint8]
    last: npt.NDArray[np.uint8]
    owners: SlotColumn
    lacking: SlotColumn
    stay: SlotColumn

    @classmethod
    def empty(cls, width: int, rows: int) -> Self:
        """Answers for rows that are not there."""
        small = np.zeros((5, rows), dtype=np.uint8)
        small[0] = UNKNOWN
        more = np.zeros((2, rows), dtype=np.uint16)
        slots = np.full((3, width, rows), NOBODY, dtype=np.uint16)
        return cls(
            standing=small[0], todo=small[1], held=small[2], reach=small[3], last=small[4], missing=more[0], homeless=more[1],
            pressing=np.zeros(rows, dtype=np.bool_), owners=slots[0], lacking=slots[1], stay=slots[2],
        )  # fmt: skip

    def fitted(self, width: int, rows: int) -> "Answers":
        """The same answers with room for at least so much."""
        if len(self.standing) >= rows and len(self.owners) >= width:
            return self
        larger = Answers.empty(width, max(rows, len(self.standing)))
        larger.write(np.arange(len(self.standing)), self)
        return larger

    def clear(self, rows: Rows) -> None:
        """Know nothing of rows any more."""
        self.write(rows, Answers.empty(0, len(rows)))

    def write(self, rows: Rows, other: "Answers") -> None:
        """Take `other` over, the answers for `rows`."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine.ndim == 1:
                mine[rows] = theirs
            else:
                mine[: len(theirs), rows] = theirs
                mine[len(theirs) :, rows] = NOBODY


@dataclass(slots=True)
class _Counts:
    """A batch's copies by what they count for; `aside`: there are some that do not, although they are there."""

    level: npt.NDArray[np.uint8]
    slot: SlotColumn
    alive: Small
    suspect: Small
    away: Small
    safe: Small
    live: Small
    held: Small
    urgent: Flags
    scarce: Flags
    counted: Flags
    count: Small
    aside: Flags


def weigh_rows(facts: Facts, shortlist: Shortlist, board: Board, ranked: SlotColumn, rows: Rows) -> Answers:
    """Weigh rows of the board.

    Args:
        ranked: `shortlist`'s order of every row of the board.

    Returns: columns of slots may be narrower than the board.
    """
    if len(rows) <= _BATCH:
        return _Batch(facts, shortlist, board, ranked, rows).answers()
    answers = Answers.empty(board.width, len(rows))
    for start in range(0, len(rows), _BATCH):
        some = slice(start, start + _BATCH)
        batch = _Batch(facts, shortlist, board, ranked, rows[some])
        answers.write(np.arange(len(rows))[some], batch.answers())
    return answers


class _Batch:
    """Some rows, copied out of the board so that they lie together."""

    def __init__(self, facts: Facts, shortlist: Shortlist, board: Board, ranked: SlotColumn, rows: Rows) -> None:
        self.facts = facts
        self.shortlist = shortlist
        holders = board.holders.take(rows, axis=1)
        self.holders = holders[: max(1, int((holders != NOBODY).any(axis=1).sum()))]
        self.min: Small = board.min[rows].astype(np.int16)
        self.max: Small = board.max[rows].astype(np.int16)
        self.size_bytes = board.size_bytes[rows]
        self.ever_held = board.ever_held[rows]
        self.seed: Words = board.seed[rows]
        self.rows = rows
        self._ranked = ranked

    def answers(self) -> Answers:
        counts = self._count()
        cautious = counts.urgent | counts.scarce
        if self.facts.storm:
            cautious |= True
        missing = self._missing(counts)
        owners, reach, last = self._owners(counts, cautious)
        owned = _member(owners, counts)
        lacks = (owners != NOBODY) & ~owned
        lacking = self._lacking(owners, lacks, counts)
        lacking_count = _sum(lacks)
        at_rest = ~cautious & (missing == 0) & (counts.count == self.max) & (lacking_count > 0)
        surplus = ~cautious & (counts.count > self.max)
        todo = np.full(len(self.min), NOTHING, dtype=np.uint8)
        todo[surplus] = SURPLUS
        todo[at_rest] = MOVABLE
        todo[at_rest & self._spreads(lacking, counts)] = SPREAD
        todo[missing > 0] = MISSING
        return Answers(
            standing=self._standing(counts),
            todo=todo,
            held=counts.held.astype(np.uint8),
            missing=missing.astype(np.uint16),
            pressing=counts.urgent | counts.scarce,
            homeless=self._homeless(missing, lacking_count, owners),
            reach=reach,
            last=last,
            owners=owners,
            lacking=lacking,
            stay=self._stay(counts, owners, owned),
        )

    def _count(self) -> _Counts:
        level, slot = self.facts.level_of_peer.take(self.holders), self.facts.slot_of_peer.take(self.holders)
        aside: Flags = np.zeros(len(self.min), dtype=np.bool_)
        if not self.facts.all_count:
            out = ~self.facts.counts_of_peer.take(self.holders) & (self.max > 0) & (level > 0)
            level[out] = 0
            aside = np.logical_or.reduce(out, axis=0)
        if self.facts.shared:
            _keep_best(level, slot)
        alive, suspect, away, draining = (
            _sum(level == wanted) for wanted in (Level.ALIVE, Level.SUSPECT, Level.AWAY, Level.DRAINING)
        )
        safe = alive + away + draining
        urgent = safe < self.min
        live = safe - away + np.where(urgent, 0, suspect).astype(np.int16)
        held = safe + suspect
        scarce = (held > 0) & (live < np.minimum(SAFE_COPIES, self.max))
        if not self.facts.storm:
            scarce &= away > 0
        counted = (level == Level.ALIVE) | ((level == Level.AWAY) & ~scarce) | ((level == Level.SUSPECT) & ~urgent)
        return _Counts(
            level, slot, alive, suspect, away, safe, live, held, urgent, scarce, counted, _sum(counted), aside
        )  # fmt: skip

    def _missing(self, counts: _Counts) -> Small:
        counted = counts.count + np.where(counts.scarce, counts.away, 0).astype(np.int16)
        nowhere = (counted == 0) & (counts.live == 0)
        to_be_safe = np.maximum(np.minimum(SAFE_COPIES, self.max) - counts.live, 0)
        if self.facts.storm:
            return np.where(nowhere, 0, to_be_safe).astype(np.int16)
        short = np.maximum(self.max - counted, np.where(counts.away > 0, to_be_safe, 0))
        return np.where(nowhere, np.minimum(1, self.max), short).astype(np.int16)

    def _standing(self, counts: _Counts) -> npt.NDArray[np.uint8]:
        sure = counts.alive + np.where(counts.scarce, 0, counts.away)
        copies = np.where(counts.urgent, counts.safe, np.maximum(sure, np.minimum(counts.count, self.max)))
        codes = np.select(
            [self.max == 0, counts.held == 0, counts.urgent, copies < self.max, copies > self.max],
            [
                CODE["unwanted"],
                self._held_by_nobody(counts),
                CODE["below_min"],
                CODE["below_target"],
                CODE["above_target"],
            ],
            CODE["at_target"],
        )
        return codes.astype(np.uint8)

    def _held_by_nobody(self, counts: _Counts) -> npt.NDArray[np.intp]:
        codes: npt.NDArray[np.intp] = np.where(self.ever_held, CODE["lost"], CODE["sought"])
        codes[counts.aside] = CODE["below_min"]
        nowhere = np.flatnonzero(counts.held == 0)
        codes[nowhere[self.facts.is_elsewhere(self.rows[nowhere])]] = CODE["below_min"]
        return codes

    def _owners(
        self, counts: _Counts, cautious: Flags
    ) -> tuple[SlotColumn, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """The owners, and on which slots they depend: `Answers.reach` and `last`."""
        zone_count = len(self.facts.open_zones)
        nearest = self._ranked[: NEAREST_PER_COPY * int(self.max.max(initial=0))]
        found = self._picked(slice(None), nearest.take(self.rows, axis=1), counts, cautious, zone_count)
        owners, last, sure, leaning = found.slots, found.last, found.sure, found.leaning
        again = np.flatnonzero(~sure | leaning)
        if len(again):
            whole, ranked = self.shortlist.complete, self._ranked.take(self.rows[again], axis=1)
            found = self._picked(again, ranked, counts, cautious, None if whole else zone_count)
            owners[: len(found.slots), again] = found.slots
            last[again], sure[again], leaning[again] = found.last, found.sure, found.leaning
        reach = np.where(sure, np.where(leaning, ZONES, NEAR), FAR).astype(np.uint8)
        unsure = np.flatnonzero(~sure)
        batch = max(1, _DEEP_BYTES // (8 * max(1, len(self.shortlist.among))))
        for start in range(0, len(unsure), batch):
            rows = unsure[start : start + batch]
            slots = self._picked(rows, self.shortlist.rank_all(self.seed[rows]), counts, cautious, None).slots
            owners[: len(slots), rows] = slots
        return owners, reach, last

    def _picked(
        self, rows: Any, candidates: SlotColumn, counts: _Counts, cautious: Flags, zone_count: int | None
    ) -> Picks:
        flags = self.facts.flags.take(candidates)
        held = np.zeros(candidates.shape, dtype=np.bool_)
        for slots, counted in zip(counts.slot, counts.counted, strict=True):
            held |= (candidates == slots[rows]) & counted[rows]
        patient = ((flags & ALIVE) != 0) | ~cautious[rows]
        able = held | (patient & self.facts.has_room(candidates, self.size_bytes[rows]))
        able &= (flags & PLACEABLE) != 0
        zones = self.facts.zone_of.take(candidates)
        return pick(candidates, zones, able, self.max[rows].astype(np.int64), zone_count=zone_count)

    def _lacking(self, owners: SlotColumn, lacks: Flags, counts: _Counts) -> SlotColumn:
        lacking = np.full(owners.shape, NOBODY, dtype=np.uint16)
        rows = np.flatnonzero(lacks.any(axis=0))
        if len(rows):
            some, wanted = owners[:, rows], lacks[:, rows]
            zones = self.facts.zone_of.take(some)
            used = self._zone_use(zones, counts, rows)
            found = pick(some, zones, wanted, _sum(wanted).astype(np.int64), used=used).slots
            lacking[: len(found), rows] = found
        return lacking

    def _zone_use(self, zones: ZoneColumn, counts: _Counts, rows: Rows) -> npt.NDArray[np.uint16]:
        """How many counted copies are in the zones given."""
        used = np.zeros(zones.shape, dtype=np.uint16)
        for slots, counted in zip(counts.slot, counts.counted, strict=True):
            used += (self.facts.zone_of.take(slots[rows]) == zones) & counted[rows]
        return used

    def _spreads(self, lacking: SlotColumn, counts: _Counts) -> Flags:
        """`moves.spreader`: two copies share a zone and the first that lacks one is alive in a zone that has two fewer."""
        spreads = np.zeros(len(self.min), dtype=np.bool_)
        rows = np.flatnonzero(lacking[0] != NOBODY) if len(lacking) else np.zeros(0, dtype=np.intp)
        if len(rows):
            taker = lacking[0, rows]
            there = self._zone_use(self.facts.zone_of[taker][None, :], counts, rows)[0]
            zones = self.facts.zone_of[counts.slot[:, rows]]
            most = np.where(counts.counted[:, rows], self._zone_use(zones, counts, rows), 0).max(axis=0)
            spreads[rows] = (most >= there + 2) & ((self.facts.flags[taker] & ALIVE) != 0)
        return spreads

    def _homeless(self, missing: Small, lacking_count: Small, owners: SlotColumn) -> npt.NDArray[np.uint16]:
        """`planner`'s copies without room."""
        homeless = np.zeros(len(missing), dtype=np.uint16)
        rows = np.flatnonzero(missing > lacking_count)
        if len(rows):
            sizes_bytes = self.size_bytes[rows]
            some = owners[:, rows]
            owning = _sum((some != NOBODY) & ~self.facts.has_room(some, sizes_bytes))
            barred = self.facts.without_room(sizes_bytes) - owning
            homeless[rows] = np.minimum(missing[rows] - lacking_count[rows], barred)
        return homeless

    def _stay(self, counts: _Counts, owners: SlotColumn, owned: Flags) -> SlotColumn:
        stay = np.where(counts.counted, counts.slot, NOBODY).astype(np.uint16)
        rows = np.flatnonzero(counts.count > self.max)
        if len(rows):
            kept = self._kept(counts, owners, owned, rows)
            kept[np.arange(len(kept))[:, None] >= self.max[rows]] = NOBODY
            stay[:, rows] = NOBODY
            stay[: len(kept), rows] = kept
        return stay

    def _kept(self, counts: _Counts, owners: SlotColumn, owned: Flags, rows: Rows) -> SlotColumn:
        """`Weighed.kept`: counted owners in their order, then the other counted slots, zones first, by cost."""
        slot = np.where(counts.counted[:, rows], counts.slot[:, rows], NOBODY).astype(np.uint16)
        cost = self.shortlist.costs_of(self.seed[rows], slot)
        order = np.lexsort((slot, cost), axis=0)
        slot = np.take_along_axis(slot, order, axis=0)
        here = np.where(owned[:, rows], owners[:, rows], NOBODY).astype(np.uint16)
        is_here = np.zeros(slot.shape, dtype=np.bool_)
        for column in here:
            is_here |= (slot == column) & (column != NOBODY)
        others = (slot != NOBODY) & ~is_here
        zones = self.facts.zone_of[slot]
        used = np.zeros(slot.shape, dtype=np.uint16)
        for column in here:
            used += (self.facts.zone_of[column] == zones) & (column != NOBODY)
        found = pick(slot, zones, others, _sum(others).astype(np.int64), used=used).slots
        return _packed(np.concatenate([here, found]), len(slot))


def _packed(slots: SlotColumn, depth: int) -> SlotColumn:
    """Each column's slots moved to its front, at most `depth` of them."""
    order = np.argsort(slots == NOBODY, axis=0, kind="stable")
    packed: SlotColumn = np.take_along_axis(slots, order, axis=0)[:depth]
    return packed


def _member(owners: SlotColumn, counts: _Counts) -> Flags:
    found = np.zeros(owners.shape, dtype=np.bool_)
    for slots, counted in zip(counts.slot, counts.counted, strict=True):
        found |= (owners == slots) & counted
    return found


def _sum(flags: Flags) -> Small:
    """How many are set in each column; there are at most `board.WIDEST`."""
    total: npt.NDArray[np.uint8] = np.add.reduce(flags.view(np.uint8), axis=0, dtype=np.uint8)
    return total.astype(np.int16)


def _keep_best(level: npt.NDArray[np.uint8], slot: SlotColumn) -> None:
    """Of holders that share a store, only the most alive stays."""
    for first in range(len(slot)):
        for second in range(first + 1, len(slot)):
            same = (slot[first] == slot[second]) & (level[first] > 0) & (level[second] > 0)
            worse = level[first] < level[second]
            level[first][same & worse] = 0
            level[second][same & ~worse] = 0
