"""Who can take over what a peer holds, and what still lacks copies when it leaves."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from node.replication.emptying import OtherKeepers, Shortage, as_draining, copies_elsewhere, wanted_elsewhere
from node.replication.planner import Fetch, Planner
from node.replication.view import PeerView, RootView, SwarmView, by_key

ME = "ada"
GIB = 1 << 30
OTHERS = ("bob", "cyd", "dan", "eve")


def peer(name: str, **facts: object) -> PeerView:
    return replace(PeerView(peer_id=name, capacity_bytes=GIB), **facts)  # type: ignore[arg-type]


def root(number: int, *holders: str, **facts: object) -> RootView:
    made = RootView(root=bytes([1, number]), min=1, max=2, size_bytes=1000, holders=frozenset(holders))
    return replace(made, **facts)  # type: ignore[arg-type]


def view(*roots: RootView, **states: str) -> SwarmView:
    peers = {name: peer(name, state=states.get(name, "alive")) for name in (ME, *OTHERS)}
    return SwarmView(me=ME, peers=peers, roots=by_key(roots))


def test_only_sure_copies_on_other_stores_count() -> None:
    held = root(1, ME, *OTHERS, unproven=frozenset({"eve"}))
    assert copies_elsewhere(view(held), held) == 3
    assert copies_elsewhere(view(held, bob="suspect", cyd="down", dan="away"), held) == 1
    shared = view(held)
    twins = {name: peer(name, store_ids={"ipfs": "one"}) for name in ("bob", "cyd")}
    assert copies_elsewhere(replace(shared, peers={**shared.peers, **twins}), held) == 2


def test_what_has_moved_to_another_kind_must_be_there_before_its_last_copies_leave() -> None:
    """Its flow is being migrated, and the copies on the new kind are yet to be made."""
    both = frozenset({"ipfs", "s3"})
    moved_to = root(1, kind="s3")
    held = root(1, ME, min=0, max=0, instead=(moved_to,))
    swarm = view(held)
    swarm = replace(swarm, peers={name: replace(each, kinds=both) for name, each in swarm.peers.items()})
    assert (wanted_elsewhere(held, "max"), wanted_elsewhere(held, "min")) == (2, 1)
    assert copies_elsewhere(swarm, held) == 0
    assert OtherKeepers(swarm).shortage([held], "max") is None
    there = replace(held, instead=(replace(moved_to, holders=frozenset({"bob", "cyd"})),))
    assert copies_elsewhere(swarm, there) == 2
    assert copies_elsewhere(swarm, replace(held, holders=frozenset({ME, "bob"}))) == 1
    nobody = view(held)
    assert OtherKeepers(nobody).shortage([held], "max") == Shortage(peers=2, roots=1, wanted=2, able=0)
    left = replace(held, holders=frozenset({ME, "bob", "cyd"}))
    assert OtherKeepers(nobody).shortage([left], "max") is None, "enough old copies are left behind"
    assert wanted_elsewhere(root(2, ME, min=0, max=0), "max") == 0, "no pin wants it"


def test_a_full_keeper_can_hold_what_it_has_and_a_small_one_nothing_large() -> None:
    held = root(1, ME, "bob")
    crowded = view(held, dan="down", eve="draining")
    peers = {
        "bob": peer("bob", full_kinds=frozenset({"ipfs"})),
        "cyd": peer("cyd", capacity_bytes=1000),
    }
    keepers = OtherKeepers(replace(crowded, peers={**crowded.peers, **peers}))
    assert keepers.able(held) == 1
    assert keepers.able(replace(held, size_bytes=950)) == 2
    assert keepers.shortage([held], "min") is None
    assert keepers.shortage([held], "max") == Shortage(peers=1, roots=1, wanted=2, able=1)


def test_the_worst_root_says_how_many_peers_are_missing() -> None:
    roots = [root(1, ME), root(2, ME, max=5), root(3, ME, max=6)]
    found = OtherKeepers(view(*roots)).shortage(roots, "max")
    assert found == Shortage(peers=2, roots=2, wanted=6, able=4)
    assert found.told() == (
        "2 roots have too few keepers elsewhere; one of them is to have 6 copies and only 4 other keepers can hold it: "
        "2 peers are missing"
    )
    alone = Shortage(peers=1, roots=1, wanted=1, able=0)
    assert alone.told() == "1 root is to have 1 copy elsewhere and no other keeper can hold it: 1 peer is missing"


held_by = st.frozensets(st.sampled_from(OTHERS))


@given(holders=st.lists(held_by, min_size=1, max_size=8), most=st.integers(1, 4), least=st.integers(1, 4))
def test_what_can_be_emptied_is_emptied_by_the_others_plans(
    holders: list[frozenset[str]], most: int, least: int
) -> None:
    """The others, planning on what a draining peer says, bring every root to its copies; then it may leave."""
    roots = [root(n, ME, *some, max=most, min=min(least, most)) for n, some in enumerate(holders)]
    now = as_draining(view(*roots))
    assert OtherKeepers(now).shortage(roots, "max") is None
    for name in OTHERS:
        for action in Planner().survey(replace(now, me=name)).actions:
            if isinstance(action, Fetch):
                key = next(k for k in now.roots if k.root == action.root)
                grown = replace(now.roots[key], holders=now.roots[key].holders | {name})
                now = replace(now, roots={**now.roots, key: grown})
    assert Planner().survey(now).actions == (), "a draining peer does nothing"
    for after in now.roots.values():
        assert copies_elsewhere(now, after) >= after.max
