"""Whatever is refused or set aside is counted under its reason; each case sent by a member over real gossip."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.events import wall_ms
from node.replication.audited import Audited
from node.swarm.names import AUDIT, REPLICA, SYNC, beat_topic, holdings_topic, pins_topic
from node.swarm.refusals import WORDS
from node.swarm.replica_calls import answer_replica_calls
from protocol.amending import amended
from protocol.beat import sign_beat
from protocol.charter_chain import CharterChain
from protocol.flow import Flow
from protocol.holdings import ElementSet
from protocol.holdings_messages import Change, Element, HoldingsDelta, sign_delta
from protocol.identity import KeyPair
from protocol.join_messages import RecordBatch
from protocol.limits import AHEAD_MS, RECORD_BYTES
from protocol.messages import write_message
from protocol.net.errors import RpcFailed
from protocol.records import Record, sign_record
from protocol.stamp import Stamp
from tests.net.hosts import eventually
from tests.swarm.fellows import Fellow, Founded, Honest
from tests.swarm.test_hostile_members import ROOT, beat_of, forged_beat, garbage, met

STEWARD, STRANGER = KeyPair(b"s" * 32), KeyPair(b"x" * 32)
Case = tuple[Callable[[str], str], bytes]


def batch(*signed: tuple[Record, KeyPair]) -> bytes:
    return write_message(RecordBatch(records=tuple(sign_record(record, key).raw for record, key in signed)))


def flow(name: str = "f", ahead_ms: int = 0) -> Flow:
    return Flow(name=name, stamp=Stamp(wall_ms() + ahead_ms, 0))


def fork(founded: Founded) -> bytes:
    chain = CharterChain(founded.swarm)
    chain.rebuild([founded.records[0]])
    stamp = Stamp(wall_ms(), 0)
    return batch(*((replace(amended(chain, name=name), stamp=stamp), STEWARD) for name in ("one", "other")))


def statements(founded: Founded) -> list[Case]:
    key = founded.keys[1]
    said = [ElementSet([Element(ROOT[:-1] + bytes([n]), "ipfs")]) for n in range(2)]
    deltas = [
        HoldingsDelta(after=one.summary(1, 1), changes=(Change(*next(iter(one.elements)), True),)) for one in said
    ]
    return [(holdings_topic, sign_delta(delta, key)) for delta in deltas]


def cases(founded: Founded) -> dict[str, list[Case]]:
    key = founded.keys[1]
    beat = sign_beat(beat_of(key, seq=7), key)
    return {
        "malformed": [(beat_topic, garbage(founded))],
        "forgery": [(beat_topic, forged_beat(founded))],
        "too_large": [(beat_topic, bytes(RECORD_BYTES + 1))],
        "replay": [(beat_topic, beat), (beat_topic, beat)],
        "missing_role": [(pins_topic, batch((flow(), STRANGER)))],
        "future_stamp": [(pins_topic, batch((flow(ahead_ms=2 * AHEAD_MS), key)))],
        "stale": [(pins_topic, batch((flow(ahead_ms=5), key))), (pins_topic, batch((flow(), key)))],
        "fork": [(pins_topic, fork(founded))],
        "clone": statements(founded),
    }


def is_meshed(peer: Honest, hostile: Fellow, founded: Founded) -> bool:
    """Whether each router sends the other what it publishes: until then a message, said once, may be lost."""
    topics = [topic(founded.swarm_id) for topic in (beat_topic, holdings_topic, pins_topic)]
    ends = ((hostile, peer), (peer, hostile))
    return all(
        here.gossip._router.mesh.get(topic) == {there.host.libp2p.get_id()} for topic in topics for here, there in ends
    )


CUT_OFF = frozenset({"malformed", "forgery", "too_large"})


@pytest.mark.parametrize("word", list(cases(Founded(3))))
async def test_it_is_counted_under_its_reason_and_no_other(tmp_path: Path, word: str) -> None:
    async with met(tmp_path) as (peer, hostile, founded):
        await eventually(lambda: is_meshed(peer, hostile, founded))
        for topic, body in cases(founded)[word]:
            await hostile.gossip.publish(topic(founded.swarm_id), body)
        counts = peer.records.refusals.counts
        await eventually(lambda: counts()[word] == 1)
        assert counts() == {**dict.fromkeys(WORDS, 0), word: 1}
        if word in CUT_OFF:
            await eventually(lambda: hostile.host.peer_id not in peer.host.connected())
        else:
            assert hostile.host.peer_id in peer.host.connected()


async def nothing(*_: object) -> None:
    """Never asked: what was sent is refused before."""


def serve_all(peer: Honest) -> None:
    """Every protocol that members speak over streams, but sync, which answers already."""
    Audited(peer.rpc, peer.store, peer.key.peer_id, holds=lambda *_: False, on_unreadable=lambda: None)
    nobody: Any = SimpleNamespace(answer=nothing, take_back=nothing)
    answer_replica_calls(peer.rpc, nobody, nobody, nobody, on_doubt=lambda *_: None)


@pytest.mark.parametrize("protocol", [SYNC, REPLICA, AUDIT])
async def test_what_is_refused_on_streams_is_counted_too(tmp_path: Path, protocol: str) -> None:
    async with met(tmp_path) as (peer, hostile, founded):
        serve_all(peer)
        hostile.rpc.register(protocol, nothing, max_request_bytes=1 << 20, max_response_bytes=1 << 20, concurrency=1)  # type: ignore[arg-type]
        with pytest.raises(RpcFailed):
            await hostile.rpc.call(peer.host.peer_id, protocol, garbage(founded), 30)
        assert peer.records.refusals.counts() == {**dict.fromkeys(WORDS, 0), "malformed": 1}


async def test_a_frame_that_is_too_long_is_counted_too(tmp_path: Path) -> None:
    async with met(tmp_path) as (peer, hostile, _):
        serve_all(peer)
        hostile.rpc.register(AUDIT, nothing, max_request_bytes=1 << 20, max_response_bytes=1 << 20, concurrency=1)  # type: ignore[arg-type]
        with pytest.raises(RpcFailed):
            await hostile.rpc.call(peer.host.peer_id, AUDIT, bytes(1 << 19), 30)
        await eventually(lambda: peer.records.refusals.counts()["malformed"] == 1)
