"""The planner and the lease machine of a whole swarm, over a lossy network with crashes, freezes and splits."""

import pytest

from tests.sim.swarm import Swarm

LEASE_S = 3600


def everything_at(swarm: Swarm, copies: int) -> bool:
    return set(swarm.copies()) == {copies} and set(swarm.copies(up=False)) == {copies}


def quiet(swarm: Swarm, seconds: float) -> bool:
    before = swarm.copied, swarm.released
    swarm.run(seconds)
    return before == (swarm.copied, swarm.released)


def test_five_peers_lose_two_and_get_them_back() -> None:
    swarm = Swarm(1, peers=5, roots=40, factor=(3, 3))
    swarm.run(120)
    assert everything_at(swarm, 3)
    swarm.keepers["p1"].crash()
    swarm.keepers["p2"].freeze()
    swarm.run(90)
    assert set(swarm.copies()) == {3}, "below min: repaired long before repair_after"
    swarm.keepers["p1"].start()
    swarm.keepers["p2"].thaw()
    swarm.run(120)
    assert everything_at(swarm, 3), "what came back is let go"
    assert quiet(swarm, 900)


def test_three_peers_lose_one_at_factor_two() -> None:
    swarm = Swarm(2, peers=3, roots=40, factor=(2, 2))
    swarm.run(90)
    assert everything_at(swarm, 2)
    swarm.keepers["p0"].crash()
    swarm.run(15 + 90)  # four fetches in four seconds: the rest is copying
    assert set(swarm.copies()) == {2}
    swarm.keepers["p0"].start()
    swarm.run(120)
    assert everything_at(swarm, 2)
    assert quiet(swarm, 900)


def test_a_blip_copies_nothing_at_min_or_more() -> None:
    swarm = Swarm(3, peers=6, roots=40, factor=(2, 3))
    swarm.run(120)
    assert everything_at(swarm, 3)
    swarm.keepers["p4"].crash()
    assert quiet(swarm, 240)
    swarm.keepers["p4"].start()
    assert quiet(swarm, 600)


def test_a_dead_peer_is_replaced_after_repair_after_at_min_or_more() -> None:
    swarm = Swarm(4, peers=6, roots=40, factor=(2, 3))
    swarm.run(120)
    swarm.keepers["p4"].crash()
    swarm.run(400)
    assert set(swarm.copies()) == {3}


@pytest.mark.parametrize("seed", range(2))
def test_churn_loses_nothing_by_release_and_settles(seed: int) -> None:
    swarm = churned(seed, with_leases=True)
    assert swarm.released > 10, "the workload must release, or it shows nothing"
    assert swarm.short_releases == 0
    assert swarm.lost_by_release == 0
    swarm.network.loss = 0.0
    for keeper in swarm.keepers.values():
        for root in sorted(keeper.claims - keeper.disk):
            keeper.find_rotten(root)
    swarm.run(LEASE_S + 600)
    assert everything_at(swarm, 3)
    assert quiet(swarm, 600)


def test_without_leases_the_same_seeds_lose_copies_that_are_needed() -> None:
    swarms = [churned(seed, with_leases=False) for seed in range(2)]
    assert sum(swarm.short_releases for swarm in swarms) > 0


def churned(seed: int, *, with_leases: bool) -> Swarm:
    swarm = Swarm(seed, peers=8, zones=3, roots=10, factor=(2, 3), loss=0.1, with_leases=with_leases)
    swarm.run(120)
    swarm.churn(1200)
    return swarm


def test_one_seed_gives_one_story() -> None:
    one, other = churned(7, with_leases=True), churned(7, with_leases=True)
    assert (one.copied, one.released, one.copies()) == (other.copied, other.released, other.copies())
