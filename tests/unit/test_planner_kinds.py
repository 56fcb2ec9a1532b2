"""Roots on two kinds at once: copies are made on the one that pins name, and leave the other only for leases there."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from node.replication.explain import explain
from node.replication.planner import Fetch, Planner, Release, plan
from node.replication.survey import Survey
from node.replication.view import PeerView, RootView, SwarmView
from tests.swarm_views import peer, swarm

OLD, NEW = "ipfs", "local"
BOTH = frozenset({OLD, NEW})
few = settings(max_examples=100, deadline=None)


def offering(name: str, **facts: Any) -> PeerView:
    return peer(name, **{"kinds": BOTH, **facts})


def moved(name: str, factor: str, old: str, new: str, **facts: Any) -> list[RootView]:
    """A root that pins want on the new kind only, as each of its kinds is planned."""
    low, high = map(int, factor.split(":"))
    cid = name.encode() * 4
    here, there = frozenset(old), frozenset(new)
    facts = {"root": cid, "size_bytes": 10, **facts}
    wanted = RootView(kind=NEW, min=low, max=high, holders=there, elsewhere=here, **facts)
    return [wanted, RootView(kind=OLD, min=0, max=0, holders=here, elsewhere=there, instead=(wanted,), **facts)]


def acts(me: str, peers: list[PeerView], roots: list[RootView]) -> list[tuple[str, str]]:
    return [(type(action).__name__, action.kind) for action in plan(swarm(me, peers, roots))]


def test_a_copy_on_another_kind_is_the_first_source_and_no_network_is_needed() -> None:
    peers = [offering("a"), offering("b")]
    [fetch] = plan(swarm("a", peers, moved("r", "1:2", "a", "")))
    assert isinstance(fetch, Fetch)
    assert (fetch.kind, fetch.sources) == (NEW, ("a",))


def test_the_old_copy_goes_for_leases_of_all_copies_on_the_new_kind_its_own_among_them() -> None:
    peers = [offering(name) for name in "abc"]
    [release] = plan(swarm("a", peers, moved("r", "2:3", "abc", "abc")))
    assert isinstance(release, Release)
    assert (release.kind, release.kept_on, set(release.ask), release.max) == (OLD, NEW, set("abc"), 3)


def test_the_old_copy_stays_while_one_is_missing_on_the_new_kind() -> None:
    peers = [offering(name) for name in "abc"]
    roots = moved("r", "2:3", "abc", "ab")
    assert acts("a", peers, roots) == []
    assert acts("c", peers, roots) == [("Fetch", NEW)]
    assert explain(swarm("a", peers, roots), roots[1].key) == f"moved: 2 of 3 copies on {NEW}"


def test_the_old_copy_stays_while_a_holder_of_the_new_one_is_silent_doubted_or_unlinked() -> None:
    roots = moved("r", "2:2", "c", "ab")
    mine = offering("c", kinds=frozenset({OLD}))
    assert acts("c", [offering("a"), offering("b"), mine], roots) == [("Release", OLD)]
    for odd in (offering("a", state="suspect"), offering("a", state="away"), offering("a", connected=frozenset("b"))):
        assert acts("c", [odd, offering("b"), mine], roots) == []
    doubted = [replace(view, unproven=frozenset("a")) for view in roots]
    doubted[1] = replace(doubted[1], instead=(doubted[0],))
    assert acts("c", [offering("a"), offering("b"), mine], doubted) == []


def test_copies_in_one_store_are_one_copy_for_leaving_too() -> None:
    """Two peers on one bucket."""
    shared = {"store_ids": {NEW: "bucket"}}
    peers = [offering("a", **shared), offering("b", **shared), offering("c")]
    assert acts("c", peers, moved("r", "2:2", "c", "ab")) == [("Fetch", NEW)]
    assert acts("a", peers, moved("r", "2:2", "abc", "ab")) == []
    assert acts("a", peers, moved("r", "2:2", "ac", "ac")) == [("Release", OLD)]
    assert acts("b", peers, moved("r", "1:1", "b", "a")) == [("Release", OLD)]


def test_a_copy_on_a_kind_that_its_holder_does_not_offer_is_no_replica() -> None:
    """It has just started on a bucket that it shares, and has not asked it yet: which store it has nobody knows."""
    bucket = {"store_ids": {NEW: "bucket"}}
    starting = offering("b", kinds=frozenset({OLD}))
    third = offering("c")
    wanted = RootView(root=b"r" * 4, kind=NEW, min=1, max=2, size_bytes=10, holders=frozenset("abc"))
    for me in "abc":
        assert acts(me, [offering("a", **bucket), starting, third], [wanted]) == [], "two copies, not three"
    assert acts("b", [offering("a", **bucket), offering("b", **bucket), third], moved("r", "2:2", "b", "ab")) == []
    assert acts("b", [offering("a", **bucket), starting, third], moved("r", "2:2", "b", "ab")) == []
    unheard = replace(starting, heard=False, kinds=frozenset())
    survey = Planner().survey(swarm("a", [offering("a"), unheard], [replace(wanted, holders=frozenset("ab"))]))
    assert survey.standing_of[wanted.key] == "at_target", "what nobody has heard yet is not taken back"
    alone = Planner().survey(swarm("a", [offering("a"), starting], [replace(wanted, holders=frozenset("b"))]))
    assert alone.standing_of[wanted.key] == "below_min", "it is not lost"


def test_copies_that_cannot_leave_keep_no_other_from_it() -> None:
    """A flow that was moved to one bucket of several peers, where no root has as many copies as it should."""
    shared = {"store_ids": {NEW: "bucket"}}
    view = swarm("a", [offering("a", **shared), offering("b", **shared)], [])
    survey = Survey()
    for number in range(5):
        for root in moved(f"stuck{number}", "2:2", "a", "ab"):
            survey.put(root)
    for root in moved("free", "1:1", "a", "b"):
        survey.put(root)
    released = [action.root for _ in range(6) for action in survey.plan(view, limit=1).actions]
    assert released == [b"freefreefreefree"]


def test_nobody_offers_the_kind() -> None:
    peers = [peer(name, kinds=frozenset({OLD})) for name in "ab"]
    roots = moved("r", "1:2", "ab", "")
    survey = Planner().survey(swarm("a", peers, roots))
    assert survey.actions == ()
    assert survey.no_eligible == {roots[0].key}
    assert survey.standing_of[roots[0].key] == "below_min"
    assert "no eligible peer" in explain(swarm("a", peers, roots), roots[0].key)


def test_a_root_wanted_on_both_kinds_is_two_roots() -> None:
    peers = [offering(name) for name in "ab"]
    cid = b"r" * 4
    both = [RootView(root=cid, kind=kind, min=1, max=2, size_bytes=10, holders=frozenset("ab")) for kind in (OLD, NEW)]
    assert acts("a", peers, both) == acts("b", peers, both) == []
    one = [both[0], replace(both[1], holders=frozenset("b"), elsewhere=frozenset("ab"))]
    assert acts("a", peers, one) == [("Fetch", NEW)]
    assert acts("b", peers, one) == []


@st.composite
def moving_views(draw: st.DrawFn) -> SwarmView:
    names = "abcdef"[: draw(st.integers(1, 6))]
    peers = []
    for index, name in enumerate(names):
        peers.append(
            offering(
                name,
                state="alive" if index == 0 else draw(st.sampled_from(["alive", "alive", "suspect", "away", "down"])),
                zone=draw(st.sampled_from("xy")),
                kinds=draw(st.sampled_from([BOTH, BOTH, frozenset({OLD}), frozenset({NEW})])),
                store_ids={NEW: "bucket"} if draw(st.integers(0, 3)) == 0 else {},
                connected=draw(st.none() | st.frozensets(st.sampled_from(names))),
            )
        )
    roots: list[RootView] = []
    for number in range(draw(st.integers(1, 4))):
        old, new = (draw(st.frozensets(st.sampled_from(names))) for _ in range(2))
        high = draw(st.integers(1, 3))
        roots += moved(f"r{number}", f"{draw(st.integers(1, high))}:{high}", "".join(old), "".join(new))
    return swarm(names[0], peers, roots)


@few
@given(moving_views())
def test_whatever_leaves_a_kind_has_all_its_copies_on_the_other(view: SwarmView) -> None:
    """Invariant 1, for a move."""
    check_leaving(view)


def check_leaving(view: SwarmView) -> None:
    for action in plan(view):
        if isinstance(action, Release) and action.kind == OLD:
            [wanted] = [one for one in view.roots.values() if (one.root, one.kind) == (action.root, NEW)]
            assert action.kept_on == NEW
            assert set(action.ask) <= wanted.holders
            assert all(view.peers[asked].state == "alive" for asked in action.ask)
            assert len({view.peers[asked].store_ids.get(NEW, asked) for asked in action.ask}) >= wanted.max


@few
@given(moving_views(), moving_views())
def test_columns_move_like_the_reference(view: SwarmView, other: SwarmView) -> None:
    survey = Survey()
    for one in [*other.roots.values(), *view.roots.values()]:
        survey.put(one)
    for key in other.roots.keys() - view.roots.keys():
        survey.drop(key)
    assert survey.plan(replace(view, roots={})).actions == Planner().survey(view).actions


@few
@given(st.integers(1, 5), st.integers(0, 2), st.sampled_from(["1:1", "2:3", "2:2"]), st.data())
def test_a_move_ends_with_every_copy_on_the_new_kind_and_none_is_lost_on_the_way(
    count: int, only_old: int, factor: str, data: st.DataObject
) -> None:
    """Invariants 1, 2 and 8: peers act in any order; where too few offer the new kind the old copies stay."""
    names = "abcde"[:count]
    peers = [offering(name, kinds=frozenset({OLD}) if place < only_old else BOTH) for place, name in enumerate(names)]
    low, high = map(int, factor.split(":"))
    here = {f"r{n}": (set(data.draw(st.sets(st.sampled_from(names), min_size=1))), set[str]()) for n in range(3)}
    able = max(0, count - only_old)
    for _ in range(60):
        before = {name: (set(old), set(new)) for name, (old, new) in here.items()}
        for me in data.draw(st.permutations(list(names))):
            roots = [
                view for name, (old, new) in here.items() for view in moved(name, factor, "".join(old), "".join(new))
            ]
            for action in plan(swarm(me, peers, roots)):
                old, new = here[action.root.decode()[: len(action.root) // 4]]
                copies = old if action.kind == OLD else new
                copies.add(me) if isinstance(action, Fetch) else copies.remove(me)
                assert len(new) >= high or len(old) + len(new) > 0
        if before == here:
            break
    for old, new in here.values():
        assert len(new) == min(high, able)
        assert bool(old) == (able < high)
    assert before == here
    del low


def test_a_copy_stays_whose_new_kind_is_not_planned_whoever_says_that_he_holds_it_there() -> None:
    """Only so many kinds that nobody here knows are planned: what a curator names beyond is on no board."""
    survey = Survey()
    _, old = moved("r", "1:1", "ab", "b")
    survey.put(old)
    assert survey.plan(swarm("a", [offering(name) for name in "ab"], [])).actions == ()
