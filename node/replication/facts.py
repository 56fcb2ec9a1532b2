"""A roster in tables that numbers index: what `columns` knows of slots and peers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from node.replication.board import Board
from node.replication.picking import Flags, ZoneColumn
from node.replication.shortlist import NOBODY, SlotColumn
from node.replication.view import FULL_AT_PERCENT, SwarmView
from node.replication.weighing import Level, Roster

PLACEABLE, ALIVE, ROOMY = 1, 2, 4
"""Bits of `Facts.flags`."""


class Facts:
    """A roster in tables that slot and peer numbers index.

    Attributes:
        level_of_peer, slot_of_peer: by the board's peer numbers; level 0 where the peer has no slot or is gone.
        counts_of_peer: the same, whether its copies count where one is wanted; `all_count`: of every peer they do.
        flags, zone_of, limit_bytes: by slot; the largest root that a slot is ever given.
        open_zones: those of slots that may own something.
        shared: whether two peers stand behind one store.
    """

    def __init__(self, roster: Roster, board: Board) -> None:
        self.storm = roster.view.mass_loss
        self._roster = roster
        self._board = board
        levels = {peer: int(roster.levels[peer]) for peer in roster.slot_of}
        self.level_of_peer = board.by_number(levels, 0, np.uint8)
        self.counts_of_peer: Flags = board.by_number(dict.fromkeys(roster.counting, 1), 0, np.bool_)
        self.all_count = len(roster.counting) == len(roster.slot_of)
        self.slot_of_peer: SlotColumn = board.by_number(roster.slot_of, NOBODY, np.uint16)
        self.shared = any(len(slot.peers) > 1 for slot in roster.slots)
        self._slot_count = count = len(roster.slots)
        self._peer_count = len(board.peers)
        self.flags = np.zeros(NOBODY + 1, dtype=np.uint8)
        self.zone_of: ZoneColumn = np.full(NOBODY + 1, NOBODY, dtype=np.uint16)
        self.limit_bytes = np.zeros(NOBODY + 1, dtype=np.int64)
        self.zone_of[:count] = zone_numbers(roster.zones)
        self.flags[:count] = [
            PLACEABLE * placeable | ALIVE * (level == Level.ALIVE) | ROOMY * (not full)
            for placeable, level, full in zip(roster.placeable, roster.slot_levels, roster.full, strict=True)
        ]
        most = np.iinfo(np.int64).max
        limits = [min(slot.capacity_bytes * FULL_AT_PERCENT // 100, most) for slot in roster.slots]
        self.limit_bytes[:count] = limits
        self.placeable = np.flatnonzero(self.flags[:count] & PLACEABLE)
        self.open_zones = frozenset(roster.zones[slot] for slot in self.placeable)
        roomy = [limits[slot] for slot in self.placeable if self.flags[slot] & ROOMY]
        self._roomy_limits = np.sort(np.array(roomy, dtype=np.int64))
        self.least_limit_bytes = int(self._roomy_limits[0]) if roomy else 0

    def stand(self, roster: Roster, view: SwarmView) -> bool:
        """Whether these hold for a view too that says of all peers what `roster` was made of."""
        same = (roster.view.me, roster.view.mass_loss, self._peer_count)
        return same == (view.me, view.mass_loss, len(self._board.peers))

    def has_room(self, slots: SlotColumn, sizes_bytes: npt.NDArray[np.int64]) -> Flags:
        """`Roster.has_room` for each root and slot."""
        roomy: Flags = (self.flags.take(slots) & ROOMY) != 0
        if sizes_bytes.max(initial=0) > self.least_limit_bytes:
            roomy &= sizes_bytes <= self.limit_bytes.take(slots)
        return roomy

    def is_elsewhere(self, rows: npt.NDArray[np.intp]) -> Flags:
        """`Roster.is_elsewhere` for rows of the board."""
        found = np.zeros(len(rows), dtype=np.bool_)
        for place in np.flatnonzero(self._board.has_elsewhere[rows]).tolist():
            found[place] = self._roster.is_elsewhere(self._board.elsewhere_of(int(rows[place])))
        return found

    def without_room(self, sizes_bytes: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """How many placeable slots have no room for roots of these sizes."""
        roomy = len(self._roomy_limits) - np.searchsorted(self._roomy_limits, sizes_bytes, side="left")
        return len(self.placeable) - roomy

    def moved(self, before: "Facts") -> tuple[Flags, Flags]:
        """The slots, and the peers, of which something else holds than before; the slots must be the same."""
        slots, peers = np.zeros((2, NOBODY + 1), dtype=np.bool_)
        some = slice(self._slot_count)
        zones = self.zone_of[some] != before.zone_of[some]
        slots[some] = (self.flags[some] != before.flags[some]) | zones
        slots[some] |= self.limit_bytes[some] != before.limit_bytes[some]
        some = slice(self._peer_count)
        peers[some] = self.level_of_peer[some] != before.level_of_peer[some]
        peers[some] |= self.counts_of_peer[some] != before.counts_of_peer[some]
        peers[some] |= self.slot_of_peer[some] != before.slot_of_peer[some]
        if zones.any():
            peers[some] |= np.isin(self.slot_of_peer[some], np.flatnonzero(zones))
        return slots, peers

    def equals(self, before: "Facts") -> bool:
        """Whether every root is weighed as before."""
        return self.storm == before.storm and not any(flags.any() for flags in self.moved(before))


def zone_numbers(zones: Sequence[str]) -> list[int]:
    """A number for each zone, the same for the same one."""
    number_of = {zone: number for number, zone in enumerate(dict.fromkeys(zones))}
    return [number_of[zone] for zone in zones]
