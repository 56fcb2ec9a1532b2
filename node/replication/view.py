"""What this peer believes of the swarm, as frozen values: the only input of placement and planner.

The controller builds a `SwarmView` from membership, charter, pins and holdings; nothing here reads a clock or a
network. Times and thresholds (`suspect_after`, `repair_after`, the 24 h of a recovering peer) are settled by whoever
builds the view: a `PeerState` is all that is left of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

PeerState = Literal[
    "alive", "suspect", "away", "recovering", "draining", "leaving", "down", "left", "expelled", "cloned"
]

FULL_AT_PERCENT = 95
"""A store says `full` from here on. Source: DESIGN §7, placement."""

ROOM_AGAIN_PERCENT = 85
"""A full store stops saying so below this, and a rebalance never fills a peer beyond it. Source: DESIGN §7."""


class RootKey(NamedTuple):
    """One thing to keep copies of: a root on one backend kind. A root wanted on two kinds is two of them."""

    root: bytes
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """One peer as this one sees it; every field is a slow, signed fact but for `state` and `used_bytes`.

    Attributes:
        state: `recovering` is planned as `away`; `down` is a silence of `repair_after`.
        keeper: whether the role keeper stands. Others may hold copies but are never named an owner.
        used_bytes: read of this peer itself only; placement never looks at it.
        kinds: the backend kinds it offers, already narrowed to those that count.
        heard: whether that is known: it has said something since this peer started.
        full_kinds: those of `kinds` whose store said `full` (see `says_full`).
        store_ids: kind -> id of the store behind it; peers that name one store are one replica. Without an entry the
            peer has a store of its own.
        connected: the peers it has a link to, or None where that is not known (taken as a link to everybody).
        silent_s: seconds since its last beat; for people to read, no decision depends on it.
    """

    peer_id: str
    zone: str = ""
    state: PeerState = "alive"
    keeper: bool = True
    capacity_bytes: int = 0
    used_bytes: int = 0
    kinds: frozenset[str] = frozenset({"ipfs"})
    heard: bool = True
    full_kinds: frozenset[str] = frozenset()
    store_ids: Mapping[str, str] = field(default_factory=dict)
    connected: frozenset[str] | None = None
    silent_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RootView:
    """One root on one kind: what its live pins want and who says that it holds it.

    Attributes:
        min: replicas below which repair is urgent, at least 1; 0 where `max` is 0.
        max: replicas wanted; 0 once no live pin wants the root on this kind.
        size_bytes: bytes of the whole DAG, 0 while unknown.
        holders: peers whose signed holdings name it on this kind, whatever their state, this peer included.
        elsewhere: peers that have its blocks but are no replica of this kind: holders on another kind, or of a copy
            that counts as absent. They serve as sources.
        unproven: holders whose copy this peer doubts: they count, but not for this peer's releases.
        ever_held: whether any peer ever held it; tells `lost` from `sought`.
        instead: where `max` is 0: the root on the kinds that live pins do want it on. Until one of them has all its
            copies, those here stay.
    """

    root: bytes
    kind: str = "ipfs"
    min: int
    max: int
    size_bytes: int = 0
    holders: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()
    unproven: frozenset[str] = frozenset()
    ever_held: bool = True
    instead: tuple["RootView", ...] = ()

    @property
    def may_go(self) -> bool:
        """Whether a copy that nobody wants here is worth a try to let it go: first whole, as cheaply as it can be told."""
        return not self.instead or any(len(other.holders) >= other.max for other in self.instead)

    @property
    def key(self) -> RootKey:
        """The name of this root in `SwarmView.roots`."""
        return RootKey(self.root, self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmView:
    """All that a plan is made from.

    Attributes:
        me: this peer; it must be one of `peers`.
        peers: every peer that ever was a member, by its id.
        roots: every root that a live pin wants or this peer holds.
        mass_loss: more than half of the capacity that was alive 24 h ago is gone and nobody said `repair --now`.
        moves_left_bytes: what rebalances and spreads that are not `moving` may still fetch now; None is any amount.
        moving: those that have begun.
        planning_blocked: why nothing may be planned (own freeze, recovering), or None.
    """

    me: str
    peers: Mapping[str, PeerView]
    roots: Mapping[RootKey, RootView]
    mass_loss: bool = False
    moves_left_bytes: int | None = None
    moving: frozenset[RootKey] = frozenset()
    planning_blocked: str | None = None


def by_key(roots: Iterable[RootView]) -> dict[RootKey, RootView]:
    """`SwarmView.roots` out of `roots`."""
    return {root.key: root for root in roots}


def says_full(used_bytes: int, capacity_bytes: int, *, said_full: bool, crowded_out: bool = False) -> bool:
    """Whether a store declares itself full; what it declares is what all peers plan with.

    Args:
        said_full: what it declared last: between the two thresholds it stays with that.
        crowded_out: the last plan had a root for this store that does not fit (`Plan.crowded_out`). Without this a
            root larger than the room left would wait for a store that is not yet full by its bytes.

    Source: DESIGN §7, placement.
    """
    if used_bytes * 100 >= capacity_bytes * FULL_AT_PERCENT or crowded_out:
        return True
    return said_full and used_bytes * 100 >= capacity_bytes * ROOM_AGAIN_PERCENT
