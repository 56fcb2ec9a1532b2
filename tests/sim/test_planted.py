"""Bugs put in on purpose: the simulation must notice each of them, and nothing without them."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import trio

from node.swarm import records as shared_records
from node.swarm.listening import Listening
from node.swarm.names import beat_topic
from protocol.admission import Expulsion
from protocol.beat import Beat, SignedBeat, sign_beat
from protocol.codec import decode, decode_map
from protocol.identity import KeyPair
from protocol.records import Record, Signed
from protocol.recordset import RecordSet
from tests.sim.network import Conditions
from tests.sim.swarm import Setting, Swarm, simulate

# skip the lease


@pytest.mark.parametrize("planted", [False, True])
def test_letting_go_without_leases_is_noticed(planted: bool) -> None:
    async def story(swarm: Swarm) -> None:
        await swarm.run(10)
        swarm.add(40, at=[peer for peer in swarm.peers if not peer.disk.lies])
        await swarm.run(60)

    setting = Setting(seed=1, liars=4, conditions=Conditions(gossip_loss=0.05), with_leases=not planted)

    async def judged(swarm: Swarm) -> tuple[int, int]:
        await story(swarm)
        return len(swarm.truth.short_releases), len(swarm.truth.lost_by_release)

    short, lost = simulate(setting, judged)
    assert (short > 0) == planted
    assert (lost > 0) == planted


# plan on forged heartbeats


@contextmanager
def any_beat_is_believed() -> Iterator[None]:
    """The planted bug: a beat counts for whoever it names, whoever signed it and whoever sent it."""

    async def take_any_beat(listening: Any, author: str, raw: bytes) -> None:
        payload = decode(decode_map(raw)["p"], (Beat.KIND,))
        assert payload is not None
        body = payload[1]
        signed = SignedBeat(beat=Beat.from_body(body), sender=body["author"], raw=raw)
        if listening._knowledge.membership.is_new(signed):
            listening._knowledge.take_beat(signed)
            listening._on_beat(signed)

    with patch.object(Listening, "_take_beat", take_any_beat):
        yield


def forged(beat: Beat, victim: str, key: KeyPair) -> bytes:
    """A beat that names the victim as its author, signed by somebody else."""

    class Pretender:
        peer_id = victim
        sign = key.sign

    return sign_beat(beat, Pretender())  # type: ignore[arg-type]


@pytest.mark.parametrize("planted", [False, True])
def test_planning_on_forged_heartbeats_is_noticed(planted: bool) -> None:
    """A forger keeps a dead peer alive in the others' eyes: its copies are never made anew."""

    async def forge(swarm: Swarm, forger: KeyPair, victim: str, last: Beat) -> None:
        seq = last.seq
        while True:
            seq += 1
            raw = forged(replace(last, seq=seq), victim, forger)
            swarm.network.gossip(forger.peer_id, beat_topic(swarm.founding.swarm_id), raw)
            await trio.sleep(5)

    async def story(swarm: Swarm) -> int:
        swarm.add(15)
        await swarm.settle(3, 400)
        victim, forger, witness = swarm.peers[3], swarm.peers[5], swarm.peers[0]
        member = witness.daemon.parts.knowledge.membership.get(victim.peer_id)
        assert member is not None
        last = member.beat
        assert last is not None
        await victim.die()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(forge, swarm, forger.key, victim.peer_id, last)
            await swarm.run(600)
            nursery.cancel_scope.cancel()
        return min(swarm.copies())

    with any_beat_is_believed() if planted else nullcontext():
        copies = simulate(Setting(seed=2, peers=6), story)
    assert copies == (2 if planted else 3)


# let an expelled author's records differ by time of joining


@contextmanager
def what_counted_once_counts_for_ever() -> Iterator[None]:
    """The planted bug: an expulsion says nothing of records that are here already."""
    recount = RecordSet._recount

    def recount_late_ones(records: Any, key: bytes, slot: Any, journal: Any, **how: Any) -> None:
        if slot.counting is None or not _only_its_author_fell(records, slot.counting):
            recount(records, key, slot, journal, **how)

    def _only_its_author_fell(records: Any, counting: Signed[Record]) -> bool:
        standing = records.standing(counting.author)
        return standing is not None and standing.expelled

    with patch.object(RecordSet, "_recount", recount_late_ones):
        yield


@pytest.mark.parametrize("planted", [False, True])
def test_records_of_an_expelled_author_that_differ_by_time_of_joining_are_noticed(planted: bool) -> None:
    """Who joins after an expulsion must see the same pins as who was there before it."""

    async def story(swarm: Swarm) -> int:
        swarm.add(6, at=[swarm.peers[3]])
        await swarm.run(30)
        steward = swarm.peers[0]
        expulsion = Expulsion(peer=swarm.peers[3].key.peer_id)
        written = await steward.ask(lambda: steward.daemon.parts.records.write(expulsion, as_steward=True))
        assert written
        await swarm.run(30)
        joined = await swarm.join()
        await swarm.run(120)
        there = [peer for peer in swarm.up() if peer is not swarm.peers[3]]
        assert joined in there
        return len({peer.daemon.parts.records.counting.digest for peer in there})

    with (
        patch.object(shared_records, "JUDGED_AT_ONCE", 1),
        what_counted_once_counts_for_ever() if planted else nullcontext(),
    ):
        digests = simulate(Setting(seed=3, peers=5), story)
    assert (digests > 1) == planted
