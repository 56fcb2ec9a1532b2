"""Who fetches, who releases, and who waits: one small view for each rule of DESIGN §7."""

from node.replication.explain import assess, explain
from node.replication.moves import MoveBudget
from node.replication.placement import Ranking, slots_of
from node.replication.planner import Fetch, Planner, Release, Urgency, plan
from node.replication.view import PeerView, RootKey, RootView, SwarmView, says_full
from protocol.net.bitswap import BlocksUnavailable
from tests.swarm_views import TIB, peer, peers_named, root, swarm

ABCDE = peers_named("abcde")


def order(peers: list[PeerView], one: RootView) -> list[str]:
    """Peers by score for a root; zones and states aside."""
    ranking = Ranking(slots_of(peers, one.kind))
    return [ranking.slots[slot].slot_id for slot in ranking.order(one.root)]


def actions(peers: list[PeerView], one: RootView, **facts: object) -> dict[str, Fetch | Release]:
    """What each living peer plans for `one`."""
    views = {p.peer_id: swarm(p.peer_id, peers, [one], **facts) for p in peers if p.state == "alive"}
    return {name: planned[0] for name, view in views.items() if (planned := plan(view))}


def with_state(peers: list[PeerView], **states: str) -> list[PeerView]:
    return [peer(p.peer_id, states.get(p.peer_id, p.state), zone=p.zone) for p in peers]  # type: ignore[arg-type]


def test_the_first_owners_that_lack_it_fetch_one_for_each_missing_copy() -> None:
    best = order(ABCDE, root("r", "2:3"))
    planned = actions(ABCDE, root("r", "2:3", [best[4]]))
    assert set(planned) == set(best[:2])
    assert {type(action) for action in planned.values()} == {Fetch}
    (first, *_) = planned.values()
    assert isinstance(first, Fetch)
    assert first.urgency == Urgency.REPAIR
    assert first.sources == (best[4],)
    assert first.reason == "below min: 1 of 2:3 copies"
    topped_up = actions(ABCDE, root("r", "2:3", best[3:]))
    assert [(name, action.reason) for name, action in topped_up.items()] == [(best[0], "2 of 2:3 copies")]


def test_at_target_nothing_is_planned_and_explain_says_so() -> None:
    one = root("r", "2:3", order(ABCDE, root("r", "2:3"))[:3])
    assert actions(ABCDE, one) == {}
    assert explain(swarm("a", ABCDE, [one]), one.key) == "3 of 2:3 copies"


def test_a_suspect_holder_counts_at_min_or_more_and_not_below() -> None:
    best = order(ABCDE, root("r", "2:3"))
    peers = with_state(ABCDE, **{best[0]: "suspect"})
    assert actions(peers, root("r", "2:3", best[:3])) == {}, "a blip"
    assert set(actions(peers, root("r", "3:3", best[:3]))) == {best[3]}, "below min"
    down = with_state(ABCDE, **{best[0]: "down"})
    assert set(actions(down, root("r", "2:3", best[:3]))) == {best[3]}, "after repair_after"


def test_surplus_goes_last_in_order_first_with_leases_from_those_before_it() -> None:
    best = order(ABCDE, root("r", "2:2"))
    planned = actions(ABCDE, root("r", "2:2", best[1:4]))
    assert set(planned) == {best[3]}
    release = planned[best[3]]
    assert isinstance(release, Release)
    assert release.ask == (best[1], best[2])
    assert release.max == 2
    assert release.reason == "surplus: copy 3 of 3, 2 wanted"


def test_no_release_without_enough_holders_that_can_lease() -> None:
    best = order(ABCDE, root("r", "2:2"))
    one = root("r", "2:2", best[:3])
    for state in ("suspect", "away", "recovering"):
        assert actions(with_state(ABCDE, **{best[0]: state}), one) == {}
    assert actions(ABCDE, root("r", "2:2", best[:3], unproven=frozenset({best[1]}))) == {}
    deaf = [peer(p.peer_id, connected=frozenset() if p.peer_id == best[1] else None) for p in ABCDE]
    assert actions(deaf, one) == {}
    assert "alive, proven and linked" in explain(swarm(best[2], deaf, [one]), one.key)
    four = actions(with_state(ABCDE, **{best[0]: "suspect"}), root("r", "2:2", best[:4]))
    assert {name: action.ask for name, action in four.items() if isinstance(action, Release)} == {
        best[3]: tuple(best[1:3])
    }


def test_an_away_peer_s_roots_are_repaired_only_from_one_live_copy_to_two() -> None:
    best = order(ABCDE, root("r", "2:3"))
    one_away = with_state(ABCDE, **{best[0]: "away"})
    assert actions(one_away, root("r", "3:3", best[:3])) == {}
    two_away = with_state(ABCDE, **{best[0]: "away", best[1]: "away"})
    planned = actions(two_away, root("r", "3:3", best[:3]))
    assert [action.reason for action in planned.values()] == ["one live copy left of 3:3"]
    assert actions(two_away, root("r", "3:3", best[:4])) == {}, "two live copies and two that will be back: wait"


def test_storm_guard_repairs_only_the_last_copy() -> None:
    best = order(ABCDE, root("r", "3:3"))
    assert actions(ABCDE, root("r", "3:3", best[:2]), mass_loss=True) == {}
    assert len(actions(ABCDE, root("r", "3:3", best[:1]), mass_loss=True)) == 1
    assert actions(ABCDE, root("r", "1:1", best[:3]), mass_loss=True) == {}, "nothing is released"
    assert "mass loss" in explain(swarm("a", ABCDE, [root("r", "3:3", best[:2])], mass_loss=True), root("r", "3:3").key)


def test_planning_blocked_plans_nothing_but_still_counts() -> None:
    view = swarm("a", ABCDE, [root("r", "2:3", "b")], planning_blocked="just woke")
    found = Planner().survey(view)
    assert found.actions == ()
    assert found.standings == {"below_min": 1}
    assert explain(view, root("r", "2:3").key) == "planning is off: just woke"


def test_fewer_peers_than_the_factor_is_no_error() -> None:
    one = root("r", "1:3", "ab")
    view = swarm("a", peers_named("ab"), [one])
    assert plan(view) == ()
    told = assess(view, one.key)
    assert told.standing == "below_target"
    assert told.why == "2 of 1:3 copies, 1 to be made, 0 peers to make one: 2 keepers are here"


def test_one_of_a_kind_is_told_as_one() -> None:
    one = root("r", "1:3", "a")
    assert assess(swarm("a", peers_named("a"), [one]), one.key).why.endswith("0 peers to make one: 1 keeper is here")
    told = "no source is connected"
    assert str(BlocksUnavailable([b"a"], {})) == f"1 block is not to be had: {told}"
    assert str(BlocksUnavailable([b"a", b"b"], {})) == f"2 blocks are not to be had: {told}"


def test_a_full_peer_owns_only_what_it_holds_and_the_deficit_is_told() -> None:
    full = [peer(name, full_kinds=frozenset({"ipfs"}) if name in "bc" else frozenset()) for name in "abc"]
    one = root("r", "2:2", "b", size_bytes=7)
    assert set(actions(full, one)) == {"a"}
    more = root("r", "3:3", "b", size_bytes=7)
    told = Planner().survey(swarm("a", full, [more]))
    assert (told.no_room, told.no_room_copies, told.no_room_bytes) == ({more.key: 1}, 1, 7)
    kept = actions(full, root("r", "2:2", "ab"))
    assert kept == {}
    everybody = [peer(name, full_kinds=frozenset({"ipfs"})) for name in "abc"]
    assert "2 more have no room" in explain(swarm("a", everybody, [more]), more.key)


def test_what_does_not_fit_here_crowds_this_peer_out() -> None:
    small = [peer("a", capacity_bytes=100, used_bytes=60), peer("b", capacity_bytes=100)]
    one = root("r", "2:2", "b", size_bytes=50)
    found = Planner().survey(swarm("a", small, [one]))
    assert found.actions == ()
    assert found.crowded_out
    assert explain(swarm("a", small, [one]), one.key) == "no room here: 50 bytes to fetch, 40 left"
    assert says_full(60, 100, said_full=False, crowded_out=True)


def test_full_is_said_at_95_percent_and_taken_back_below_85() -> None:
    said = [
        says_full(used, 100, said_full=before) for used, before in ((94, False), (95, False), (85, True), (84, True))
    ]
    assert said == [False, True, True, False]


def test_a_root_larger_than_a_store_is_never_placed_there() -> None:
    peers = [peer("a", capacity_bytes=100), peer("b", capacity_bytes=10), peer("c", capacity_bytes=100)]
    assert set(actions(peers, root("r", "2:2", "a", size_bytes=10))) == {"c"}


def test_no_eligible_peer() -> None:
    one = root("r", "1:1", kind="s3")
    found = Planner().survey(swarm("a", ABCDE, [one]))
    assert found.actions == ()
    assert found.no_eligible == {one.key}
    assert explain(swarm("a", ABCDE, [one]), one.key) == "no eligible peer: no keeper that is here offers s3"


def test_sought_and_lost() -> None:
    never = root("r", "2:3", ever_held=False)
    best = order(ABCDE, never)
    planned = actions(ABCDE, never)
    assert {name: (a.urgency, a.sources) for name, a in planned.items() if isinstance(a, Fetch)} == {
        best[0]: (Urgency.SEEK, ())
    }
    assert assess(swarm("a", ABCDE, [never]), never.key).standing == "sought"
    gone = with_state(ABCDE, **{best[4]: "down"})
    lost = root("r", "2:3", [best[4]])
    assert assess(swarm(best[0], gone, [lost]), lost.key).standing == "lost"
    expelled = with_state(ABCDE, **{best[4]: "expelled"})
    saved = actions(expelled, lost)
    assert {name: a.sources for name, a in saved.items() if isinstance(a, Fetch)} == {best[0]: (best[4],)}


def test_a_draining_peer_s_copy_counts_for_min_not_for_max_and_it_acts_no_more() -> None:
    best = order(ABCDE, root("r", "2:2"))
    draining = with_state(ABCDE, **{best[0]: "draining"})
    planned = actions(draining, root("r", "2:2", best[:2]))
    assert {name: a.reason for name, a in planned.items()} == {best[2]: "1 of 2:2 copies"}
    assert plan(swarm(best[0], draining, [root("r", "1:1", best[:4])])) == ()
    assert actions(draining, root("r", "2:2", best[:3])) == {}


def test_cloned_and_leaving_peers_hold_no_replica() -> None:
    best = order(ABCDE, root("r", "2:2"))
    for state in ("cloned", "leaving", "left", "expelled"):
        planned = actions(with_state(ABCDE, **{best[0]: state}), root("r", "2:2", best[:2]))
        assert set(planned) == {best[2]}, state


def test_copies_in_one_zone_are_spread() -> None:
    peers = [peer("a", zone="x"), peer("b", zone="x"), peer("c", zone="y"), peer("d", zone="y")]
    planned = actions(peers, root("r", "2:2", "ab"))
    ((name, fetch),) = planned.items()
    assert name in "cd"
    assert isinstance(fetch, Fetch)
    assert fetch.urgency == Urgency.SPREAD
    assert fetch.reason == "copies share a zone and y has room for one"
    after = actions(peers, root("r", "2:2", {"a", "b", name}))
    assert {type(a) for a in after.values()} == {Release}
    assert len(after) == 1
    (gone,) = after
    assert gone in "ab"


def test_a_missing_copy_goes_to_the_zone_that_holds_fewest() -> None:
    peers = [peer("a", zone="x"), peer("b", zone="x"), peer("c", zone="y")]
    for number in range(20):
        assert set(actions(peers, root(f"r{number}", "2:2", "a"))) == {"c"}


def test_two_peers_of_one_store_are_one_copy() -> None:
    shared = [peer(name, store_ids={"ipfs": "bucket"} if name in "ab" else {}) for name in "abc"]
    assert set(actions(shared, root("r", "2:2", "ab"))) == {"c"}
    assert actions(shared, root("r", "2:2", "abc")) == {}
    assert actions(shared, root("r", "2:2", "bc")) == {}


def test_a_store_is_filled_by_a_keeper_behind_it() -> None:
    behind = [peer(name, keeper=name == "c", store_ids={"ipfs": "bucket"}) for name in "abc"]
    assert set(actions(behind, root("r", "1:1"))) == {"c"}


def test_a_new_peer_takes_its_share_and_then_moves_end() -> None:
    peers = peers_named("abcd")
    roots = [root(f"r{number}", "2:2") for number in range(300)]
    held = {one.root: frozenset(order(peers[:3], one)[:2]) for one in roots}

    def now() -> list[RootView]:
        return [root(one.root[: len(one.root) // 4].decode(), "2:2", held[one.root]) for one in roots]

    for _ in range(4):
        for action in plan(swarm("d", peers, now())):
            assert isinstance(action, Fetch)
            assert action.urgency == Urgency.REBALANCE
            held[action.root] |= {"d"}
        for name in "abc":
            for action in plan(swarm(name, peers, now())):
                if isinstance(action, Release):
                    held[action.root] -= {name}
    share = sum("d" in order(peers, one)[:2] for one in roots)
    count = sum("d" in holders for holders in held.values())
    assert 0.9 * share <= count <= share
    assert {len(holders) for holders in held.values()} == {2}
    assert all(plan(swarm(name, peers, now())) == () for name in "abcd")


def test_a_rebalance_never_fills_beyond_85_percent() -> None:
    peers = [*peers_named("abc"), peer("d", capacity_bytes=TIB, used_bytes=TIB * 85 // 100)]
    roots = [root(f"r{number}", "2:2", order(peers[:3], root(f"r{number}", "2:2"))[:2]) for number in range(50)]
    assert plan(swarm("d", peers, roots)) == ()


def test_a_keeper_between_fetches_as_a_bridge() -> None:
    one = root("r", "2:2")
    best = order(peers_named("abc"), one)
    holder, between, owner = best[2], best[1], best[0]
    links = {holder: {between}, between: {holder, owner}, owner: {between}}
    peers = [peer(name, connected=frozenset(links[name])) for name in "abc"]
    planned = actions(peers, root("r", "2:2", [holder]))
    assert isinstance(planned[between], Fetch)
    assert planned[between].reason == "below min: 1 of 2:2 copies, as a bridge between holders and owners"


def test_unwanted_roots_go_and_a_subset_plans_like_the_whole() -> None:
    roots = [root("r1", "0:0", "a"), root("r2", "2:3", "bc"), root("r3", "2:3", "b"), root("r4", "2:3", "bcd")]
    view: SwarmView = swarm("a", ABCDE, roots)
    planner = Planner()
    whole = planner.survey(view)
    parts = [action for one in roots for action in planner.survey(view, [one.key], balance=whole.balance).actions]
    assert sorted(whole.actions, key=repr) == sorted(parts, key=repr)
    assert whole.actions[-1] == Release(
        root=roots[0].root, kind="ipfs", ask=(), max=0, reason="no live pin wants it", kept_on="ipfs"
    )
    assert planner.survey(view, [root("unknown", "1:1").key]).actions == ()


def test_repairs_come_first_and_the_rarest_of_them_first() -> None:
    roots = [root(f"r{n}", "2:4", "bcde"[: n % 3 + 1]) for n in range(9)]
    fetches = [action for action in plan(swarm("a", ABCDE, roots)) if isinstance(action, Fetch)]
    assert [f.copies for f in fetches] == sorted(f.copies for f in fetches)
    assert len({f.copies for f in fetches}) == 3


def test_what_is_here_but_does_not_count_is_not_lost() -> None:
    """A copy whose holder leaves challenges unanswered counts as absent; it has another made, and is no loss."""
    one = root("r", "1:1", elsewhere=frozenset("b"))
    assert assess(swarm("a", ABCDE, [one]), one.key).standing == "below_min"
    (_, fetch), *rest = actions(ABCDE, one).items()
    assert rest == []
    assert isinstance(fetch, Fetch)
    assert fetch.sources == ("b",)
    assert fetch.urgency == Urgency.REPAIR
    gone = with_state(ABCDE, b="down")
    assert assess(swarm("a", gone, [one]), one.key).standing == "lost"


def test_moves_are_put_off_while_their_budget_is_spent() -> None:
    peers = peers_named("abcd")
    roots = [root(f"r{number}", "2:2", order(peers[:3], root(f"r{number}", "2:2"))[:2]) for number in range(60)]
    free = Planner().survey(swarm("d", peers, roots))
    assert len(free.actions) > 3
    assert not free.moves_put_off
    held_back = Planner().survey(swarm("d", peers, roots, moves_left_bytes=roots[0].size_bytes + 1))
    assert held_back.actions == free.actions[:2], "the last one may overdraw"
    assert held_back.moves_put_off
    going_on = {RootKey(action.root, action.kind) for action in free.actions[2:4]}
    spent = Planner().survey(swarm("d", peers, roots, moves_left_bytes=0, moving=frozenset(going_on)))
    assert {RootKey(action.root, action.kind) for action in spent.actions} == going_on, "what has begun goes on"


def test_a_move_budget_refills_by_the_day() -> None:
    budget, key = MoveBudget(0.0), root("r", "1:1").key
    assert budget.left_bytes(1000, 0.0) == 10, "a tenth of a day's in one go"
    budget.follow({key: 60}, (), 1000)
    assert budget.moving == {key}
    assert budget.left_bytes(1000, 0.0) == -50
    budget.follow({key: 60}, (), 1000)
    assert budget.left_bytes(1000, 43_200.0) == 0, "charged once"
    assert 43_000 < budget.due_s() < 43_400
    budget.follow({}, (), 1000)
    assert budget.moving == frozenset()
    assert budget.left_bytes(1000, 1e6) == 10
