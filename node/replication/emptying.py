"""What it takes to empty a peer: who else could hold its roots, and which of them lack copies elsewhere.

Pure, and about the peer that the view is of. A copy elsewhere is one on another store behind a keeper that is alive or
excused; a suspect's and one that this peer has reason to doubt do not count, for whoever leaves cannot come to help.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from node.quantities import plural
from node.replication.view import FULL_AT_PERCENT, PeerState, RootView, SwarmView
from node.standing_orders import DrainTo

SURE: frozenset[PeerState] = frozenset({"alive", "away", "recovering"})
PLACED: frozenset[PeerState] = SURE | {"suspect"}


def wanted_elsewhere(root: RootView, to: DrainTo) -> int:
    """How many copies a root must have on other peers before this one may leave.

    Of a root that pins want on other kinds by now it is as many: until they are there, those that are left count.
    """
    wanted = (root, *root.instead)
    return max(each.min if to == "min" else each.max for each in wanted)


def copies_elsewhere(view: SwarmView, root: RootView) -> int:
    """How many copies of a root this peer can leave behind, on this kind or on the one that it has moved to."""
    return max(_stores_elsewhere(view, each) for each in (root, *root.instead))


def _stores_elsewhere(view: SwarmView, root: RootView) -> int:
    stores = set()
    for peer_id in root.holders - root.unproven:
        peer = view.peers.get(peer_id)
        if peer is not None and peer_id != view.me and peer.state in SURE and root.kind in peer.kinds:
            stores.add(peer.store_ids.get(root.kind, peer_id))
    return len(stores)


@dataclass(slots=True)
class _Store:
    """What stands behind one store of another peer."""

    peers: set[str] = field(default_factory=set)
    capacity_bytes: int = 0
    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Why a peer cannot be emptied.

    Attributes:
        peers: how many more keepers are needed.
        roots: how many roots too few others can hold.
        wanted, able: of the worst of them: copies wanted elsewhere, and other keepers that can hold it.
    """

    peers: int
    roots: int
    wanted: int
    able: int

    def told(self) -> str:
        """What a person reads: the figures are those of one root, since each has a factor of its own."""
        copies = plural(self.wanted, "copy", "copies")
        able = f"only {plural(self.able, 'other keeper')} can hold it" if self.able else "no other keeper can hold it"
        missing = f"{plural(self.peers, 'peer is', 'peers are')} missing"
        if self.roots == 1:
            return f"1 root is to have {copies} elsewhere and {able}: {missing}"
        many = f"{self.roots:,} roots have too few keepers elsewhere"
        return f"{many}; one of them is to have {copies} and {able}: {missing}"


class OtherKeepers:
    """The stores that a view's peer could leave its roots to."""

    def __init__(self, view: SwarmView) -> None:
        self._view = view
        self._by_kind: dict[str, dict[str, _Store]] = {}

    def able(self, root: RootView) -> int:
        """How many of them hold a root or may be given it, by what they say of themselves."""
        if root.instead:
            return max(copies_elsewhere(self._view, root), *map(self.able, root.instead))
        count = 0
        for store in self._stores(root.kind).values():
            has_room = not store.full and root.size_bytes * 100 <= store.capacity_bytes * FULL_AT_PERCENT
            count += has_room or not root.holders.isdisjoint(store.peers)
        return count

    def shortage(self, roots: Iterable[RootView], to: DrainTo, before: Shortage | None = None) -> Shortage | None:
        """What is missing for `roots`, added to what was found `before`; None where nothing is."""
        for root in roots:
            wanted = wanted_elsewhere(root, to)
            able = self.able(root)
            if able >= wanted:
                continue
            if before is None:
                before = Shortage(peers=wanted - able, roots=1, wanted=wanted, able=able)
            elif wanted - able > before.peers:
                before = Shortage(peers=wanted - able, roots=before.roots + 1, wanted=wanted, able=able)
            else:
                before = replace(before, roots=before.roots + 1)
        return before

    def _stores(self, kind: str) -> Mapping[str, _Store]:
        stores = self._by_kind.get(kind)
        if stores is None:
            stores = self._by_kind[kind] = {}
            for peer in self._view.peers.values():
                if peer.peer_id == self._view.me or not peer.keeper or kind not in peer.kinds:
                    continue
                if peer.state in PLACED:
                    store = stores.setdefault(peer.store_ids.get(kind, peer.peer_id), _Store())
                    store.peers.add(peer.peer_id)
                    store.capacity_bytes = max(store.capacity_bytes, peer.capacity_bytes)
                    store.full |= kind in peer.full_kinds
        return stores


def as_draining(view: SwarmView) -> SwarmView:
    """The view as it will be once this peer drains."""
    me = replace(view.peers[view.me], state="draining")
    return replace(view, peers={**view.peers, view.me: me})
