"""Which rows of a desk call upon this peer: all that the reference planner would act on, and few that it would not.

`planner` then decides on these rows one by one; they are found in columns because nearly all roots ask nothing of
anybody.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.replication.board import Rows
from node.replication.columns import MISSING, MOVABLE, SPREAD, SURPLUS
from node.replication.desk import Desk
from node.replication.links import reachable
from node.replication.moves import Balance
from node.replication.picking import Flags
from node.replication.planner import Urgency
from node.replication.shortlist import NOBODY, SlotColumn
from node.replication.view import RootKey, SwarmView
from node.replication.weighing import Level, Roster


@dataclass(slots=True)
class Calls:
    """Rows that call, most urgent first and the rarest of them first.

    Attributes:
        fetches: rows where a copy may have to be made here.
        releases: rows whose copy here may be let go.
        sought: those of `fetches` that nobody who could be asked is known to have.
    """

    fetches: Rows
    releases: Rows
    sought: Rows

    def chosen(self, desk: Desk, limit: int | None, work: "UnderWay", turn: int = 0) -> Rows:
        """All rows, or at most `limit` fetches and `limit` releases beside those begun, and none that has to wait.

        Args:
            turn: of releases it is others with each turn: many may call and cannot go, for want of holders to ask.
        """
        if limit is None:
            return np.concatenate([self.fetches, self.releases])
        begun = _rows_of(desk, work.begun)
        in_vain = _rows_of(desk, work.in_vain)
        waiting = np.concatenate([_rows_of(desk, work.waiting), in_vain[np.isin(in_vain, self.sought)]])
        parts = []
        for rows in (self.fetches, self.releases):
            is_begun = np.isin(rows, begun)
            rest = rows[~is_begun & ~np.isin(rows, waiting)]
            if rows is self.releases and len(rest) > limit:
                rest = np.roll(rest, -limit * turn)
            parts += [rows[is_begun], rest[:limit]]
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """What is being done, for a plan that has only so many actions.

    Attributes:
        begun: planned again beyond the limit while it is called for.
        waiting: what failed and may not be tried yet.
        in_vain: the same, of what nobody had: it waits only while that is so.
    """

    begun: AbstractSet[RootKey] = frozenset()
    waiting: AbstractSet[RootKey] = frozenset()
    in_vain: AbstractSet[RootKey] = frozenset()


def calls(desk: Desk, view: SwarmView, balance: Balance) -> Calls:
    """Find the rows that call upon this peer."""
    roster = desk.roster
    assert roster is not None
    nothing = np.zeros(0, dtype=np.intp)
    if roster.mine is None:
        return Calls(nothing, nothing, nothing)
    mine = roster.mine
    fetches = sought = nothing
    if roster.speaker(mine) == view.me:
        missing = np.flatnonzero(desk.answers.todo == MISSING)
        missing = missing[_is_fetcher(desk, missing, mine) | _may_bridge(desk, view, roster, missing, mine)]
        spreads = np.flatnonzero(desk.answers.todo == SPREAD)
        spreads = spreads[desk.answers.lacking[0, spreads] == mine]
        moves = _moves(desk, roster, balance, mine)
        fetches = np.concatenate([missing, spreads, moves])
        urgency, moving = _urgency(desk, view, missing), np.full(len(spreads) + len(moves), Urgency.REBALANCE)
        moving[: len(spreads)] = Urgency.SPREAD
        rank = np.concatenate([urgency, moving]) << 8 | desk.answers.held[fetches]
        fetches = fetches[np.argsort(rank, kind="stable")]
        sought = missing[urgency == Urgency.SEEK]
    return Calls(fetches, _surplus(desk, view.me, mine), sought)


def _is_fetcher(desk: Desk, rows: Rows, mine: int) -> Flags:
    lacking = desk.answers.lacking[:, rows]
    turn = np.arange(len(lacking))[:, None] < desk.answers.missing[rows]
    found: Flags = ((lacking == mine) & turn).any(axis=0)
    return found


def _may_bridge(desk: Desk, view: SwarmView, roster: Roster, rows: Rows, mine: int) -> Flags:
    """Rows whose living fetchers have no link to any holder, and that this peer does not hold."""
    none = np.zeros(len(rows), dtype=np.bool_)
    assert desk.facts is not None
    if not len(rows) or all(peer.connected is None for peer in view.peers.values()):
        return none
    if roster.slot_levels[mine] != Level.ALIVE or not roster.placeable[mine]:
        return none
    links = _link_table(view, roster)
    holders = desk.board.holders[:, rows]
    level = np.where(desk.facts.counts_of_peer[holders], desk.facts.level_of_peer[holders], 0)
    slots = np.where(level >= Level.SUSPECT, desk.facts.slot_of_peer[holders], NOBODY)
    lacking = desk.answers.lacking[:, rows]
    alive = np.zeros(NOBODY + 1, dtype=np.bool_)
    alive[: len(roster.slots)] = [level == Level.ALIVE for level in roster.slot_levels]
    turn = np.arange(len(lacking))[:, None] < desk.answers.missing[rows]
    fetchers = np.where(turn & alive[lacking], lacking, NOBODY)
    reached, waiting = none.copy(), (fetchers != NOBODY).any(axis=0)
    for holder in slots:
        for fetcher in fetchers:
            both = (holder != NOBODY) & (fetcher != NOBODY)
            reached |= both & links[np.where(both, holder, 0), np.where(both, fetcher, 0)]
    here: Flags = ((desk.facts.slot_of_peer[holders] == mine) & (level > 0)).any(axis=0)
    bridges: Flags = waiting & ~reached & ~here
    return bridges


def _link_table(view: SwarmView, roster: Roster) -> npt.NDArray[np.bool_]:
    """Whether the peers that act for two slots say that they have a link, slot by slot."""
    speakers = [roster.speaker(slot) for slot in range(len(roster.slots))]
    place = {peer: slot for slot, peer in enumerate(speakers)}
    says = np.zeros((len(speakers), len(speakers)), dtype=np.bool_)
    for row, peer in zip(says, speakers, strict=True):
        connected = view.peers[peer].connected
        if connected is None:
            row[:] = True
        else:
            row[[place[other] for other in connected if other in place]] = True
    return says & says.T


def _moves(desk: Desk, roster: Roster, balance: Balance, mine: int) -> Rows:
    """Rows at rest that this peer is named for, where a store is far enough off its share."""
    rows = np.flatnonzero(desk.answers.todo == MOVABLE)
    rows = _lacking_here(desk, rows, mine)
    names = [(desk.board.kind, slot.slot_id) for slot in roster.slots]
    if not len(rows) or balance.under(names[mine]):
        return rows
    over = np.zeros(NOBODY + 1, dtype=np.bool_)
    over[: len(names)] = [balance.over(name) for name in names]
    off: Rows = rows[over[desk.answers.stay[:, rows]].any(axis=0)]
    return off


def _lacking_here(desk: Desk, rows: Rows, mine: int) -> Rows:
    found: Rows = rows[(desk.answers.lacking[:, rows] == mine).any(axis=0)]
    return found


def _urgency(desk: Desk, view: SwarmView, rows: Rows) -> npt.NDArray[np.int64]:
    """`Urgency` of rows with a copy missing; the reference says so again, this is to put them in order."""
    me = view.peers[view.me]
    useful = {peer_id: 1 for peer_id, peer in view.peers.items() if peer_id != view.me and reachable(me, peer)}
    table = desk.board.by_number(useful, 0, np.bool_)
    found = table[desk.board.holders[:, rows]].any(axis=0) | desk.board.has_elsewhere[rows]
    sought = (desk.answers.held[rows] == 0) & ~found
    codes = np.where(desk.answers.pressing[rows], Urgency.REPAIR, Urgency.TOP_UP)
    return np.where(sought, Urgency.SEEK, codes).astype(np.int64)


def _surplus(desk: Desk, me: str, mine: int) -> Rows:
    rows = np.flatnonzero(desk.answers.todo == SURPLUS)
    holders: SlotColumn = desk.board.holders[:, rows]
    held = (holders == desk.board.number_of(me)).any(axis=0) & desk.board.may_go[rows]
    found: Rows = rows[held & ~(desk.answers.stay[:, rows] == mine).any(axis=0)]
    return found


def _rows_of(desk: Desk, keys: AbstractSet[RootKey]) -> Rows:
    found = [desk.board.row_of.get(key.root, -1) for key in keys if key.kind == desk.board.kind]
    return np.array(found, dtype=np.intp)
