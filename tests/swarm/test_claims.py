"""What was let go on a backend is erased when nobody claims it, and not where it may be all that is left."""

import time
from pathlib import Path

import pytest

from node.replication import claims
from node.swarm.names import REPLICA
from protocol.claim_messages import ClaimAnswer, ClaimAsk
from protocol.holdings import ElementSet
from protocol.holdings_messages import Element
from protocol.messages import read_message, write_message
from protocol.net.errors import Unreachable
from protocol.pin import Pin
from store import kinds, promises
from store.backends.contract import Stream
from store.errors import BackendUnavailable
from tests.swarm.backed import ROOT, later, names, one_peer, share
from tests.swarm.fellows import Founded


async def test_what_was_let_go_is_erased_after_an_hour_where_the_store_is_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.let_go()
        await peer.claims.work()
        assert names(peer.backend), "not within the hour"
        later(monkeypatch)
        await peer.claims.work()
        assert not names(peer.backend)


@pytest.mark.parametrize("kind", ["local", "ipfs"])
async def test_what_may_be_all_that_is_left_of_a_root_stays_after_a_long_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its flow may have been moved to another kind meanwhile, which has no copy of it."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        await peer.knowledge.records.write(Pin(id=bytes(16), flow="f", root=ROOT, content="dag", backend=kind))
        peer.backend.down = True
        for _ in range(2):
            await peer.watch.work()
        assert not peer.holds
        later(monkeypatch, hours=30)
        peer.backend.down, peer.has_all = False, False
        await peer.watch.work()
        await peer.claims.work()
        assert names(peer.backend)
        peer.has_all = True
        await peer.claims.work()
        assert not names(peer.backend), "others have all the copies"


@pytest.mark.parametrize("free", [True, False, None])
async def test_whoever_shares_the_store_is_asked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: bool | None
) -> None:
    """None: it cannot be asked."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        sharer = Founded(2).keys[1]
        share(peer, sharer)
        peer.hold()
        peer.let_go()
        later(monkeypatch)
        asked: list[tuple[str, ClaimAsk]] = []

        async def call(peer_id: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
            assert protocol == REPLICA
            if free is None:
                raise Unreachable("away")
            ask = read_message(body, (ClaimAsk,))
            assert ask is not None
            asked.append((peer_id, ask))
            return write_message(ClaimAnswer(free=free))

        monkeypatch.setattr(peer.claims._rpc, "call", call)
        await peer.claims.work()
        assert bool(names(peer.backend)) is (free is not True)
        if free is not None:
            ask = ClaimAsk(root=ROOT, kind="local", store_id=peer.offering.store_id("local"))
            assert asked == [(sharer.peer_id, ask)]


async def test_who_does_not_answer_is_asked_once_a_look_and_what_stays_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sharer that is away costs ten seconds, not ten for each root; and one root that has to stay is not all there is."""
    monkeypatch.setattr(claims, "AT_ONCE", 3)
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        share(peer, Founded(2).keys[1])
        for n in range(4):
            peer.hold(b"picture %d" % n)
            peer.let_go(b"picture %d" % n)
        later(monkeypatch)
        asked: list[bytes] = []
        away = True

        async def call(peer_id: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
            ask = read_message(body, (ClaimAsk,))
            assert ask is not None
            asked.append(ask.root)
            if away:
                raise Unreachable("away")
            return write_message(ClaimAnswer(free=False))

        monkeypatch.setattr(peer.claims._rpc, "call", call)
        await peer.claims.work()
        assert len(asked) == 1
        away = False
        while len(set(asked)) < 4:
            await peer.claims.work()


async def test_a_peer_claims_what_it_holds_or_is_wanted_on_a_store_that_it_shares(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        ours = ClaimAsk(root=ROOT, kind="local", store_id=peer.offering.store_id("local"))
        theirs = ClaimAsk(root=ROOT, kind="local", store_id="another")
        assert (await peer.claims.answer(theirs)).free
        peer.hold()
        assert not (await peer.claims.answer(ours)).free
        assert (await peer.claims.answer(theirs)).free
        peer.let_go()
        assert (await peer.claims.answer(ours)).free
        await peer.knowledge.records.write(Pin(id=bytes(16), flow="f", root=ROOT, content="dag", backend="local"))
        assert not (await peer.claims.answer(ours)).free


async def test_a_peer_that_does_not_know_what_it_has_claims_everything(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        ask = ClaimAsk(root=ROOT, kind="local", store_id=peer.backend.store_id("0123456789abcdef"))
        assert not (await peer.claims.answer(ask)).free, "which store it has it does not know yet"
        assert (await peer.claims.answer(ClaimAsk(root=ROOT, kind="s3", store_id="another"))).free, (
            "it has none of that kind"
        )
        await peer.watch.work()
        assert (await peer.claims.answer(ask)).free
        peer.store.begin_recovery()
        assert not (await peer.claims.answer(ask)).free, "its catalogue is not all that it held"


async def test_a_peer_claims_what_it_is_putting_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is just being added has no pin yet, and is no fetch."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        answers = []
        put = peer.backend.put

        def put_and_ask(root: bytes, name: str, stream: Stream) -> int:
            answers.append(peer.store.kinds.promise(ROOT, "local"))
            return put(root, name, stream)

        monkeypatch.setattr(peer.backend, "put", put_and_ask)
        peer.hold()
        assert answers == [False]


async def test_nothing_is_put_where_another_peer_was_told_that_it_may_erase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an image that is added again in that minute would be read back, acknowledged, and erased."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        ask = ClaimAsk(root=ROOT, kind="local", store_id=peer.offering.store_id("local"))
        assert (await peer.claims.answer(ask)).free
        assert peer.offering.keeps_on("local", ROOT) == "ipfs"
        assert peer.offering.keeps_on("local", b"another") == "local"
        with pytest.raises(BackendUnavailable, match="another peer that shares it erases"):
            peer.hold()
        assert not names(peer.backend)
        monkeypatch.setattr(promises, "PROMISE_S", 0.0)
        assert (await peer.claims.answer(ask)).free
        peer.hold()
        assert peer.holds


async def test_what_others_said_of_a_store_is_for_that_store_and_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.let_go()
        later(monkeypatch)
        store_id, peer.backend._store_id = peer.backend._store_id, "another"
        await peer.claims.work()
        assert names(peer.backend), "no look has seen yet that it is another one"
        peer.backend._store_id = store_id
        with monkeypatch.context() as slow:
            slow.setattr(kinds, "ERASE_S", -1.0)
            await peer.claims.work()
        assert names(peer.backend)
        await peer.claims.work()
        assert not names(peer.backend)


async def test_nothing_is_erased_after_a_sleep_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who were asked have been awake, and may put it there again by now."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        share(peer, Founded(2).keys[1])
        peer.hold()
        peer.let_go()
        later(monkeypatch)
        asleep_s = 0.0

        def clock(number: int) -> float:
            return time.monotonic() + (asleep_s if number == time.CLOCK_BOOTTIME else 0)

        async def call(peer_id: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
            nonlocal asleep_s
            asleep_s += 3600
            return write_message(ClaimAnswer(free=True))

        monkeypatch.setattr(time, "clock_gettime", clock)
        monkeypatch.setattr(peer.claims._rpc, "call", call)
        await peer.claims.work()
        assert names(peer.backend)
        monkeypatch.setattr(peer.claims._rpc, "call", _is_free)
        await peer.claims.work()
        assert not names(peer.backend)


async def test_nothing_is_erased_that_somebody_holds_who_has_not_said_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went while this peer was not running, or this peer was restored: its copy may be the one in this store."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.let_go()
        later(monkeypatch)
        sharer, held = Founded(2).keys[1], ElementSet([Element(ROOT, "local")])
        peer.knowledge.book.on_snapshot(sharer.peer_id, held.summary(1, 1), held, 0.0)
        await peer.claims.work()
        assert names(peer.backend)
        share(peer, sharer)
        monkeypatch.setattr(peer.claims._rpc, "call", _is_free)
        await peer.claims.work()
        assert not names(peer.backend), "it has been asked"


async def _is_free(peer_id: str, protocol: str, body: bytes, timeout_s: float) -> bytes:
    return write_message(ClaimAnswer(free=True))
