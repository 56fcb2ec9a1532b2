"""Say of one root how it stands, who should do what about it, and why this peer does nothing.

Reads the same weighing as the plan, so that `show`, `status` and a dry run cannot tell another story.
"""

from collections.abc import Collection
from dataclasses import dataclass

from node.quantities import plural
from node.replication.links import lessors
from node.replication.planner import Action, Fetch, Planner, Release, kinds_of
from node.replication.view import RootKey, SwarmView
from node.replication.weighing import Level, Roster, Standing, Weighed, barred, weigh


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the plan knows of one root.

    Attributes:
        copies: replicas as `status` counts them.
        owners: a peer for each store that placement names, in order.
        fetchers: those of them that are to make the missing copies.
        surplus: holders that may let theirs go once leases allow it.
        action: what this peer itself plans, or None.
        why: one line for people.
    """

    standing: Standing
    copies: int
    owners: tuple[str, ...]
    fetchers: tuple[str, ...]
    surplus: tuple[str, ...]
    action: Fetch | Release | None
    why: str


def assess(view: SwarmView, key: RootKey, planner: Planner | None = None) -> Assessment:
    """Weigh one root of the view.

    A rebalance is not considered: it depends on all other roots, and only a full plan has it.

    Args:
        planner: one that is kept, for the sake of its rankings.

    Raises:
        KeyError: the view does not have the root.
    """
    return assess_all(view, [key], planner)[key]


def assess_all(view: SwarmView, keys: Collection[RootKey], planner: Planner | None = None) -> dict[RootKey, Assessment]:
    """`assess` for several roots, whose actions are planned together: what does not fit here beside the first is told."""
    planner = planner or Planner()
    rosters = planner.rosters(view, kinds_of(view.roots[key] for key in keys))
    actions = {RootKey(action.root, action.kind): action for action in planner.survey(view, keys).actions}
    return {key: _assessed(view, rosters[key.kind], key, actions.get(key)) for key in keys}


def _assessed(view: SwarmView, roster: Roster, key: RootKey, action: Action | None) -> Assessment:
    one = weigh(roster, view.roots[key])
    return Assessment(
        standing=one.standing,
        copies=one.copies,
        owners=tuple(roster.speaker(slot) for slot in one.owners),
        fetchers=tuple(roster.speaker(slot) for slot in one.fetchers),
        surplus=tuple(roster.speaker(slot) for slot in one.kept[one.root.max :]) if not one.cautious else (),
        action=action,
        why=action.reason if action else _why_idle(view, roster, one),
    )


def explain(view: SwarmView, key: RootKey, planner: Planner | None = None) -> str:
    """Why this peer does, or does not do, something about a root; see `assess`."""
    return assess(view, key, planner).why


def _why_idle(view: SwarmView, roster: Roster, one: Weighed) -> str:
    me = view.peers[view.me]
    if view.planning_blocked:
        return f"planning is off: {view.planning_blocked}"
    if me.state != "alive":
        return f"this peer is {me.state}"
    if one.standing == "unwanted":
        there = ", ".join(f"{len(other.holders)} of {other.max} copies on {other.kind}" for other in one.root.instead)
        return f"moved: {there}" if there else "no live pin wants it"
    if one.missing:
        return _why_not_fetched(view, roster, one)
    if view.mass_loss and len(one.counted) != one.root.max:
        return "mass loss: only roots with one live copy are repaired until capacity returns or `repair --now`"
    if len(one.counted) > one.root.max and roster.mine in one.kept[one.root.max :]:
        return _why_not_released(roster, one)
    if len(one.counted) > one.root.max:
        return "surplus copies are other peers' to let go"
    return f"{one.copies} of {one.root.min}:{one.root.max} copies"


def _why_not_fetched(view: SwarmView, roster: Roster, one: Weighed) -> str:
    if not any(roster.placeable):
        return f"no eligible peer: no keeper that is here offers {one.root.kind}"
    short = f"{one.copies} of {one.root.min}:{one.root.max} copies"
    if roster.mine in one.fetchers and roster.speaker(roster.mine) == view.me:
        room_bytes = max(0, view.peers[view.me].capacity_bytes - view.peers[view.me].used_bytes)
        return f"no room here: {one.root.size_bytes} bytes to fetch, {room_bytes} left"
    if len(one.fetchers) < one.missing:
        full = len(barred(roster, one))
        why = f"{full} more have no room" if full else _here(sum(roster.placeable))
        return f"{short}, {one.missing} to be made, {plural(len(one.fetchers), 'peer')} to make one: {why}"
    waiting = [slot for slot in one.fetchers if roster.slot_levels[slot] != Level.ALIVE]
    if waiting:
        names = ", ".join(f"{roster.speaker(s)} ({roster.slot_levels[s].name.lower()})" for s in waiting)
        return f"{short}; waiting for {names}"
    return f"{short}; to be fetched by {', '.join(roster.speaker(slot) for slot in one.fetchers)}"


def _why_not_released(roster: Roster, one: Weighed) -> str:
    if roster.view.me not in one.root.holders:
        return "surplus, listed by another peer of the same store"
    if not lessors(roster, one):
        stay = ", ".join(f"{roster.speaker(s)} ({one.held[s].name.lower()})" for s in one.kept[: one.root.max])
        return f"surplus, but not {one.root.max} holders that could lease theirs are alive, proven and linked: {stay}"
    return "surplus"


def _here(keepers: int) -> str:
    return f"{plural(keepers, 'keeper')} {'is' if keepers == 1 else 'are'} here"
