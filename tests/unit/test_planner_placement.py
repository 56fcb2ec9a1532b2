"""Placement: the vectors that pin it, its weights, its zones, and how little moves when a peer comes or goes."""

import json
import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from node.replication.placement import (
    WEIGHT_BITS,
    Ranking,
    Slot,
    costs,
    negative_log2,
    root_seed,
    slot_seed,
    slots_of,
    spread,
    weights,
)
from tests.swarm_views import peer

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "placement.json").read_text())
ROOTS = [number.to_bytes(36, "big") for number in range(10_000)]


def test_vectors() -> None:
    for vector in VECTORS["costs"]:
        root, name, weight = bytes.fromhex(vector["root"]), vector["slot"], vector["weight"]
        assert root_seed(root) == int(vector["root_seed"], 16)
        assert slot_seed(name) == int(vector["slot_seed"], 16)
        cost = costs(*(np.array([n], dtype=np.uint64) for n in (root_seed(root), slot_seed(name), weight)))
        assert int(cost[0, 0]) == vector["cost"]


def test_order_vectors() -> None:
    for vector in VECTORS["orders"]:
        slots = slots_of([peer(p["peer_id"], capacity_bytes=p["capacity_bytes"]) for p in vector["peers"]], "ipfs")
        ranking = Ranking(slots)
        assert [slot.weight for slot in slots] == vector["weights"]
        assert [slots[i].slot_id for i in ranking.order(bytes.fromhex(vector["root"]))] == vector["order"]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50))
def test_the_integer_logarithm_is_monotone_and_close(words: list[int]) -> None:
    words.sort()
    found = [int(n) for n in negative_log2(np.array(words, dtype=np.uint64))]
    assert found == sorted(found, reverse=True)
    assert all(1 <= n <= 64 << 34 for n in found)
    for word, log in zip(words, found, strict=True):
        assert math.isclose(log / 2**34, 64 - math.log2(word + 1), rel_tol=1e-9, abs_tol=3e-7)


def test_weights_are_capped_at_four_rounded_medians() -> None:
    one = 1 << WEIGHT_BITS
    assert weights([100, 256, 10_000, 0], [100, 130, 10_000]) == [100 * one // 512, one // 2, one, 1]
    assert weights([5], []) == [one]
    assert weights([1 << 80], [1 << 80, 1 << 80]) == [one // 4]


def test_first_places_follow_weights() -> None:
    peers = [peer("a", capacity_bytes=100), peer("b", capacity_bytes=200), peer("c", capacity_bytes=300)]
    ranking = Ranking(slots_of(peers, "ipfs"))
    ranking.learn(ROOTS)
    firsts = [ranking.order(root)[0] for root in ROOTS]
    assert [round(firsts.count(n) / 10_000, 1) for n in range(3)] == [0.2, 0.3, 0.5]


def test_peers_of_one_store_are_one_slot() -> None:
    shared = {"ipfs": "bucket"}
    peers = [peer("c", store_ids=shared, capacity_bytes=5), peer("b"), peer("a", store_ids=shared, capacity_bytes=9)]
    slots = slots_of(peers, "ipfs")
    assert [(slot.slot_id, slot.peers, slot.capacity_bytes) for slot in slots] == [
        ("a", ("a", "c"), 9),
        ("b", ("b",), 1 << 40),
    ]
    assert len(slots_of(peers, "s3")) == 3


def test_who_left_or_was_expelled_has_no_slot_and_who_is_down_keeps_its_weight_in_the_median() -> None:
    peers = [peer("a"), peer("b", "down"), peer("c", "left"), peer("d", "expelled")]
    assert [slot.slot_id for slot in slots_of(peers, "ipfs")] == ["a", "b"]


def test_a_blip_changes_no_ranking() -> None:
    peers = [peer(name) for name in "abc"]
    ranking = Ranking(slots_of(peers, "ipfs"))
    assert ranking.matches(slots_of([peer("a", "down"), *peers[1:]], "ipfs"))
    assert not ranking.matches(slots_of(peers[1:], "ipfs"))
    assert not ranking.matches(slots_of([peer("a", capacity_bytes=1 << 39), *peers[1:]], "ipfs"))


@given(st.permutations(range(8)), st.lists(st.sampled_from("xyz"), min_size=8, max_size=8), st.integers(0, 9))
def test_zones_fill_evenly(order: list[int], zones: list[str], count: int) -> None:
    picks = spread(order, zones, count, among=lambda _: True)
    assert len(set(picks)) == len(picks) == min(count, 8)
    available = {zone: zones.count(zone) for zone in zones}
    used = {zone: sum(zones[slot] == zone for slot in picks) for zone in zones}
    most = max(used.values())
    assert all(used[zone] >= most - 1 or used[zone] == available[zone] for zone in zones)


def owners(slots: tuple[Slot, ...], copies: int) -> dict[bytes, set[str]]:
    ranking = Ranking(slots)
    ranking.learn(ROOTS)
    zones = [slot.zone for slot in slots]
    picks = {root: spread(ranking.order(root), zones, copies, among=lambda _: True) for root in ROOTS}
    return {root: {slots[slot].slot_id for slot in chosen} for root, chosen in picks.items()}


def test_a_peer_that_joins_or_leaves_moves_only_its_share() -> None:
    """Invariant 3 over 10,000 roots of one size, ten peers of unlike capacity in one zone, three copies."""
    capacities = [700, 800, 900, 1000, 1024, 1100, 1200, 1300, 2000, 3000]
    peers = [peer(f"peer {n}", capacity_bytes=capacity) for n, capacity in enumerate(capacities)]
    before = owners(slots_of(peers, "ipfs"), 3)
    for gone in (0, 4, 9):
        rest = slots_of([one for one in peers if one is not peers[gone]], "ipfs")
        assert [s.weight for s in rest] == [s.weight for s in slots_of(peers, "ipfs") if s.slot_id != f"peer {gone}"]
        after = owners(rest, 3)
        moved = sum(len(after[root] - before[root]) for root in ROOTS)
        named = sum(f"peer {gone}" in before[root] for root in ROOTS)
        assert moved == named, "nothing moves but what the peer that left was named for"
        assert moved / (3 * len(ROOTS)) <= 1.2 * capacities[gone] / sum(capacities)
