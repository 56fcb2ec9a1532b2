"""The invariants of DESIGN §7 over random views; 1 also in test_leases, 9 in tests/swarm.

What a property checks is a function of its own, so that test_planner_planted can show that it notices a planted bug.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from node.replication.explain import assess
from node.replication.placement import slots_of
from node.replication.planner import Fetch, Planner, Release, Urgency, plan
from node.replication.survey import Survey
from node.replication.view import PeerView, RootView, SwarmView, by_key
from node.replication.weighing import weigh
from tests.swarm_views import TIB, peer, random_views, root, swarm

few = settings(max_examples=100, deadline=None)


@few
@given(random_views())
def test_every_plan_is_well_formed_and_within_capacity(view: SwarmView) -> None:
    """Invariants 5 and 7, and what a release promises."""
    check_plan(view)


def check_plan(view: SwarmView) -> None:
    me = view.peers[view.me]
    planned = plan(view)
    assert len({action.root for action in planned}) == len(planned)
    used_bytes = me.used_bytes
    for action in planned:
        one = next(r for r in view.roots.values() if r.root == action.root)
        live = {p for p in one.holders if view.peers[p].state in ("alive", "draining")}
        if isinstance(action, Fetch):
            assert view.me not in one.holders
            assert me.keeper
            used_bytes += action.size_bytes
            assert used_bytes <= me.capacity_bytes
            assert action.urgency != Urgency.REBALANCE or used_bytes * 100 <= me.capacity_bytes * 85
            assert not view.mass_loss or len(live) <= 1 or len({_store(view, p) for p in live}) == 1
        else:
            assert view.me in one.holders
            assert not view.mass_loss
            assert len({_store(view, p) for p in {*action.ask, view.me}}) == one.max + 1
            assert all(view.peers[p].state == "alive" and p in one.holders for p in action.ask)


def _store(view: SwarmView, peer_id: str) -> str:
    return view.peers[peer_id].store_ids.get("ipfs", peer_id)


@few
@given(random_views())
def test_explain_tells_the_plan(view: SwarmView) -> None:
    whole = {action.root: action for action in plan(view)}
    for key in view.roots:
        told = assess(view, key)
        planned = whole.get(key.root)
        assert told.why
        if not isinstance(planned, Fetch) or planned.urgency != Urgency.REBALANCE:
            assert planned is None or told.action is None or told.action == planned


@few
@given(random_views())
def test_equal_views_weigh_alike_on_every_peer(view: SwarmView) -> None:
    for other in view.peers:
        mine, theirs = (Planner().rosters(v, ["ipfs"])["ipfs"] for v in (view, replace(view, me=other)))
        for one in view.roots.values():
            assert weigh(mine, one) == weigh(theirs, one)


@few
@given(random_views(states=("alive",)), st.data())
def test_a_blip_starts_no_copy_of_a_root_still_at_min(view: SwarmView, data: st.DataObject) -> None:
    """Invariant 6. In a storm the last copy is repaired by whoever is there, so a blip may change by whom."""
    view = replace(view, mass_loss=False)
    silent = data.draw(st.sets(st.sampled_from([p for p in view.peers if p != view.me] or [""])))
    states = {p: replace(facts, state="suspect") if p in silent else facts for p, facts in view.peers.items()}
    before = {action.root for action in plan(view) if isinstance(action, Fetch)}
    blipped = replace(view, peers=states)
    for action in plan(blipped):
        one = next(r for r in view.roots.values() if r.root == action.root)
        left = {_store(view, p) for p in one.holders if p not in silent}
        if isinstance(action, Fetch) and len(left) >= one.min and action.urgency < Urgency.REBALANCE:
            assert action.root in before


@few
@given(
    holders=st.sets(st.sampled_from("abcdef"), min_size=1),
    dead=st.fixed_dictionaries(dict.fromkeys("abcdef", st.frozensets(st.sampled_from("abcdef")))),
    copies=st.integers(1, 3),
)
def test_views_that_differ_in_who_lives_release_nothing_needed(
    holders: set[str], dead: dict[str, frozenset[str]], copies: int
) -> None:
    """Invariant 1 without its leases, where they are not needed: true holders, any disagreement on liveness."""
    one = root("r", f"{copies}:{copies}", holders)
    kept = set(holders)
    for name in holders:
        peers = [peer(p, "down" if p in dead[name] - {name} else "alive") for p in "abcdef"]
        if any(isinstance(action, Release) for action in plan(swarm(name, peers, [one]))):
            kept.discard(name)
    assert len(kept) >= min(copies, len(holders))


@st.composite
def living_swarms(draw: st.DrawFn) -> tuple[list[PeerView], list[RootView]]:
    names = "abcdefg"[: draw(st.integers(1, 7))]
    peers = [
        peer(name, zone=draw(st.sampled_from("xyz")), capacity_bytes=draw(st.integers(500, 2000))) for name in names
    ]
    roots = []
    for number in range(draw(st.integers(1, 5))):
        high = draw(st.integers(1, 4))
        holders = draw(st.frozensets(st.sampled_from(names), min_size=1))
        roots.append(root(f"r{number}", f"{draw(st.integers(1, high))}:{high}", holders, size_bytes=10))
    return peers, roots


@few
@given(living_swarms())
def test_a_stable_swarm_reaches_its_target_spreads_its_zones_and_rests(
    made: tuple[list[PeerView], list[RootView]],
) -> None:
    """Invariants 2, 4 and 8."""
    check_rest(*made)


def check_rest(peers: list[PeerView], roots: list[RootView]) -> None:
    for _ in range(20):
        after = round_of_plans(peers, roots)
        if after == roots:
            break
        roots = after
    assert round_of_plans(peers, roots) == roots, "it never rests"
    zone_of = {p.peer_id: p.zone for p in peers}
    for one in roots:
        assert len(one.holders) == min(one.max, len(peers))
        used = [zone_of[p] for p in one.holders]
        if len(set(zone_of.values())) >= one.max:
            assert len(set(used)) == one.max


def round_of_plans(peers: list[PeerView], roots: Iterable[RootView]) -> list[RootView]:
    """Every peer plans on the truth; fetches and releases are carried out at once."""
    holders = {one.root: set(one.holders) for one in roots}
    view = SwarmView(me="", peers={p.peer_id: p for p in peers}, roots=by_key(roots))
    for name in view.peers:
        for action in plan(replace(view, me=name)):
            if isinstance(action, Fetch):
                holders[action.root].add(name)
            else:
                holders[action.root].discard(name)
    return [replace(one, holders=frozenset(holders[one.root])) for one in roots]


@few
@given(random_views())
def test_no_store_is_named_for_what_it_has_no_room_for(view: SwarmView) -> None:
    """Invariant 5: what fits nowhere is reported, copy by copy."""
    roster = Planner().rosters(view, ["ipfs"])["ipfs"]
    told = Planner().survey(view)
    for one in view.roots.values():
        weighed = weigh(roster, one)
        for slot in set(weighed.owners) - set(weighed.counted):
            assert not roster.full[slot]
            assert one.size_bytes * 100 <= roster.slots[slot].capacity_bytes * 95
        lacking = weighed.missing - len(weighed.fetchers)
        roomless = [s for s, able in enumerate(roster.placeable) if able and not roster.has_room(s, one.size_bytes)]
        assert told.no_room.get(one.key, 0) <= max(0, lacking)
        if lacking > 0 and not set(roomless) <= set(weighed.owners):
            assert told.no_room[one.key] > 0


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1 << 32))
def test_a_peer_that_comes_or_goes_moves_at_most_its_share_of_the_bytes(seed: int) -> None:
    """Invariant 3: 10,000 roots of unlike sizes in three copies on 20 to 40 peers of unlike weight, one zone."""
    random = np.random.default_rng(seed)
    count = int(random.integers(20, 41))
    capacities = [TIB, *random.integers(TIB // 2, 2 * TIB, count - 1).tolist()]
    peers = {f"p{n:02}": peer(f"p{n:02}", capacity_bytes=capacity) for n, capacity in enumerate(capacities)}
    sizes_bytes = random.integers(1, 1 << 20, 10_000)
    roots = [random.bytes(36) for _ in range(10_000)]
    survey = Survey()
    nowhere = np.zeros((0, 10_000), dtype=np.uint16)
    survey.board("ipfs").put_many(roots, low=2, high=3, sizes_bytes=sizes_bytes, holders=nowhere)
    whole = named(survey, peers)
    weights = {slot.slot_id: slot.weight for slot in slots_of(peers.values(), "ipfs")}
    gone = f"p{int(random.integers(0, count)):02}"
    rest = {name: facts for name, facts in peers.items() if name != gone}
    if [slot.weight for slot in slots_of(rest.values(), "ipfs")] != [weights[name] for name in rest]:
        return  # the rounded median has changed: another rule
    without = named(survey, rest)
    all_bytes = 3 * int(sizes_bytes.sum())
    for before, after in ((whole, without), (without, whole)):
        moved_bytes = sum(int(sizes_bytes[row]) * len(after[row] - before[row]) for row in range(10_000))
        assert moved_bytes <= 1.2 * weights[gone] / sum(weights.values()) * all_bytes


def named(survey: Survey, peers: Mapping[str, PeerView]) -> list[set[str]]:
    """The peers that placement names, root by root."""
    survey.plan(SwarmView(me=next(iter(peers)), peers=peers, roots={}))
    desk = survey.desk("ipfs")
    assert desk.roster is not None
    slots = desk.roster.slots
    return [{slots[slot].slot_id for slot in column} for column in desk.answers.owners[:3, :10_000].T.tolist()]


@few
@given(living_swarms(), st.data())
def test_moves_happen_only_where_a_store_is_off_its_share(
    made: tuple[list[PeerView], list[RootView]], data: st.DataObject
) -> None:
    """Invariant 3: a rebalance takes over from a store that holds too much, or for one that holds too little."""
    peers, roots = made
    me = data.draw(st.sampled_from(peers)).peer_id
    found = Planner().survey(swarm(me, peers, roots))
    assert found.balance is not None
    moves = [a for a in found.actions if isinstance(a, Fetch) and a.urgency == Urgency.REBALANCE]
    if moves:
        stores = [("ipfs", one.peer_id) for one in peers]
        assert found.balance.under(("ipfs", me)) or any(found.balance.over(store) for store in stores)
