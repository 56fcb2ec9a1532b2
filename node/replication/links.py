"""Whom this peer would talk to about a root: sources of its blocks, holders whose leases a release needs, and bridges."""

from node.replication.placement import spread
from node.replication.view import PeerView, RootView
from node.replication.weighing import Level, Roster, Weighed

_UNREACHABLE = frozenset({"down", "left"})
_LAST = 1 << 30


def linked(one: PeerView, other: PeerView) -> bool:
    """Whether both say that they have a link to each other: a one-way link counts as none. Unknown is taken as yes."""
    here = one.connected is None or other.peer_id in one.connected
    return here and (other.connected is None or one.peer_id in other.connected)


def sources(roster: Roster, root: RootView) -> tuple[str, ...]:
    """Whoever may give the blocks, best first: linked, then alive, then an order of the root's own to spread the load.

    A peer that is down or left is asked only over a link that is there; an expelled or cloned one is no replica but a
    source. This peer itself comes first where it has the blocks on another kind.
    """
    view = roster.view
    me = view.peers[view.me]
    place = {slot: rank for rank, slot in enumerate(roster.ranking.order(root.root))}

    def rank(peer_id: str) -> tuple[bool, bool, int, int, str]:
        alive = -int(roster.levels[peer_id])
        turn = place.get(roster.slot_of.get(peer_id, -1), _LAST)
        return peer_id != view.me, not linked(me, view.peers[peer_id]), alive, turn, peer_id

    known = [peer for peer in root.holders | root.elsewhere if peer in view.peers]
    useful = [
        peer for peer in known if (peer in root.elsewhere if peer == view.me else reachable(me, view.peers[peer]))
    ]
    return tuple(sorted(useful, key=rank))


def reachable(me: PeerView, peer: PeerView) -> bool:
    if peer.state in _UNREACHABLE:
        return me.connected is not None and peer.peer_id in me.connected
    return True


def lessors(roster: Roster, one: Weighed) -> tuple[str, ...]:
    """The holders to ask before this peer's surplus copy goes; empty where they are not to be had.

    They are `max` of those that stay before this peer, alive, proven and linked, in as many zones as the first `max`.
    """
    assert roster.mine is not None
    before = one.kept[: one.kept.index(roster.mine)]
    granters = {slot: peer for slot in before if (peer := _granter(roster, one, slot)) is not None}
    asked = spread(before, roster.zones, one.root.max, among=granters.__contains__)
    zones = {roster.zones[slot] for slot in one.kept[: one.root.max]}
    if len(asked) < one.root.max or len({roster.zones[slot] for slot in asked}) < len(zones):
        return ()
    return tuple(granters[slot] for slot in asked)


def keepers_instead(roster: Roster, one: Weighed) -> tuple[str, ...]:
    """The holders whose copies take the place of one on another kind; empty where `max` of them are not to be had.

    They are `max` of those that stay, alive, proven and linked, in as many zones as the first `max`. This peer itself
    may be one of them: what it lets go is its copy on the other kind.
    """
    granters = {slot: peer for slot in one.kept if (peer := _granter(roster, one, slot)) is not None}
    asked = spread(one.kept, roster.zones, one.root.max, among=granters.__contains__)
    zones = {roster.zones[slot] for slot in one.kept[: one.root.max]}
    if len(asked) < one.root.max or len({roster.zones[slot] for slot in asked}) < len(zones):
        return ()
    return tuple(granters[slot] for slot in asked)


def _granter(roster: Roster, one: Weighed, slot: int) -> str | None:
    me = roster.view.peers[roster.view.me]
    if me.peer_id in roster.slots[slot].peers and me.peer_id in one.root.holders:
        return me.peer_id
    for peer in roster.slots[slot].peers:
        able = roster.levels[peer] == Level.ALIVE and peer in one.root.holders and peer not in one.root.unproven
        if able and linked(me, roster.view.peers[peer]):
            return peer
    return None


def bridge(roster: Roster, one: Weighed) -> int | None:
    """The store that should fetch in place of fetchers that no holder can reach, or None where one can be reached.

    Source: DESIGN §5, topology: a keeper connected to both fetches as a bridge.
    """
    peers = roster.view.peers
    if all(peer.connected is None for peer in peers.values()) or not one.held:
        return None
    holders = [peers[roster.speaker(slot)] for slot, level in one.held.items() if level >= Level.SUSPECT]
    fetchers = [peers[roster.speaker(slot)] for slot in one.fetchers if roster.slot_levels[slot] == Level.ALIVE]
    if not fetchers or any(linked(holder, fetcher) for holder in holders for fetcher in fetchers):
        return None
    for slot in roster.ranking.order(one.root.root):
        if slot in one.held or slot in one.fetchers or not roster.placeable[slot]:
            continue
        between = peers[roster.speaker(slot)]
        able = roster.slot_levels[slot] == Level.ALIVE and roster.has_room(slot, one.root.size_bytes)
        if able and any(linked(between, holder) for holder in holders) and any(linked(between, f) for f in fetchers):
            return slot
    return None
