"""What a member says that no honest one would costs it its connection or is ignored, and never ends the peer it is told."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from node.swarm.names import SYNC, beat_topic, holdings_topic, pins_topic
from node.swarm.records import HELD_SPARE
from protocol import messages as m
from protocol.beat import Beat, sign_beat
from protocol.holdings import ElementSet
from protocol.holdings_messages import Change, Element, HoldingsDelta, LastHeardAnswer, LastHeardAsk, sign_delta
from protocol.identity import KeyPair
from protocol.join_messages import RecordBatch
from protocol.messages import write_message
from protocol.net.rpc import Rpc
from protocol.places import END
from protocol.ranges import Part, pack
from tests.net.hosts import DEADLINE_S, connect_all, eventually, running
from tests.swarm.fellows import Fellow, Founded, Honest, honest

ROOT = b"\x01\x70\x12\x20" + bytes(32)
STRANGER = KeyPair(b"x" * 32)


def beat_of(key: KeyPair, **given: object) -> Beat:
    plain = Beat(
        incarnation=1, seq=1, clock_ms=1_800_000_000_000, name="m", capacity_bytes=1, used_bytes=0,
        records_digest=bytes(32), holdings=ElementSet().summary(1, 0), version="0",
    )  # fmt: skip
    return replace(plain, **given)  # type: ignore[arg-type]


@asynccontextmanager
async def met(
    tmp_path: Path, serve: Callable[[Rpc], None] = lambda _: None
) -> AsyncIterator[tuple[Honest, Fellow, Founded]]:
    """An honest member and a hostile one, connected, each knowing that the other listens."""
    founded = Founded(3)
    hostile = Fellow(founded, founded.keys[1])
    serve(hostile.rpc)
    for topic in (beat_topic, pins_topic, holdings_topic):
        hostile.gossip.subscribe(topic(founded.swarm_id), lambda *_: True)
    async with honest(founded, founded.keys[0], tmp_path) as peer, running(hostile.host):
        await connect_all([peer.host, hostile.host])
        await eventually(lambda: peer.host.peer_id in hostile.gossip.neighbours(beat_topic(founded.swarm_id)))
        yield peer, hostile, founded


async def tell(hostile: Fellow, topic: str, raws: Sequence[bytes], until: Callable[[], bool]) -> None:
    """Gossip these until it has shown an effect: a router that has just met another may lose a message."""
    with trio.fail_after(DEADLINE_S):
        while not until():
            for raw in raws:
                await hostile.gossip.publish(topic, raw)
            await trio.sleep(0.2)


def garbage(_: Founded) -> bytes:
    return b"\xff\x00 what"


def forged_beat(founded: Founded) -> bytes:
    signed = bytearray(sign_beat(beat_of(founded.keys[1]), founded.keys[1]))
    signed[-1] ^= 1
    return bytes(signed)


def beat_of_another(founded: Founded) -> bytes:
    return sign_beat(beat_of(founded.keys[2]), founded.keys[2])


def holdings_of_another(founded: Founded) -> bytes:
    after = ElementSet([Element(ROOT, "ipfs")]).summary(1, 1)
    return sign_delta(HoldingsDelta(after=after, changes=(Change(ROOT, "ipfs", True),)), founded.keys[2])


def forged_records(founded: Founded) -> bytes:
    raw = bytearray(founded.records[0].raw)
    raw[-1] ^= 1
    return write_message(RecordBatch(records=(bytes(raw),)))


@pytest.mark.parametrize(
    ("topic", "make"),
    [
        (beat_topic, garbage),
        (beat_topic, forged_beat),
        (beat_topic, beat_of_another),
        (holdings_topic, garbage),
        (holdings_topic, holdings_of_another),
        (pins_topic, garbage),
        (pins_topic, forged_records),
    ],
)
async def test_a_lie_by_gossip_costs_the_connection(
    tmp_path: Path, topic: Callable[[str], str], make: Callable[[Founded], bytes]
) -> None:
    async with met(tmp_path) as (peer, hostile, founded):
        lie = make(founded)
        await tell(hostile, topic(founded.swarm_id), [lie], lambda: hostile.host.peer_id not in peer.host.connected())
        assert all(known.last is None for known in peer.knowledge.membership.peers().values())
        assert not peer.knowledge.book.holders(ROOT, "ipfs")


async def test_a_replayed_beat_and_a_replayed_statement_change_nothing(tmp_path: Path) -> None:
    async with met(tmp_path) as (peer, hostile, founded):
        key, topic = hostile.key, beat_topic(founded.swarm_id)
        newer = beat_of(key, seq=5, holdings=ElementSet().summary(2, 0))
        me = peer.knowledge.membership

        def named(name: str) -> bool:
            known = me.get(key.peer_id)
            return known is not None and known.beat is not None and known.beat.name == name

        await tell(hostile, topic, [sign_beat(newer, key)], lambda: named("m"))
        older, last = beat_of(key, seq=4, name="older"), replace(newer, seq=6, name="last")
        await tell(hostile, topic, [sign_beat(older, key), sign_beat(last, key)], lambda: named("last"))
        assert me.orders()[key.peer_id] == (1, 6)
        assert peer.knowledge.last_heard(key.peer_id, LastHeardAsk()) == LastHeardAnswer(incarnation=1, epoch=2, seq=0)


def answering(answer: Callable[[bytes], Awaitable[bytes]]) -> Callable[[Rpc], None]:
    async def handle(peer_id: str, body: bytes) -> bytes:
        return await answer(body)

    return lambda rpc: rpc.register(SYNC, handle, max_request_bytes=1 << 20, max_response_bytes=1 << 20, concurrency=8)


@pytest.mark.parametrize(
    "answer",
    [
        m.SyncRanges(ranges=b"\x01\xff\x01\xff"),
        m.SyncRanges(),
        m.SyncRecords(taken=1, records=(b"rubbish",)),
        m.SyncElements(),
        m.LastHeardAnswer(),
        None,
    ],
)
async def test_sync_answered_out_of_turn_or_with_rubbish_costs_the_connection(
    tmp_path: Path, answer: m.SyncRanges | m.SyncRecords | m.SyncElements | m.LastHeardAnswer | None
) -> None:
    async def say(_: bytes) -> bytes:
        return b"\x00" if answer is None else write_message(answer)

    async with met(tmp_path, answering(say)) as (peer, hostile, _):
        peer.catching_up.trigger.ask_anyone()
        await eventually(lambda: hostile.host.peer_id not in peer.host.connected())
        assert not peer.catching_up.synced.is_set()


async def test_a_set_too_large_to_be_true_is_not_taken_and_not_asked_for_all_the_time(tmp_path: Path) -> None:
    asked = 0
    statement = b""

    async def say(_: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return write_message(m.SyncRanges(ranges=pack([Part(END, places=(bytes(16),))]), statement=statement))

    async with met(tmp_path, answering(say)) as (peer, hostile, founded):
        huge = replace(ElementSet().summary(1, 9), count=HELD_SPARE * 2)
        statement = sign_beat(beat_of(hostile.key, holdings=huge), hostile.key)
        await tell(hostile, beat_topic(founded.swarm_id), [statement], lambda: asked > 0)
        await eventually(lambda: asked >= 2)
        assert asked <= 4  # once a try, and the next try waits ever longer
        assert not peer.knowledge.book.holders(ROOT, "ipfs")


async def test_coming_back_believes_what_can_be_and_no_more(tmp_path: Path) -> None:
    answers = [LastHeardAnswer(incarnation=2**53 - 1, epoch=2**53 - 1, seq=1)]

    async def say(_: bytes) -> bytes:
        return write_message(answers[0])

    async with met(tmp_path, answering(say)) as (peer, _, _founded):
        await peer.comeback.run()
        assert peer.comeback.may_speak.is_set()
        assert peer.comeback.incarnation == 1
        assert peer.knowledge.own.epoch == 1
        peer.comeback.may_speak = trio.Event()
        answers[0] = LastHeardAnswer(incarnation=7, epoch=3, seq=12)
        await peer.comeback.run()
        assert peer.comeback.incarnation == 8
        assert peer.store.fact("incarnation") == b"8"
        assert peer.knowledge.own.order == (4, 0)
        assert peer.store.holding_state().epoch == 4
