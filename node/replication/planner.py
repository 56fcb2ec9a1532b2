"""Decide which copies this peer should fetch and which it should let go.

Pure: no clock, no randomness, no I/O. `controller` feeds it views, `executor` carries out what it returns, `status`
and `--dry-run` read the same values, and tests/sim runs a swarm of it in one process.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from node.quantities import plural
from node.replication.links import bridge, keepers_instead, lessors, sources
from node.replication.moves import BAND_PERCENT, Balance, at_rest, balance_of, mover, spreader, store_key
from node.replication.placement import Ranking
from node.replication.view import ROOM_AGAIN_PERCENT, RootKey, RootView, SwarmView
from node.replication.weighing import Roster, Standing, Weighed, barred, weigh


class Urgency(IntEnum):
    """Why a fetch is wanted; the lower, the sooner."""

    REPAIR = 0
    TOP_UP = 1
    SEEK = 2
    SPREAD = 3
    REBALANCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Make a copy here. A fetch that runs and is no longer planned is to be cancelled.

    Attributes:
        sources: whom to ask, best first; empty where nobody is known to have it and only the pin's own sources, or
            strangers on IPFS, are left to try.
        copies: replicas that there are now.
        size_bytes: 0 while unknown; whoever fetches counts real bytes.
    """

    root: bytes
    kind: str
    sources: tuple[str, ...]
    reason: str
    urgency: Urgency
    copies: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Let the copy here go, once every peer of `ask` has leased its own.

    Attributes:
        ask: as many peers as the root's `max`, one a store; empty only where no live pin wants the root.
        max: the factor that the asked owners are told.
        kept_on: the kind on which they keep the root: `kind`, or the one that the root has moved to.
    """

    root: bytes
    kind: str
    ask: tuple[str, ...]
    max: int
    reason: str
    kept_on: str


Action = Fetch | Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pass found.

    Attributes:
        actions: rarest first, releases last; at most one a root.
        standing_of: how each root that was planned stands.
        standings: how many of them stand how; (root, kind) pairs, unwanted ones included.
        no_room: key -> copies that no store has room for (invariant 5).
        no_room_copies, no_room_bytes: all of these together.
        no_eligible: roots whose kind no keeper offers.
        crowded_out: a wanted root does not fit here: this peer is to declare itself full (`view.says_full`).
        moves_put_off: a copy would move, had this peer not fetched so much for moves lately (`SwarmView.moves_left_bytes`).
        balance: shares and holdings of every store, for later passes over a few roots; None without a full pass.
    """

    actions: tuple[Action, ...] = ()
    standing_of: Mapping[RootKey, Standing] = field(default_factory=dict)
    standings: Mapping[Standing, int] = field(default_factory=dict)
    no_room: Mapping[RootKey, int] = field(default_factory=dict)
    no_room_copies: int = 0
    no_room_bytes: int = 0
    no_eligible: frozenset[RootKey] = frozenset()
    crowded_out: bool = False
    moves_put_off: bool = False
    balance: Balance | None = None


def plan(view: SwarmView, roots: Iterable[RootKey] | None = None) -> tuple[Action, ...]:
    """`Planner.survey`'s actions, for those who keep nothing between plans."""
    return Planner().survey(view, roots).actions


class Planner:
    """Plans view after view. It keeps rankings, which are functions of the peers alone: equal views, equal plans."""

    def __init__(self) -> None:
        self._rankings: dict[str, Ranking] = {}

    def survey(
        self, view: SwarmView, roots: Iterable[RootKey] | None = None, *, balance: Balance | None = None
    ) -> Plan:
        """Weigh roots and plan this peer's next actions.

        Equal views give equal owners, so planning needs no messages. Peers that disagree may plan a copy too many;
        none too few is left, because `executor` needs leases before it carries out a `Release` (DESIGN §7).

        Args:
            roots: the keys to plan, all of the view's by default; keys that the view does not have are passed over.
            balance: of the last full pass, so that a pass over some roots can plan rebalances; without it it plans none.

        Returns: a plan without actions where the view says that planning is blocked.
        Source:
            Highest-random-weight ("rendezvous") hashing: Thaler & Ravishankar, 1996.
            Who fetches and who releases: DESIGN §7; docs/placement.md.
        """
        keys = view.roots if roots is None else dict.fromkeys(roots)
        wanted = [view.roots[key] for key in keys if key in view.roots]
        rosters = self.rosters(view, kinds_of(wanted))
        for kind, roster in rosters.items():
            roster.ranking.learn(root.root for root in wanted if root.kind == kind)
            if roots is None:
                roster.ranking.keep_only(root.root for root in wanted if root.kind == kind)
        weighed = [weigh(rosters[root.kind], root) for root in wanted]
        if roots is None:
            balance = balance_of(rosters, weighed)
        no_room = {one.root.key: copies for one in weighed if (copies := without_room(rosters[one.root.kind], one))}
        homeless = [kind for kind, roster in rosters.items() if not any(roster.placeable)]
        acts = act(view, rosters, weighed, balance.copy() if balance else None)
        return Plan(
            actions=acts.actions,
            standing_of={one.root.key: one.standing for one in weighed},
            standings=Counter(one.standing for one in weighed),
            no_room=no_room,
            no_room_copies=sum(no_room.values()),
            no_room_bytes=sum(copies * view.roots[key].size_bytes for key, copies in no_room.items()),
            no_eligible=frozenset(root.key for root in wanted if root.kind in homeless and root.max),
            crowded_out=acts.crowded_out,
            moves_put_off=acts.moves_put_off,
            balance=balance,
        )

    def rosters(self, view: SwarmView, kinds: Iterable[str]) -> dict[str, Roster]:
        """A roster for each kind, with the ranking of the last plan where the peers are still the same."""
        made = {kind: Roster(view, kind, self._rankings.get(kind)) for kind in kinds}
        self._rankings |= {kind: roster.ranking for kind, roster in made.items()}
        return made


def kinds_of(roots: Iterable[RootView]) -> set[str]:
    """The kinds that a plan of these roots looks at."""
    return {view.kind for root in roots for view in (root, *root.instead)}


class Acts(NamedTuple):
    """This peer's actions, and the flags of the same names in `Plan`."""

    actions: tuple[Action, ...] = ()
    crowded_out: bool = False
    moves_put_off: bool = False


def act(view: SwarmView, rosters: Mapping[str, Roster], weighed: Iterable[Weighed], balance: Balance | None) -> Acts:
    """Decide what this peer does about roots that were weighed.

    Args:
        balance: it is changed, move by move.
    """
    if view.planning_blocked or view.peers[view.me].state != "alive":
        return Acts()
    weighed = list(weighed)
    chosen: dict[bytes, tuple[tuple[int, int, bytes], Weighed]] = {}
    for one in weighed:
        urgency = _call(rosters[one.root.kind], one, may_move=balance is not None)
        if urgency is not None:
            rank = (int(urgency), len(one.held), one.root.root)
            if one.root.root not in chosen or rank < chosen[one.root.root][0]:
                chosen[one.root.root] = rank, one
    room = _Room(view)
    fetches: list[Action] = []
    for rank, one in sorted(chosen.values(), key=lambda pair: pair[0]):
        urgency = Urgency(rank[0])
        if room.takes(rosters[one.root.kind], one, urgency, balance):
            fetches.append(_fetch(rosters[one.root.kind], one, urgency))
    releases = [
        release for one in weighed if one.root.root not in chosen and (release := _release(rosters, one)) is not None
    ]
    first_of = {release.root: release for release in reversed(releases)}
    return Acts((*fetches, *(first_of[root] for root in sorted(first_of))), room.crowded_out, room.moves_put_off)


def _call(roster: Roster, one: Weighed, *, may_move: bool) -> Urgency | None:
    """Whether this peer is called upon to fetch the root, and how urgently; a rebalance is not yet decided."""
    mine = roster.mine
    if mine is None or mine in one.counted or roster.speaker(mine) != roster.view.me:
        return None
    if one.missing:
        if mine not in one.fetchers and bridge(roster, one) != mine:
            return None
        if not one.held and not sources(roster, one.root):
            return Urgency.SEEK
        return Urgency.REPAIR if one.urgent or one.scarce else Urgency.TOP_UP
    if mine not in one.lacking or not at_rest(one):
        return None
    if (slot := spreader(roster, one)) is not None:
        return Urgency.SPREAD if slot == mine else None
    return Urgency.REBALANCE if may_move else None


class _Room:
    """The bytes that fetches of this pass may still take here."""

    def __init__(self, view: SwarmView) -> None:
        self._me = view.peers[view.me]
        self._used_bytes = self._me.used_bytes
        self._moves_left_bytes = view.moves_left_bytes
        self._moving = view.moving
        self.crowded_out = self.moves_put_off = False

    def takes(self, roster: Roster, one: Weighed, urgency: Urgency, balance: Balance | None) -> bool:
        """Whether the fetch is planned; if so its bytes are taken."""
        after_bytes = self._used_bytes + one.root.size_bytes
        if urgency == Urgency.REBALANCE:
            if after_bytes * 100 > self._me.capacity_bytes * ROOM_AGAIN_PERCENT:
                return False
            if balance is None or not _takes_over(roster, one, balance):
                return False
        elif after_bytes > self._me.capacity_bytes:
            self.crowded_out |= urgency < Urgency.SPREAD
            return False
        if urgency >= Urgency.SPREAD and not self._may_move(one):
            return False
        self._used_bytes = after_bytes
        return True

    def _may_move(self, one: Weighed) -> bool:
        """Whether a move may begin or go on; the last one may overdraw, or nothing large would ever move."""
        if self._moves_left_bytes is None or one.root.key in self._moving:
            return True
        if self._moves_left_bytes <= 0:
            self.moves_put_off = True
            return False
        self._moves_left_bytes -= one.root.size_bytes
        return True


def _takes_over(roster: Roster, one: Weighed, balance: Balance) -> bool:
    move = mover(roster, one, balance)
    if move is None:
        return False
    taker, relieved = move
    balance.move(one.root.size_bytes, store_key(roster, one, relieved), store_key(roster, one, taker))
    return taker == roster.mine


def without_room(roster: Roster, one: Weighed) -> int:
    """Copies that are missing because keepers enough are there but too few of them have room."""
    short = one.missing - len(one.fetchers)
    if short <= 0:
        return 0
    return min(short, len(barred(roster, one)))


def _fetch(roster: Roster, one: Weighed, urgency: Urgency) -> Fetch:
    root = one.root
    return Fetch(
        root=root.root,
        kind=root.kind,
        sources=sources(roster, root),
        reason=_why_fetch(roster, one, urgency),
        urgency=urgency,
        copies=one.copies,
        size_bytes=root.size_bytes,
    )


def _why_fetch(roster: Roster, one: Weighed, urgency: Urgency) -> str:
    root = one.root
    factor = f"{root.min}:{root.max}"
    bridged = "" if roster.mine in one.fetchers else ", as a bridge between holders and owners"
    match urgency:
        case Urgency.SEEK:
            return "no peer holds it; this one is placed first and looks for it elsewhere"
        case Urgency.REPAIR if one.urgent:
            return f"below min: {one.copies} of {factor} copies{bridged}"
        case Urgency.REPAIR:
            return f"one live copy left of {factor}{bridged}"
        case Urgency.TOP_UP:
            return f"{one.copies} of {factor} copies{bridged}"
        case Urgency.SPREAD:
            return f"copies share a zone and {roster.zones[roster.mine or 0] or 'the default zone'} has room for one"
        case Urgency.REBALANCE:
            return f"stores are more than {BAND_PERCENT} % off their shares and this one is named for it"


def _release(rosters: Mapping[str, Roster], one: Weighed) -> Release | None:
    root, roster = one.root, rosters[one.root.kind]
    if roster.view.me not in root.holders or one.cautious or roster.mine not in one.kept[root.max :]:
        return None
    if root.max == 0:
        return _leave(rosters, root)
    ask = lessors(roster, one)
    if not ask:
        return None
    place = one.kept.index(roster.mine) + 1
    reason = f"surplus: copy {place} of {len(one.kept)}, {root.max} wanted"
    return Release(root=root.root, kind=root.kind, ask=ask, max=root.max, reason=reason, kept_on=root.kind)


def _leave(rosters: Mapping[str, Roster], root: RootView) -> Release | None:
    """Let a copy go that no live pin wants on its kind: at once, or under leases of all copies on the kind it moved to."""
    if not root.instead:
        return Release(
            root=root.root, kind=root.kind, ask=(), max=0, reason="no live pin wants it", kept_on=root.kind
        )  # fmt: skip
    for other in root.instead:
        roster = rosters.get(other.kind)
        if roster is None:  # a kind that is not planned: nobody is known to keep it there
            continue
        one = weigh(roster, other)
        ask = () if one.cautious else keepers_instead(roster, one)
        if ask:
            reason = f"moved: {plural(len(one.kept), 'copy', 'copies')} on {other.kind}, {other.max} wanted"
            return Release(
                root=root.root, kind=root.kind, ask=ask, max=other.max, reason=reason, kept_on=other.kind
            )  # fmt: skip
    return None
