"""What an absent peer last said is known again after a restart of those who heard it."""

from collections import Counter
from functools import partial

import trio

from node.operations.members import Members
from node.operations.ordering import Ordering
from node.operator_service import SetMaintenance
from node.rows import PeerRow
from protocol.membership import Peer
from tests.sim.peer import SimPeer
from tests.sim.swarm import Setting, Swarm, simulate

AWAY_S = 1200.0
"""Long beside `repair_after`, which is 300 s."""


async def say_away(peer: SimPeer, seconds: float | None) -> None:
    """`pina maintenance --for`, or `--off`."""
    await peer.ask(partial(Ordering(peer.daemon.parts).set_maintenance, SetMaintenance(for_s=seconds)))


async def leave_for(peer: SimPeer, seconds: float) -> None:
    """For maintenance; the daemon is stopped."""
    await say_away(peer, seconds)
    await peer.stop()


async def row_of(peer: SimPeer, other: SimPeer) -> PeerRow:
    """What `pina peers` says of the other there."""
    rows = await peer.ask(partial(Members(peer.daemon.parts).peers))
    return next(row for row in rows if row.peer_id == other.peer_id)


def seen_by(peer: SimPeer, other: SimPeer) -> Peer:
    found = peer.daemon.parts.knowledge.membership.get(other.peer_id)
    assert found is not None
    return found


def standings(peer: SimPeer) -> Counter[str]:
    return Counter({word: count for word, count in peer.daemon.parts.controller.standings.items() if count})


def test_nothing_is_copied_for_who_is_away_although_all_others_restart() -> None:
    async def story(swarm: Swarm) -> None:
        *others, cyd = swarm.peers
        swarm.add(25)
        await swarm.settle(3, 180)
        await leave_for(cyd, AWAY_S)
        await swarm.run(4)  # until everybody has heard it; to nobody is it silent yet
        for peer in others:
            await peer.stop()
        await swarm.run(120)
        for peer in others:
            await peer.start()
        assert {seen_by(peer, cyd).sees for peer in others} == {"suspect"}
        assert await swarm.is_quiet(AWAY_S - 300)
        assert {seen_by(peer, cyd).state(trio.current_time()) for peer in others} == {"away"}
        await swarm.until(lambda: set(swarm.copies()) == {3}, 700)  # it did not come back

    simulate(Setting(seed=21, peers=4), story)


def test_who_fell_silent_before_a_kill_is_missed_from_the_start_on_only() -> None:
    async def story(swarm: Swarm) -> None:
        *others, cyd = swarm.peers
        swarm.add(25)
        await swarm.settle(3, 180)
        await cyd.kill(silently=True)
        await swarm.run(40)
        for peer in others:
            await peer.kill()
        await swarm.run(60)
        for peer in others:
            await peer.start()
        assert await swarm.is_quiet(290)
        await swarm.until(lambda: set(swarm.copies()) == {3}, 120)

    simulate(Setting(seed=22, peers=4), story)


def test_who_was_down_is_down_after_any_number_of_restarts() -> None:
    async def story(swarm: Swarm) -> None:
        ada, bob, cyd = swarm.peers
        ada.capacity_bytes = bob.capacity_bytes = 1
        await swarm.start()
        swarm.add(5, at=[cyd])
        await swarm.run(60)
        await cyd.kill(silently=True)
        await swarm.run(60)
        await ada.stop()
        await ada.start()
        await swarm.run(400)
        for peer in (ada, bob, ada):  # ada saw it fall silent before a restart, and has never heard it since
            assert seen_by(peer, cyd).sees == "down"
            await peer.kill()
            await peer.start()
            assert seen_by(peer, cyd).sees == "down"
            await swarm.run(60)
            assert standings(peer) == Counter({"lost": 5})
        await cyd.start()
        await swarm.run(30)
        assert seen_by(ada, cyd).sees == "alive"

    simulate(Setting(seed=25, peers=3), story, started=False)


def test_roots_that_only_an_absent_peer_holds_stay_its_own() -> None:
    async def story(swarm: Swarm) -> None:
        *others, cyd = swarm.peers
        for peer in others:
            peer.capacity_bytes = 1  # so nothing is ever copied
        await swarm.start()
        roots = swarm.add(5, at=[cyd])
        await swarm.run(60)
        await leave_for(cyd, AWAY_S)
        await swarm.run(60)
        before = [standings(peer) for peer in others]
        for peer in others:
            await peer.stop()
            await peer.start()
        await swarm.run(60)
        for peer in others:
            knowledge = peer.daemon.parts.knowledge
            assert {knowledge.holders_of_any(root) for root in roots} == {frozenset({cyd.peer_id})}
        assert [standings(peer) for peer in others] == before == [Counter({"below_min": 5})] * 2
        await swarm.run(AWAY_S + 300)
        assert [standings(peer) for peer in others] == [Counter({"lost": 5})] * 2

    simulate(Setting(seed=23, peers=3), story, started=False)


def test_who_is_back_is_not_taken_for_away_by_what_it_said_before() -> None:
    async def story(swarm: Swarm) -> None:
        ada, *_, cyd = swarm.peers
        swarm.add(10)
        await swarm.settle(3, 180)
        await say_away(cyd, AWAY_S)
        await swarm.run(30)
        await say_away(cyd, None)
        await swarm.run(30)
        await ada.kill()
        await cyd.kill(silently=True)
        await ada.start()
        await swarm.run(60)
        assert seen_by(ada, cyd).state(trio.current_time()) == "suspect"

    simulate(Setting(seed=24, peers=4), story)


def test_who_was_last_seen_before_our_start_was_seen_that_long_ago() -> None:
    async def story(swarm: Swarm) -> None:
        ada, bob = swarm.peers
        await swarm.run(30)
        assert (await row_of(ada, bob)).state == "active"
        await bob.kill(silently=True)
        await swarm.run(100)
        await ada.stop()
        await swarm.run(100)
        await ada.start()
        await swarm.run(50)
        row = await row_of(ada, bob)
        assert (row.name, row.zone, row.state, row.sees) == (bob.name, bob.zone, "active", "suspect")
        assert row.addrs == (bob.address,)
        assert row.last_seen_s is not None
        assert 240 < row.last_seen_s < 270

    simulate(Setting(seed=32, peers=2), story)
