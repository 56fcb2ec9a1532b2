"""Whole swarms of real peers over a simulated network: what DESIGN §7 promises, seen from outside."""

from functools import partial

import pytest
import trio

from node.events import wall_ms
from tests.sim.faults import Faults, Rates
from tests.sim.network import Conditions
from tests.sim.peer import SimPeer
from tests.sim.story import Course, tell
from tests.sim.swarm import Setting, Swarm, simulate

LEASE_S = 3600.0

LOSSY = Conditions(gossip_loss=0.02, call_loss=0.01)


def test_five_peers_lose_two_and_get_them_back() -> None:
    async def story(swarm: Swarm) -> None:
        swarm.add(25)
        await swarm.settle(3, 180)
        await swarm.peers[1].kill(silently=True)
        swarm.peers[2].freeze()
        await swarm.until(lambda: set(swarm.copies()) == {3}, 90)  # below min: long before repair_after
        await swarm.peers[1].start()
        swarm.peers[2].thaw()
        await swarm.settle(3, 180)  # what came back is let go
        assert await swarm.is_quiet(300)
        assert not swarm.truth.short_releases

    simulate(Setting(seed=1, peers=5, factor=(3, 3)), story)


def test_a_blip_copies_nothing_at_min_or_more() -> None:
    async def story(swarm: Swarm) -> None:
        swarm.add(25)
        await swarm.settle(3, 180)
        await swarm.peers[4].kill(silently=True)
        assert await swarm.is_quiet(240)
        await swarm.peers[4].start()
        assert await swarm.is_quiet(320)

    simulate(Setting(seed=3, peers=6), story)


def test_a_dead_peer_is_replaced_after_repair_after() -> None:
    async def story(swarm: Swarm) -> None:
        swarm.add(25)
        await swarm.settle(3, 180)
        await swarm.peers[4].kill(silently=True)
        assert await swarm.is_quiet(290)
        await swarm.until(lambda: set(swarm.copies()) == {3}, 120)

    simulate(Setting(seed=4, peers=6), story)


async def look_around(peers: list[SimPeer]) -> None:
    """People ask what goes on: who asks first notices who fell silent, and has everything planned anew."""

    async def look(peer: SimPeer) -> None:
        peer.daemon.blocked()

    while True:
        for peer in peers:
            await peer.ask(partial(look, peer))
        await trio.sleep(0.3)


def test_most_of_the_capacity_gone_copies_nothing_that_has_two_live_copies() -> None:
    async def story(swarm: Swarm) -> None:
        *small, giant = swarm.peers
        giant.capacity_bytes *= 10
        await swarm.start()
        swarm.add(25)
        await swarm.settle(3, 180)
        await giant.kill(silently=True)
        assert min(swarm.copies()) == 2
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look_around, small)
            assert await swarm.is_quiet(600)  # neither when it is suspect nor when it is down
            nursery.cancel_scope.cancel()
        assert await small[0].ask(lambda: small[0].daemon.parts.storm.repair_now(wall_ms())) == (giant.peer_id,)
        await swarm.until(lambda: set(swarm.copies()) == {3}, 120)

    simulate(Setting(seed=9, peers=4, factor=(3, 3)), story, started=False)


def test_no_two_copies_share_a_zone_after_repair_either() -> None:
    def zones(swarm: Swarm) -> set[int]:
        zone_of = {peer.peer_id: peer.zone for peer in swarm.peers}
        return {len({zone_of[peer] for peer in copies}) for copies in swarm.truth.copies.values()}

    async def story(swarm: Swarm) -> None:
        swarm.add(25)
        await swarm.settle(3, 180)
        assert zones(swarm) == {3}
        await swarm.peers[0].die()
        await swarm.settle(3, 600)
        assert zones(swarm) == {3}

    simulate(Setting(seed=5, peers=8, zones=4), story)


def test_a_disk_that_cannot_be_read_is_advertised_no_longer_than_a_minute() -> None:
    def believed(swarm: Swarm, peer: SimPeer) -> int:
        other = swarm.peers[0].daemon.parts.knowledge
        return sum(peer.peer_id in other.holders(root, "ipfs") for root in swarm.truth.images)

    async def story(swarm: Swarm) -> None:
        swarm.add(25)
        await swarm.settle(3, 180)
        broken = swarm.peers[3]
        assert believed(swarm, broken) > 3
        broken.disk.unreadable = True
        await swarm.until(lambda: believed(swarm, broken) == 0, 60)
        broken.disk.on_change(list(swarm.truth.images))
        await swarm.until(lambda: set(swarm.copies()) == {3}, 300)

    simulate(Setting(seed=6, peers=6), story)


def test_what_was_acknowledged_is_there() -> None:
    async def story(swarm: Swarm) -> None:
        swarm.add(10, wait=3)
        await swarm.until(lambda: len(swarm.acknowledgements) == 10, 60)
        assert {count for _, count in swarm.acknowledgements} == {3}
        assert min(swarm.copies()) >= 3

    simulate(Setting(seed=7, peers=6, conditions=LOSSY), story)


async def churned(swarm: Swarm, *, seconds: float, speed: float, roots: int) -> Faults:
    """An eventful time: `Rates` made faster."""
    await swarm.run(10)
    swarm.add(roots, at=[peer for peer in swarm.peers if not peer.disk.lies])
    await swarm.run(60)
    rates = Rates()
    faster = Rates(**{name: getattr(rates, name) * speed for name in Rates.__slots__})
    faults = Faults(swarm, faster, seed=swarm.setting.seed)
    await faults.run(seconds)
    return faults


def eventful(seed: int, *, liars: int, with_leases: bool) -> Setting:
    """Calls are not lost: a lease that is not given back binds for an hour, which is what a slow test is for."""
    conditions = Conditions(gossip_loss=0.05)
    return Setting(seed=seed, peers=8, conditions=conditions, liars=liars, with_leases=with_leases)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_churn_loses_nothing_by_release_and_settles(seed: int) -> None:
    async def story(swarm: Swarm) -> None:
        faults = await churned(swarm, seconds=400, speed=120, roots=15)
        assert len(faults.happened) > 4, "the workload must be eventful"
        assert swarm.truth.released > 4, "and move things"
        assert not swarm.truth.short_releases
        assert not swarm.truth.lost_by_release
        await swarm.until(lambda: min(swarm.copies()) >= 3, 600)
        await swarm.settle(3, LEASE_S + 600)
        assert len({peer.daemon.parts.records.counting.digest for peer in swarm.peers if peer.state == "up"}) == 1
        assert not swarm.truth.short_releases
        assert not swarm.truth.lost_by_release

    simulate(eventful(seed, liars=0, with_leases=True), story)


def test_rot_that_nobody_has_read_is_no_want_of_rest_and_what_was_found_is() -> None:
    async def story(swarm: Swarm) -> None:
        roots = swarm.add(20)
        await swarm.settle(3, 180)
        assert swarm.at_rest()
        assert swarm.truth.rot_unfound() == 0
        keeper = next(peer for peer in swarm.peers if peer.peer_id in swarm.truth.copies[roots[0]])
        keeper.disk.rot(swarm.truth.images[roots[0]].cids[1])
        assert swarm.truth.live(roots[0]) == 2
        assert swarm.at_rest()
        assert swarm.truth.rot_unfound() == 1
        await keeper.ask(partial(scrubbed, keeper))
        assert not swarm.at_rest(), "a bad copy that was found is to be replaced"
        assert swarm.truth.rot_unfound() == 0
        await swarm.settle(3, 600)
        await keeper.kill()
        assert not swarm.at_rest(), "nor are copies there that nobody can reach"

    simulate(Setting(seed=12, peers=6), story)


async def scrubbed(peer: SimPeer) -> None:
    peer.daemon.parts.store.scrub()


@pytest.mark.parametrize("with_leases", [True, False])
def test_only_leases_keep_the_images_that_liars_claim_to_hold(with_leases: bool) -> None:
    async def story(swarm: Swarm) -> int:
        await churned(swarm, seconds=60, speed=30, roots=60)
        assert bool(swarm.truth.short_releases) != with_leases
        return len(swarm.truth.lost_by_release)

    lost = simulate(eventful(11, liars=4, with_leases=with_leases), story)
    assert (lost == 0) == with_leases


def test_one_seed_gives_one_story() -> None:
    async def story(swarm: Swarm) -> tuple[object, ...]:
        faults = await churned(swarm, seconds=60, speed=300, roots=10)
        return faults.happened, swarm.network.moved_bytes, swarm.network.gossip_bytes, swarm.truth.copies

    one, other = (simulate(eventful(5, liars=1, with_leases=True), story) for _ in range(2))
    assert one == other


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_twentieth_of_the_long_form() -> None:
    seed = 20
    course = Course(images=100, hours=3.6, speed=10)
    setting = Setting(seed=seed, peers=10, zones=5, conditions=LOSSY)
    told = tell(setting, course)
    print(f"seed {seed}: {told}")
    assert told.sound
    assert not told.lost_by_fault
    assert told.digests == 1
    assert told.converged_s is not None
    assert told.moved_bytes < 6 * told.least_bytes
