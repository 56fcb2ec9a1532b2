"""What a plan knows of one root: which copies count, where copies belong, who should fetch one, which are too many.

Pure, and the same for every reader: `planner` turns it into actions, `explain` into words, `status` into counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Self

from node.replication.placement import Ranking, Slot, slots_of, spread
from node.replication.view import FULL_AT_PERCENT, PeerState, PeerView, RootView, SwarmView

Standing = Literal["unwanted", "sought", "lost", "below_min", "below_target", "at_target", "above_target"]

SAFE_COPIES = 2
"""Under the storm guard, and for a peer that is away, repair ends here. Source: DESIGN §7, invariants 6 and 7."""


class Level(IntEnum):
    """How much a copy on a peer, or the peer itself, can be counted on."""

    NONE = 0
    DRAINING = 1
    AWAY = 2
    SUSPECT = 3
    ALIVE = 4


LEVELS: Mapping[PeerState, Level] = {
    "alive": Level.ALIVE,
    "suspect": Level.SUSPECT,
    "away": Level.AWAY,
    "recovering": Level.AWAY,
    "draining": Level.DRAINING,
}


class Roster:
    """The slots of one backend kind as a view has them, indexed as `ranking` orders them.

    Attributes:
        slot_of: peer id -> slot index.
        levels: peer id -> its `Level`.
        zones, slot_levels: by slot; a slot is as alive as its best peer.
        counting: peers whose copies count where one is wanted. One that does not offer the kind says of no store that it
            has: its copy may be the one in another's.
        placing: keepers that offer the kind and are neither draining nor gone.
        placeable: by slot: one of them stands behind it.
        full: by slot: it owns only what it already holds.
        mine: this peer's slot, or None.
    """

    def __init__(
        self, view: SwarmView, kind: str, ranking: Ranking | None = None, slots: Sequence[Slot] | None = None
    ) -> None:
        slots = tuple(slots_of(view.peers.values(), kind) if slots is None else slots)
        self.ranking = ranking if ranking and ranking.matches(slots) else Ranking(slots)
        self.slots = slots
        self.view = view
        self.slot_of = {peer: index for index, slot in enumerate(slots) for peer in slot.peers}
        self.levels = {peer_id: LEVELS.get(peer.state, Level.NONE) for peer_id, peer in view.peers.items()}
        self.zones = [slot.zone for slot in slots]
        self.slot_levels = [max(self.levels[peer] for peer in slot.peers) for slot in slots]
        self.full = [any(kind in view.peers[peer].full_kinds for peer in slot.peers) for slot in slots]
        self.counting = {peer for slot in slots for peer in slot.peers if self._counts(view.peers[peer], kind)}
        self.placing = {peer for slot in slots for peer in slot.peers if self._places(view, peer, kind)}
        self.placeable = [not self.placing.isdisjoint(slot.peers) for slot in slots]
        self.mine = self.slot_of.get(view.me)

    @staticmethod
    def _counts(peer: PeerView, kind: str) -> bool:
        return not peer.heard or kind in peer.kinds

    def seen_in(self, view: SwarmView) -> Self:
        """The same roster for a view that says the same of all peers."""
        again = copy(self)
        again.view = view
        return again

    def _places(self, view: SwarmView, peer_id: str, kind: str) -> bool:
        peer = view.peers[peer_id]
        return peer.keeper and kind in peer.kinds and self.levels[peer_id] >= Level.AWAY

    def has_room(self, slot: int, size_bytes: int) -> bool:
        """Whether `slot` takes a root of that size as far as its signed facts tell."""
        return not self.full[slot] and size_bytes * 100 <= self.slots[slot].capacity_bytes * FULL_AT_PERCENT

    def is_elsewhere(self, peers: Iterable[str]) -> bool:
        """Whether one of `peers`, that have a root's blocks but are no replica of it, is there."""
        return any(self.levels.get(peer, Level.NONE) > Level.NONE for peer in peers)

    def speaker(self, slot: int) -> str:
        """The peer that acts for a slot: of those that may place copies there, the first of the most alive."""
        return min(self.slots[slot].peers, key=lambda peer: (peer not in self.placing, -self.levels[peer], peer))


@dataclass(slots=True)
class Weighed:
    """One root, weighed against a roster.

    Attributes:
        held: slot -> level of the best peer that holds it there; copies on peers that are gone are left out.
        counted: slots whose copies count for `max`.
        safe: copies that count for `min`: on peers alive, away or draining, not suspect.
        live: copies on peers that answer; suspect ones only while the root is not below `min`.
        urgent: below `min`, hence planned as if suspect peers were down.
        scarce: one live copy or none, in a storm or while holders are away.
        cautious: `urgent`, `scarce` or mass loss: nothing is released or moved for looks.
        missing: copies to be made now.
        owners: slots that placement names, in order.
        lacking: owners without a counted copy, fetchers first.
        fetchers: who makes the missing copies; one that is not alive keeps its place and is waited for.
        kept: counted slots in the order in which they stay: the first `max` do, the rest is surplus.
        elsewhere: a peer that is there has the blocks, although it is no replica.
    """

    root: RootView
    held: dict[int, Level]
    counted: list[int]
    safe: int
    live: int
    urgent: bool
    scarce: bool
    cautious: bool
    missing: int
    owners: list[int]
    lacking: list[int]
    fetchers: list[int]
    kept: list[int]
    elsewhere: bool

    @property
    def copies(self) -> int:
        """Replicas as `status` counts them.

        A suspect's counts no longer once the root is below `min` without it, and never as one too many: it may be dead.
        """
        if self.urgent:
            return self.safe
        sure = sum(1 for slot in self.counted if self.held[slot] != Level.SUSPECT)
        return max(sure, min(len(self.counted), self.root.max))

    @property
    def standing(self) -> Standing:
        """The one word for it. What is here but unproven, or on another kind, is not lost."""
        if not self.root.max:
            return "unwanted"
        if not self.held:
            return "below_min" if self.elsewhere else "lost" if self.root.ever_held else "sought"
        if self.urgent:
            return "below_min"
        if self.copies == self.root.max:
            return "at_target"
        return "below_target" if self.copies < self.root.max else "above_target"


def weigh(roster: Roster, root: RootView) -> Weighed:
    """Weigh `root`. Everything but `roster.mine` goes in, so that equal views weigh alike on every peer."""
    held = _held(roster, root)
    levels = list(held.values())
    away = levels.count(Level.AWAY)
    safe = len(levels) - levels.count(Level.SUSPECT)
    urgent = safe < root.min
    live = safe - away + (0 if urgent else levels.count(Level.SUSPECT))
    storm = roster.view.mass_loss
    scarce = bool(held) and live < min(SAFE_COPIES, root.max) and (storm or away > 0)
    counts = {Level.ALIVE} | ({Level.AWAY} if not scarce else set()) | ({Level.SUSPECT} if not urgent else set())
    counted = [slot for slot, level in held.items() if level in counts]
    cautious = urgent or scarce or storm

    def can_own(slot: int) -> bool:
        if slot in counted:
            return roster.placeable[slot]
        patient = roster.slot_levels[slot] == Level.ALIVE or not cautious
        return roster.placeable[slot] and patient and roster.has_room(slot, root.size_bytes)

    order = roster.ranking.order(root.root)
    owners = spread(order, roster.zones, root.max, among=can_own)
    without = [slot for slot in owners if slot not in counted]
    lacking = spread(owners, roster.zones, len(without), placed=counted, among=without.__contains__) if without else []
    missing = _missing(root, storm=storm, live=live, away=away, counted=len(counted) + (away if scarce else 0))
    here = [slot for slot in owners if slot in counted]
    others = [slot for slot in counted if slot not in here]
    if others:
        others = spread(order, roster.zones, len(others), placed=here, among=others.__contains__)
    return Weighed(
        root=root,
        held=held,
        counted=counted,
        safe=safe,
        live=live,
        urgent=urgent,
        scarce=scarce,
        cautious=cautious,
        missing=missing,
        owners=owners,
        lacking=lacking,
        fetchers=lacking[:missing],
        kept=here + others,
        elsewhere=roster.is_elsewhere(root.elsewhere | (root.holders - roster.counting)),
    )


def _held(roster: Roster, root: RootView) -> dict[int, Level]:
    held: dict[int, Level] = {}
    for peer in root.holders:
        if root.max and peer not in roster.counting:
            continue
        slot = roster.slot_of.get(peer)
        level = roster.levels.get(peer, Level.NONE)
        if slot is not None and level > held.get(slot, Level.NONE):
            held[slot] = level
    return held


def _missing(root: RootView, *, storm: bool, live: int, away: int, counted: int) -> int:
    """Copies to be made now; `counted` has the `away` ones in."""
    if not counted and not live:
        return 0 if storm else min(1, root.max)
    to_be_safe = max(0, min(SAFE_COPIES, root.max) - live)
    if storm:
        return to_be_safe
    return max(root.max - counted, to_be_safe if away else 0)


def zone_use(roster: Roster, slots: Sequence[int]) -> dict[str, int]:
    """How many of `slots` each zone has."""
    use: dict[str, int] = {}
    for slot in slots:
        use[roster.zones[slot]] = use.get(roster.zones[slot], 0) + 1
    return use


def barred(roster: Roster, one: Weighed) -> list[int]:
    """Stores that placement would name for the root, had they room for it."""
    return [
        slot
        for slot, placeable in enumerate(roster.placeable)
        if placeable and slot not in one.owners and not roster.has_room(slot, one.root.size_bytes)
    ]
