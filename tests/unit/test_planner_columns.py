"""The planner in columns against the planner that takes one root at a time: equal, whatever the view."""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.replication.board import Board
from node.replication.columns import FAR, MISSING, MOVABLE, SPREAD, STANDINGS, SURPLUS, ZONES, Answers, weigh_rows
from node.replication.facts import Facts
from node.replication.moves import at_rest, spreader
from node.replication.placement import Ranking, Slot
from node.replication.planner import Plan, Planner, without_room
from node.replication.shortlist import NOBODY, Shortlist
from node.replication.survey import Survey
from node.replication.view import SwarmView
from node.replication.weighing import Roster, Weighed, weigh
from tests.swarm_views import STATES, peer, random_views, root

many = settings(max_examples=100, deadline=None)


@many
@given(
    random_views(most_peers=14, zones=5) | random_views(most_peers=14, states=("alive", "alive", "suspect", "away")),
    st.integers(1, 14),
)
def test_columns_weigh_like_the_reference(view: SwarmView, length: int) -> None:
    """A short shortlist makes rows that it does not tell, a long one does not."""
    roster = Roster(view, "ipfs")
    board = Board("ipfs")
    for one in view.roots.values():
        board.put(one)
    shortlist = Shortlist(roster.slots, [s for s, able in enumerate(roster.placeable) if able], length)
    rows = np.arange(board.rows)
    answers = weigh_rows(Facts(roster, board), shortlist, board, shortlist.rank(board.seed[rows]), rows)
    for row, one in enumerate(view.roots.values()):
        compare(answers, row, roster, weigh(roster, one))


def compare(answers: Answers, row: int, roster: Roster, one: Weighed) -> None:
    assert STANDINGS[answers.standing[row]] == one.standing
    assert answers.held[row] == len(one.held)
    assert answers.missing[row] == one.missing
    assert bool(answers.pressing[row]) == (one.urgent or one.scarce)
    assert answers.homeless[row] == without_room(roster, one)
    assert slots(answers.owners, row) == one.owners
    assert slots(answers.lacking, row) == one.lacking
    assert sorted(slots(answers.stay, row)) == sorted(one.kept[: one.root.max])
    todo = answers.todo[row]
    assert (todo == MISSING) == (one.missing > 0)
    assert (todo in (MOVABLE, SPREAD)) == at_rest(one)
    assert (todo == SPREAD) == (at_rest(one) and spreader(roster, one) is not None)
    assert (todo == SURPLUS) == (not one.missing and not one.cautious and len(one.counted) > one.root.max)


def slots(column: np.ndarray, row: int) -> list[int]:
    return [int(slot) for slot in column[:, row] if slot != NOBODY]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 1 << 20) | st.sampled_from([1, 2, 1 << 20]), min_size=1, max_size=40),
    st.integers(1, 41),
    st.integers(0, 1 << 32),
)
def test_a_shortlist_is_the_beginning_of_the_order(weights: list[int], length: int, seed: int) -> None:
    names = [f"peer {n}" for n in range(len(weights))]
    listed = [
        Slot(slot_id=name, peers=(name,), zone="", capacity_bytes=1, weight=weight)
        for name, weight in zip(names, weights, strict=True)
    ]
    ranking = Ranking(listed)
    shortlist = Shortlist(listed, range(len(listed)), length)
    random = Random(seed)
    roots = [random.randbytes(36) for _ in range(300)]
    board = Board("ipfs")
    board.put_many(
        roots, low=1, high=1, sizes_bytes=np.ones(300, dtype=np.int64), holders=np.zeros((0, 300), dtype=np.uint16)
    )
    ranked = shortlist.rank(board.seed[:300])
    for row, name in enumerate(roots):
        assert tuple(ranked[:, row]) == ranking.order(name)[:length]


@settings(max_examples=50, deadline=None)
@given(random_views(most_peers=12, states=("alive",), odd=False, most_roots=12), st.integers(1, 12), st.data())
def test_a_survey_plans_like_the_planner_whatever_changes(view: SwarmView, length: int, data: st.DataObject) -> None:
    """A peer or a root changes from plan to plan; what did not is not put in again."""
    survey = Survey()
    for one in view.roots.values():
        survey.put(one)
    most_far = data.draw(st.sampled_from([0.05, 1.0]))
    with patch("node.replication.desk.SHORT", length), patch("node.replication.desk.MOST_FAR", most_far):
        for _ in range(data.draw(st.integers(1, 6))):
            compare_plans(survey.plan(replace(view, roots={})), Planner().survey(view))
            view = data.draw(changed(view, survey))
        compare_plans(survey.plan(replace(view, roots={})), Planner().survey(view))


@st.composite
def changed(draw: st.DrawFn, view: SwarmView, survey: Survey) -> SwarmView:
    """The same view but for one fact; the survey is told where that is a root's."""
    other = draw(random_views(most_peers=12, most_roots=1))
    peers, roots = dict(view.peers), dict(view.roots)
    match draw(st.sampled_from(["peer", "peer", "peer", "state", "state", "state", "root", "gone", "storm"])):
        case "storm":
            return replace(view, mass_loss=not view.mass_loss)
        case "gone" if len(roots) > 1:
            key = draw(st.sampled_from(sorted(roots)))
            survey.drop(key)
            del roots[key]
        case "root":
            key = draw(st.sampled_from(sorted(roots)))
            (facts,) = other.roots.values()
            roots[key] = replace(facts, root=key.root)
            survey.put(roots[key])
        case _:
            name = draw(st.sampled_from(sorted(peers.keys() - {view.me}) or [view.me]))
            facts = draw(st.sampled_from(sorted(other.peers.values(), key=lambda one: one.peer_id)))
            changes: dict[str, Any] = {"state": draw(st.sampled_from(STATES)) if name != view.me else "alive"}
            if draw(st.booleans()):
                changes |= {"zone": facts.zone, "full_kinds": facts.full_kinds, "connected": facts.connected}
            if draw(st.integers(0, 4)) == 0:
                changes |= {"capacity_bytes": facts.capacity_bytes, "store_ids": facts.store_ids, "kinds": facts.kinds}
            peers[name] = replace(peers[name], **changes)
    return replace(view, peers=peers, roots=roots)


@pytest.mark.parametrize("seed", range(4))
def test_sums_and_owners_stay_what_a_new_survey_finds(seed: int) -> None:
    """With a shortlist so short that owners often lie beyond it: a zone that opens or closes, a far slot that comes."""
    random = Random(seed)
    names = [f"p{number:02}" for number in range(24)]
    peers = {name: peer(name, zone=f"z{number % 3}", capacity_bytes=1000) for number, name in enumerate(names)}
    roots = [
        root(f"r{number}", random.choice(["1:1", "2:3", "2:4"]), random.sample(names, 3), size_bytes=number % 50)
        for number in range(200)
    ]
    survey = Survey()
    reached: set[int] = set()
    for one in roots:
        survey.put(one)
    with patch("node.replication.desk.SHORT", 3), patch("node.replication.desk.MOST_FAR", 1.0):
        for _ in range(40):
            lone = (
                [name for name in names if name in peers and peers[name].zone == "z0"] if random.random() < 0.3 else []
            )
            state = random.choice(["alive", "alive", "suspect", "away", "down", "draining"])
            for name in lone or [random.choice(names)]:
                full = frozenset({"ipfs"}) if random.random() < 0.1 else frozenset[str]()
                peers[name] = replace(peers[name], state=state if name != "p01" else "alive", full_kinds=full)  # type: ignore[arg-type]
            view = SwarmView(me="p01", peers=dict(peers), roots={})
            fresh = Survey()
            for one in roots:
                fresh.put(one)
            compare_plans(survey.plan(view), fresh.plan(view))
            kept, new = (one.desk("ipfs").answers for one in (survey, fresh))
            assert (kept.owners[:, :200] == new.owners[:, :200]).all()
            assert (kept.stay[:, :200] == new.stay[:, :200]).all()
            reached.update(kept.reach.tolist())
    assert reached >= {FAR, ZONES}


def test_a_change_touches_only_what_it_concerns() -> None:
    """Of 2,000 roots on 50 peers: a root that changes alone; a peer those that it holds or may own."""
    names = [f"p{number:02}" for number in range(50)]
    random = Random(1)
    peers = {name: peer(name, zone=f"z{number % 5}") for number, name in enumerate(names)}
    survey = Survey()
    for number in range(2000):
        survey.put(root(f"r{number}", "2:3", random.sample(names, 3)))
    view = SwarmView(me="p00", peers=peers, roots={})
    survey.plan(view)
    assert len(survey.touched) == 2000
    survey.plan(view)
    assert len(survey.touched) == 0
    survey.put(root("r7", "2:3", names[:2]))
    survey.plan(view)
    assert len(survey.touched) == 1
    survey.plan(replace(view, peers={**peers, "p09": replace(peers["p09"], state="suspect", used_bytes=7)}))
    assert 3 * 2000 / 50 < len(survey.touched) < 2000 / 2
    survey.plan(replace(view, mass_loss=True))
    assert len(survey.touched) == 2000


def compare_plans(plan: Plan, reference: Plan) -> None:
    assert plan.actions == reference.actions
    assert dict(plan.standing_of) == dict(reference.standing_of)
    assert +Counter(plan.standings) == +Counter(reference.standings)
    assert dict(plan.no_room) == dict(reference.no_room)
    assert (plan.no_room_copies, plan.no_room_bytes) == (reference.no_room_copies, reference.no_room_bytes)
    assert all(plan.no_room[key] == copies for key, copies in reference.no_room.items())
    assert plan.no_eligible == reference.no_eligible
    assert plan.crowded_out == reference.crowded_out
    assert plan.balance is not None
    assert reference.balance is not None
    assert plan.balance == reference.balance


def test_roots_with_very_many_holders_stand_apart_and_are_planned_all_the_same() -> None:
    names = [f"p{number:02}" for number in range(40)]
    peers = {name: peer(name) for name in names}
    survey, reference = Survey(), Planner()
    roots = {one.key: one for one in (root("r1", "2:3", names), root("r2", "30:35", names[:5]), root("r3", "2:3", "p"))}
    for one in roots.values():
        survey.put(one)
    for _ in range(3):
        view = SwarmView(me="p07", peers=peers, roots=roots)
        compare_plans(survey.plan(replace(view, roots={})), reference.survey(view))
        assert len(survey.desk("ipfs").apart) == (2 if len(roots[root("r1", "2:3").key].holders) > 32 else 1)
        roots[root("r1", "2:3").key] = replace(roots[root("r1", "2:3").key], holders=frozenset(names[:9]))
        survey.put(roots[root("r1", "2:3").key])
        peers = {**peers, "p03": replace(peers["p03"], state="down")}
    survey.drop(root("r2", "30:35").key)
    assert survey.plan(replace(view, roots={})).standings["below_min"] == 0
