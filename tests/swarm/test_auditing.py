"""A holder that says it has what it has not is found out by those who have it, and another copy is made."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from node.events import wall_ms
from node.replication.audited import CONCURRENCY, MAX_REQUEST_BYTES, Audited
from node.replication.auditing import Auditing
from node.replication.beliefs import Beliefs
from node.replication.placement import Ranking, Slot
from node.replication.planner import Fetch, Planner, Urgency
from node.replication.view import RootKey
from node.swarm.names import AUDIT
from node.swarm.replica_calls import answer_replica_calls
from node.swarm.speaking import Description
from protocol.audit import ABSENT_MS, DOUBT_MS, MAX_DOUBTS_PER_CHALLENGER, MINUTE_MS
from protocol.audit_messages import AuditAnswer, AuditAsk
from protocol.author import Author
from protocol.beat import BackendReport, Beat, open_beat, sign_beat
from protocol.fields import Replicas
from protocol.holdings import ElementSet
from protocol.holdings_messages import Change, Element, HoldingsDelta, sign_delta
from protocol.identity import KeyPair, PeerId
from protocol.messages import read_message, write_message
from protocol.pin import Pin
from protocol.receipt_messages import Doubt, DoubtNotice, sign_doubt
from store.store import Owner
from tests.net.hosts import connect_all, eventually, running
from tests.swarm.fellows import Fellow, Founded, Honest, honest
from tests.unit.store.made import large


def placed_on_the_first_two() -> tuple[bytes, bytes]:
    """A block that placement names ada and the liar for, so that the plan alone would have nobody replace its copy."""
    ids = [key.peer_id for key in Founded(3).keys]
    slots = [Slot(slot_id=one, peers=(one,), zone="", capacity_bytes=10**9, weight=1) for one in sorted(ids)]
    ranking = Ranking(slots)
    names = (f"what is held {number}" for number in range(100))
    return next(block for block in map(large, names) if slots[ranking.order(block[0])[-1]].slot_id == ids[2])


ROOT, BLOCK = placed_on_the_first_two()
KEY = RootKey(ROOT, "ipfs")
Answerer = Callable[[Fellow, bytes], Awaitable[bytes]]


@dataclass
class Auditor:
    """An honest member that audits and plans; its clock is the test's."""

    peer: Honest
    unreadable: list[bool] = field(default_factory=list)
    doubted: list[bytes] = field(default_factory=list)
    now_ms: int = field(default_factory=wall_ms)

    def __post_init__(self) -> None:
        peer = self.peer
        self.audited = Audited(
            peer.rpc, peer.store, peer.key.peer_id, holds=peer.knowledge.own.holds,
            on_unreadable=lambda: self.unreadable.append(True),
        )  # fmt: skip
        self.auditing = Auditing(
            peer.rpc, peer.store, peer.knowledge, now_ms=lambda: self.now_ms, blocked=lambda: None,
            owners_of=lambda *_: self.placed(), on_unreadable=lambda: self.unreadable.append(True),
            on_doubted=lambda root, _: self.doubted.append(root), on_judged=lambda _: None,
        )  # fmt: skip
        nobody: Any = None
        answer_replica_calls(peer.rpc, nobody, nobody, nobody, on_doubt=self.auditing.heard)
        self.beliefs = Beliefs(
            peer.knowledge, describe=described, linked=lambda: frozenset(peer.host.connected()), blocked=lambda: None,
            doubts=self.auditing,
        )  # fmt: skip

    def placed(self) -> list[str]:
        """Everybody: who is told of a doubt widely."""
        return [str(peer_id) for peer_id in self.peer.knowledge.membership.peers()]

    def fetches(self) -> bool:
        """Whether this peer would make a copy because one is missing."""
        actions = Planner().survey(self.beliefs.view([KEY])).actions
        return any(isinstance(action, Fetch) and action.urgency <= Urgency.TOP_UP for action in actions)

    async def after(self, ms: int) -> None:
        """Let time pass, and have what is due then done."""
        self.now_ms += ms
        await self.auditing.work()

    def hold(self) -> None:
        self.peer.store.put([(ROOT, BLOCK)], owner=Owner("job", b"j"))
        holding = self.peer.store.hold(ROOT, kind="ipfs", blocks=[ROOT], size_bytes=9, frm=Owner("job", b"j"))
        self.peer.knowledge.holding_changed(holding, True)


def described() -> Description:
    return Description(
        state="active", zone="", capacity_bytes=10**9, used_bytes=0,
        backends=(BackendReport(kind="ipfs", store_id="own", full=False),),
    )  # fmt: skip


def say(listener: Honest, key: KeyPair, *, holds: bool) -> None:
    """Have a member heard, with what it says that it holds."""
    beat = Beat(
        incarnation=1, seq=1, clock_ms=wall_ms(), name="m", capacity_bytes=10**9, used_bytes=0,
        backends=(BackendReport(kind="ipfs", store_id=key.peer_id[-8:], full=False),),
        records_digest=bytes(32), holdings=ElementSet().summary(1, 0), version="0",
    )  # fmt: skip
    listener.knowledge.take_beat(open_beat(sign_beat(beat, key)))
    if holds:
        after = ElementSet([Element(ROOT, "ipfs")]).summary(1, 1)
        delta = HoldingsDelta(after=after, changes=(Change(ROOT, "ipfs", True),))
        listener.knowledge.take_delta(key.peer_id, delta, sign_delta(delta, key))


@asynccontextmanager
async def swarm(
    tmp_path: Path, answer: Answerer | None, *, cyd_holds: bool = False
) -> AsyncIterator[tuple[Auditor, Auditor, Fellow]]:
    """Ada holds the root, factor 2; cyd does not, or does; and a member that says so answers challenges its own way."""
    founded = Founded(3)
    pin = Pin(id=bytes(16), flow="default", root=ROOT, replicas=Replicas(2, 2), size_bytes=len(BLOCK))
    records = (*founded.records, Author(founded.keys[0]).write(pin, wall_ms()))
    liar = Fellow(founded, founded.keys[1])
    if answer is not None:

        async def respond(_: str, body: bytes) -> bytes:
            return await answer(liar, body)

        liar.rpc.register(
            AUDIT, respond, max_request_bytes=MAX_REQUEST_BYTES, max_response_bytes=1024, concurrency=CONCURRENCY
        )
    async with (
        honest(founded, founded.keys[0], tmp_path / "ada", records=records) as first,
        honest(founded, founded.keys[2], tmp_path / "cyd", records=records) as second,
        running(liar.host),
        trio.open_nursery() as nursery,
    ):
        ada, cyd = Auditor(first), Auditor(second)
        ada.hold()
        if cyd_holds:
            cyd.hold()
        await connect_all([first.host, second.host, liar.host])
        for listener in (first, second):
            say(listener, liar.key, holds=True)
        say(first, second.key, holds=cyd_holds)
        say(second, first.key, holds=True)
        for one in (ada, cyd):
            nursery.start_soon(one.auditing.run)
            nursery.start_soon(one.audited.run)
        yield ada, cyd, liar
        nursery.cancel_scope.cancel()


async def wrong(_: Fellow, body: bytes) -> bytes:
    ask = read_message(body, (AuditAsk,))
    assert ask is not None
    return write_message(AuditAnswer(proof=ask.nonce))


async def unable(_: Fellow, __: bytes) -> bytes:
    return write_message(AuditAnswer(reason="some other time"))


async def nonsense(_: Fellow, __: bytes) -> bytes:
    return b"\xff\xff"


async def test_holders_prove_to_one_another(tmp_path: Path) -> None:
    async with swarm(tmp_path, unable, cyd_holds=True) as (ada, cyd, liar):
        counts = await ada.auditing.audit_all()
        assert (counts.challenges, counts.proven, counts.wrong, counts.silent) == (2, 1, 1, 0)
        assert ada.auditing.unproven(*KEY) == {liar.key.peer_id}
        proven = ada.auditing.proofs.proven_at(*KEY)
        assert set(proven) == {ada.peer.key.peer_id, cyd.peer.key.peer_id}
        assert cyd.audited.answered == 1


@pytest.mark.parametrize("answer", [wrong, unable, nonsense, None])
async def test_who_does_not_prove_is_unproven_at_once(tmp_path: Path, answer: Answerer | None) -> None:
    async with swarm(tmp_path, answer) as (ada, _, liar):
        counts = await ada.auditing.audit_all()
        assert counts.proven == 0
        assert counts.silent == (answer is None)
        root = ada.beliefs.view([KEY]).roots[KEY]
        assert root.unproven == {liar.key.peer_id}
        assert root.holders == {ada.peer.key.peer_id, liar.key.peer_id}
        assert not ada.fetches()


async def test_a_liar_is_lost_to_its_auditor_and_another_copy_is_made(tmp_path: Path) -> None:
    async with swarm(tmp_path, wrong) as (ada, cyd, liar):
        await ada.auditing.audit_all()
        await ada.after(2 * MINUTE_MS)
        assert not cyd.fetches()
        await ada.after(DOUBT_MS)
        assert ada.auditing.absent(*KEY) == {liar.key.peer_id}
        assert ada.auditing.counts.doubts_published == 1
        await eventually(cyd.fetches)
        assert ada.beliefs.view([KEY]).roots[KEY].holders == {ada.peer.key.peer_id}
        cyd.hold()
        say(ada.peer, cyd.peer.key, holds=True)
        for one in (ada, cyd):
            assert not one.fetches()
            await one.auditing.audit_all()
            assert liar.key.peer_id in one.beliefs.view([KEY]).roots[KEY].unproven
        assert Planner().survey(ada.beliefs.view([KEY])).standing_of[KEY] == "at_target"


async def test_silence_makes_a_copy_absent_after_an_hour_and_never_lost(tmp_path: Path) -> None:
    async with swarm(tmp_path, None) as (ada, cyd, liar):
        await ada.auditing.audit_all()
        for passed_ms in range(0, ABSENT_MS + 1, DOUBT_MS + 2 * MINUTE_MS):
            await ada.after(DOUBT_MS + 2 * MINUTE_MS)
            absent = passed_ms + DOUBT_MS + 2 * MINUTE_MS >= ABSENT_MS
            assert ada.auditing.absent(*KEY) == ({liar.key.peer_id} if absent else frozenset())
        assert {one.verdict for one in ada.auditing.audits.doubtful()} == {"absent"}
        await eventually(cyd.fetches)


async def test_a_holder_cannot_have_another_prove_for_it(tmp_path: Path) -> None:
    async def passed_on(liar: Fellow, body: bytes) -> bytes:
        [cyd] = [peer for peer in liar.host.connected() if peer == Founded(3).keys[2].peer_id]
        return await liar.rpc.call(cyd, AUDIT, body, 5.0)

    async with swarm(tmp_path, passed_on, cyd_holds=True) as (ada, cyd, liar):
        counts = await ada.auditing.audit_all()
        assert (counts.proven, counts.wrong) == (1, 1)
        assert cyd.audited.answered == 2, "the liar had it from there"
        assert ada.auditing.unproven(*KEY) == {liar.key.peer_id}


async def test_a_copy_that_went_bad_is_found_by_the_challenge_itself(tmp_path: Path) -> None:
    async with swarm(tmp_path, unable, cyd_holds=True) as (ada, cyd, _):
        assert cyd.peer.store.settle()
        [path] = (tmp_path / "cyd").glob("blocks/??/*.data")
        path.write_bytes(b"rotten" + BLOCK[6:])
        await ada.auditing.audit_all()
        assert cyd.unreadable == [True]
        assert cyd.audited.unable == 1
        assert cyd.peer.store.missing() == [(ROOT, (ROOT,))]
        assert cyd.peer.key.peer_id in ada.auditing.unproven(*KEY)


async def test_an_auditor_whose_own_copy_is_bad_accuses_nobody(tmp_path: Path) -> None:
    async with swarm(tmp_path, wrong) as (ada, _, __):
        assert ada.peer.store.settle()
        [path] = (tmp_path / "ada").glob("blocks/??/*.data")
        path.unlink()
        counts = await ada.auditing.audit_all()
        assert counts.challenges == 0
        assert ada.unreadable == [True]
        assert ada.auditing.unproven(*KEY) == frozenset()


async def test_what_is_held_against_a_copy_outlives_a_restart(tmp_path: Path) -> None:
    async with swarm(tmp_path, wrong) as (ada, _, liar):
        await ada.auditing.audit_all()
        again = Auditing(
            ada.peer.rpc, ada.peer.store, ada.peer.knowledge, now_ms=wall_ms, blocked=lambda: None,
            owners_of=lambda *_: [], on_unreadable=lambda: None, on_doubted=lambda *_: None, on_judged=lambda _: None,
        )  # fmt: skip
        assert again.unproven(*KEY) == {liar.key.peer_id}
        assert ada.peer.key.peer_id in again.proofs.proven_at(*KEY)


async def test_doubts_count_only_from_who_signed_them_and_only_so_many(tmp_path: Path) -> None:
    async with swarm(tmp_path, wrong) as (ada, cyd, liar):
        doubt = Doubt(root=ROOT, kind="ipfs", holder=PeerId(ada.peer.key.peer_id), challenger=liar.key.peer_id, at_ms=0)
        own = DoubtNotice(doubt=sign_doubt(doubt, liar.key))
        with pytest.raises(Exception, match="passes on a doubt"):
            cyd.auditing.heard(ada.peer.key.peer_id, own)
        cyd.auditing.heard(liar.key.peer_id, own)
        assert cyd.auditing.absent(*KEY) == {ada.peer.key.peer_id}, "it cannot tell, and a copy too many does no harm"
        ada.auditing.heard(liar.key.peer_id, own)
        assert ada.doubted == [ROOT]
        for number in range(MAX_DOUBTS_PER_CHALLENGER + 10):
            unheld = Doubt(
                root=number.to_bytes(36, "big"), kind="ipfs", holder=PeerId(ada.peer.key.peer_id),
                challenger=liar.key.peer_id, at_ms=0,
            )  # fmt: skip
            cyd.auditing.heard(liar.key.peer_id, DoubtNotice(doubt=sign_doubt(unheld, liar.key)))
        assert len(cyd.auditing.audits.heard_of()) == 1, "what nobody says to hold cannot be doubted"
