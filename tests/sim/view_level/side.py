"""Peers that see alike: what they believe of all peers and images, the planner on it, and what it has each of them do."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from node.replication.board import Rows
from node.replication.calling import calls
from node.replication.columns import MISSING, MOVABLE, SPREAD, SURPLUS
from node.replication.desk import Desk
from node.replication.placement import Slot
from node.replication.planner import Fetch, Urgency, act
from node.replication.shortlist import NOBODY
from node.replication.storm import StormGuard
from node.replication.view import PeerState, PeerView, SwarmView
from node.replication.weighing import Level, Roster, weigh

KIND = "ipfs"
SUSPECT_AFTER_S = 15.0
REPAIR_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class Facts:
    """A peer as it says of itself."""

    name: str
    zone: str
    capacity_bytes: int


class Fetches(NamedTuple):
    """Copies to make: the peer that makes each, the image, and how urgent it is."""

    peers: Rows
    images: Rows
    urgency: npt.NDArray[np.int64]


class Releases(NamedTuple):
    """Copies that are surplus, and the peers whose leases each takes: of shape (factor, releases)."""

    peers: Rows
    images: Rows
    ask: npt.NDArray[np.intp]


class Side:
    """One view, shared by the peers on this side of a split, or by all.

    Attributes:
        believed: by peer and image, what the side knows that the peer claims.
        states: of the peers that ever were members, by number.
        stale: something is believed that was not looked at.
    """

    def __init__(self, desk: Desk, believed: npt.NDArray[np.bool_]) -> None:
        self.desk = desk
        self.believed = believed
        self.states: dict[int, PeerState] = {}
        self.facts: dict[int, Facts] = {}
        self.guard = StormGuard()
        self.mass_loss = False
        self.stale = True
        self._moving: Rows = np.zeros(0, dtype=np.intp)  # rebalances under way: peer * images + image
        self._seen: dict[int, PeerView] = {}
        self._watched_s = 0.0
        self._slots: tuple[Slot, ...] = ()
        self._of_slot: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def split_off(self) -> Side:
        """The same beliefs, to go on by themselves."""
        other = Side(deepcopy(self.desk), self.believed.copy())
        other.states, other.facts, other.guard = dict(self.states), dict(self.facts), deepcopy(self.guard)
        other._watched_s = self._watched_s
        return other

    # -- what it hears ------------------------------------------------------------------------------------------

    def hear(self, peers: Rows, images: Rows, *, held: bool) -> None:
        """Holdings of peers changed, each by one image."""
        new = self.believed[peers, images] != held
        peers, images = peers[new], images[new]
        while len(images):  # an image of several peers takes as many turns
            _, first = np.unique(images, return_index=True)
            self._write(peers[first], images[first], held=held)
            rest = np.ones(len(images), dtype=np.bool_)
            rest[first] = False
            peers, images = peers[rest], images[rest]

    def _write(self, peers: Rows, images: Rows, *, held: bool) -> None:
        self.believed[peers, images] = held
        board = self.desk.board
        holders = board.holders[:, images]
        count = np.count_nonzero(holders != NOBODY, axis=0)
        if held:
            if int(count.max()) >= board.width:
                board.widen(board.width + 1)
            board.holders[count, images] = peers
        else:
            at = (holders == peers).argmax(axis=0)
            board.holders[at, images] = board.holders[count - 1, images]
            board.holders[count - 1, images] = NOBODY
        board.changed[images] = True
        self.stale = True

    def hear_all(self, peer: int, claims: npt.NDArray[np.bool_]) -> None:
        """A peer that was silent is heard again, with its set as it is now."""
        moved = np.flatnonzero(self.believed[peer] != claims)
        for held in (True, False):
            images = moved[claims[moved] == held]
            self.hear(np.full(len(images), peer), images, held=held)

    def give_up(self, images: Rows) -> None:
        """Lost images are pinned no more: looking for them for ever is nothing to simulate."""
        self.desk.board.min[images] = self.desk.board.max[images] = 0
        self.desk.board.changed[images] = True
        self.stale = True

    def judge(self, peer: int, state: PeerState) -> None:
        """A peer is seen in this state now."""
        self.stale |= self.states.get(peer) != state
        self.states[peer] = state

    # -- the plan -----------------------------------------------------------------------------------------------

    def view(self, used_bytes: npt.NDArray[np.int64]) -> SwarmView:
        """The peers as this side sees them."""
        peers = {one.peer_id: replace(one, used_bytes=int(used_bytes[number])) for number, one in self._peers().items()}
        return SwarmView(me=next(iter(peers)), peers=peers, roots={}, mass_loss=self.mass_loss)

    def _peers(self) -> dict[int, PeerView]:
        """All peers; what they use is left out, for only moves look at it."""
        for number, facts in self.facts.items():
            known, state = self._seen.get(number), self.states[number]
            if known is None or known.state != state:
                self._seen[number] = PeerView(
                    peer_id=facts.name, zone=facts.zone, state=state, capacity_bytes=facts.capacity_bytes
                )
        return self._seen

    def look(self, now_s: float) -> None:
        """Plan on what changed."""
        if not self.stale:
            return
        self.stale = False
        self._watch(now_s)
        peers = {one.peer_id: one for one in self._peers().values()}
        self.desk.look(SwarmView(me=next(iter(peers)), peers=peers, roots={}, mass_loss=self.mass_loss))
        assert self.desk.roster is not None
        if self.desk.roster.slots is self._slots:
            return
        self._slots = slots = self.desk.roster.slots
        number_of = {facts.name: number for number, facts in self.facts.items()}
        self._of_slot = np.full(NOBODY + 1, -1, dtype=np.intp)
        self._of_slot[: len(slots)] = [number_of[slot.slot_id] for slot in slots]

    def _watch(self, now_s: float) -> None:
        """Have the storm guard look, every hour or where a quarter of the peers is missing."""
        missing = sum(state in ("suspect", "down") for state in self.states.values())
        if now_s >= self._watched_s + 3600 or 4 * missing > len(self.states) or self.mass_loss:
            self._watched_s = now_s
            present = [(facts.name, self.states[number], facts.capacity_bytes) for number, facts in self.facts.items()]
            self.mass_loss = self.guard.look(present, int(now_s * 1000)).is_mass_loss

    def fetches(self, acting: npt.NDArray[np.bool_]) -> Fetches:
        """What the peers that act are to fetch."""
        answers = self.desk.answers
        missing = np.flatnonzero(answers.todo == MISSING)
        lacking = answers.lacking[:, missing]
        parts = []
        for turn in range(int(answers.missing[missing].max(initial=0))):
            called = (answers.missing[missing] > turn) & (lacking[turn] != NOBODY)
            urgency = np.where(answers.pressing[missing[called]], Urgency.REPAIR, Urgency.TOP_UP)
            parts.append((self._of_slot[lacking[turn, called]], missing[called], urgency))
        spreads = np.flatnonzero(answers.todo == SPREAD)
        parts.append((self._of_slot[answers.lacking[0, spreads]], spreads, np.full(len(spreads), Urgency.SPREAD)))
        parts.append(self._moves_under_way())
        peers, images, urgency = (np.concatenate(column) for column in zip(*parts, strict=True))
        able = acting[peers]
        return Fetches(peers[able], images[able], urgency[able].astype(np.int64))

    def releases(self, acting: npt.NDArray[np.bool_]) -> Releases:
        """The surplus copies of peers that act, where everybody to ask is believed alive.

        A release that would have to ask others than the first `max` waits until those are back.
        """
        assert self.desk.facts is not None
        answers, board = self.desk.answers, self.desk.board
        rows = np.flatnonzero((answers.todo == SURPLUS) & (board.max > 0))
        most = int(board.max[rows].max(initial=0))
        stay = answers.stay[:most, rows]  # of surplus ones so many stay, and they come first
        holders = board.holders[:, rows]
        level = self.desk.facts.level_of_peer[holders]
        surplus = level == Level.ALIVE
        staying = self._of_slot[stay]
        for one in staying.astype(holders.dtype):
            surplus &= holders != one
        levels = np.zeros(len(acting) + 1, dtype=np.uint8)
        levels[[*self.facts]] = [4 if self.states[number] == "alive" else 0 for number in self.facts]
        ready = np.ones(len(rows), dtype=np.bool_)
        for column, one in zip(stay, staying, strict=True):
            ready &= (column == NOBODY) | (levels[one] == Level.ALIVE)
        at, which = np.nonzero(surplus & ready)
        peers = holders[at, which].astype(np.intp)
        act_now = acting[peers]
        which = which[act_now]
        return Releases(peers[act_now], rows[which], staying[:, which])

    def plan_moves(self, used_bytes: npt.NDArray[np.int64], budget_bytes: int, acting: npt.NDArray[np.bool_]) -> None:
        """Have peers that hold too little of what they are named for begin to fetch it, by the reference planner."""
        desk, view, balance = self.desk, self.view(used_bytes), self.desk.balance()
        if desk.roster is None or not np.any(desk.answers.todo == MOVABLE):
            return
        names = {(KIND, facts.name): number for number, facts in self.facts.items()}
        under = {number for name, number in names.items() if balance.under(name)}
        over = any(balance.over(name) for name in names)
        for number in np.flatnonzero(acting).tolist() if over else sorted(under):
            if not acting[number]:
                continue
            me = replace(view, me=self.facts[number].name, moves_left_bytes=budget_bytes)
            desk.roster = roster = Roster(me, KIND, desk.roster.ranking)
            called = calls(desk, me, balance)
            rows = called.fetches[desk.answers.todo[called.fetches] == MOVABLE]
            if not len(rows):
                continue
            ahead_bytes = np.cumsum(desk.board.size_bytes[rows])  # nearly all that call are moved, up to the budget
            rows = rows[: 1 + np.searchsorted(ahead_bytes, 1.25 * budget_bytes)]
            views = [desk.board.view(row) for row in rows.tolist()]
            roster.ranking.learn(one.root for one in views)
            weighed = [weigh(roster, one) for one in views]
            planned = act(me, {KIND: roster}, weighed, balance.copy())
            roster.ranking.keep_only(())
            images = [desk.board.row_of[a.root] for a in planned.actions if isinstance(a, Fetch)]
            codes = number * self.believed.shape[1] + np.array(images, dtype=np.intp)
            self._moving = np.union1d(self._moving, codes)

    def _moves_under_way(self) -> tuple[Rows, Rows, npt.NDArray[np.int64]]:
        peers, images = np.divmod(self._moving, self.believed.shape[1])
        lacks = (self._of_slot[self.desk.answers.lacking[:, images]] == peers).any(axis=0)
        still = lacks & (self.desk.answers.todo[images] == MOVABLE)
        self._moving = self._moving[still]
        return peers[still], images[still], np.full(int(still.sum()), int(Urgency.REBALANCE))
