"""Backends beside the embedded store: what lies on one that fails is not advertised, and what was let go is erased when nobody claims it."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import trio
from trio.testing import MockClock

from node.events import wall_ms
from node.offering import FULL_S, Offering
from node.replication import backends_watch, claims
from node.replication.backends_watch import BackendsWatch
from node.replication.claims import Claims
from node.replication.recovering import BACKENDS_PATIENCE_S, Recovering
from node.replication.retracting import Retracting
from node.replication.scrubbing import Scrubbing
from node.swarm.names import REPLICA
from node.swarm.set_aside import SetAside
from protocol.beat import BackendReport, Beat, open_beat, sign_beat
from protocol.claim_messages import ClaimAnswer, ClaimAsk
from protocol.holdings import ElementSet
from protocol.identity import KeyPair
from protocol.messages import read_message, write_message
from protocol.net.errors import Unreachable
from protocol.pin import Pin
from store.backends import Backend, Entry, Health, MemoryBackend
from store.backends.contract import Stream
from store.backends.wrapped import Wrapped
from store.cid import RAW, cid_of, cid_text
from store.errors import BackendUnavailable
from store.store import Owner, Store
from tests.swarm.fellows import Founded, Honest

T = TypeVar("T")
BLOCK = b"a picture"
"""A root of one block."""
ROOT = cid_of(RAW, BLOCK)
HOUR_MS = 3600 * 1000


class Shaky(MemoryBackend):
    """A directory or bucket that can go away."""

    kind = "local"

    def __init__(self) -> None:
        super().__init__()
        self.down = False

    def health(self) -> Health:
        if self.down:
            raise BackendUnavailable("memory", "it is unplugged")
        return Health(free_bytes=None)


class Peer:
    """A peer with one backend beside the embedded store; it is alone unless it is given a network."""

    def __init__(self, honest: Honest, backend: Any, allowed: list[str] | None = None) -> None:
        self.knowledge, self.store, self.backend = honest.knowledge, honest.store, backend
        self.offering = Offering(honest.store, {"local": backend}, allowed)
        self.retracting = Retracting(honest.store, honest.knowledge)
        self.changes = 0
        self.watch = BackendsWatch(self.offering, honest.knowledge, self.retracting, on_change=self._changed)
        self.has_all = True
        self.claims = Claims(
            honest.rpc, honest.store, honest.knowledge, self.offering, busy=lambda _: False,
            has_all=lambda _: self.has_all, blocked=lambda: None,
        )  # fmt: skip

    def _changed(self) -> None:
        self.changes += 1

    def hold(self, block: bytes = BLOCK) -> None:
        root = cid_of(RAW, block)
        self.store.put([(root, block)], owner=Owner("job", b"j"))
        holding = self.store.hold(root, kind="local", blocks=[root], size_bytes=len(block), frm=Owner("job", b"j"))
        self.knowledge.holding_changed(holding, True)

    def let_go(self, block: bytes = BLOCK) -> None:
        holding = self.store.release(cid_of(RAW, block), "local")
        assert holding is not None
        self.knowledge.holding_changed(holding, False)

    @property
    def holds(self) -> bool:
        return self.knowledge.own.holds(ROOT, "local")


@asynccontextmanager
async def one_peer(
    tmp_path: Path, allowed: list[str] | None = None, backend: Backend | None = None
) -> AsyncIterator[Peer]:
    backend = backend or Shaky()
    backends: dict[str, Backend] = {"local": backend}
    store = Store.open(tmp_path / "store", backends=backends)
    try:
        founded = Founded(2)
        honest = Honest(founded, founded.keys[0], store)
        await honest.records.accept([signed.raw for signed in founded.records])
        honest.knowledge.standings_changed()
        yield Peer(honest, backend, allowed)
    finally:
        store.close()


async def test_a_backend_is_offered_once_it_answers_and_has_an_id(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        assert peer.offering.kinds == ("ipfs",)
        assert peer.offering.keeps_on("local") == "ipfs", "until it answers, what comes in for it is kept embedded"
        await peer.watch.work()
        assert peer.offering.kinds == ("ipfs", "local")
        assert (peer.offering.keeps_on("local"), peer.offering.default) == ("local", "ipfs")
        assert peer.offering.store_id("local") == peer.backend.store_id()
        assert peer.changes == 1


async def test_a_backend_that_had_no_room_is_full_for_a_while(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        assert not peer.offering.is_full("local")
        peer.offering.had_no_room("local")
        assert peer.offering.is_full("local")
        peer.offering.places["local"].full_until_s -= FULL_S
        assert not peer.offering.is_full("local")


async def test_what_the_operator_does_not_allow_is_not_offered(tmp_path: Path) -> None:
    async with one_peer(tmp_path, ["local"]) as peer:
        await peer.watch.work()
        assert (peer.offering.kinds, peer.offering.default) == (("local",), "local")


async def test_a_backend_that_fails_twice_is_given_up_and_comes_back(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.backend.down = True
        await peer.watch.work()
        assert peer.holds, "once may be a hiccup"
        assert "local" in peer.offering.kinds
        await peer.watch.work()
        assert not peer.holds
        assert peer.offering.kinds == ("ipfs",)
        assert peer.offering.places["local"].trouble == "memory: it is unplugged"
        peer.backend.down = False
        await peer.watch.work()
        assert "local" in peer.offering.kinds
        assert peer.changes == 3
        assert peer.store.get(ROOT) == BLOCK, "what lies there is a source for the copy that is made again"


async def test_nobody_waits_for_a_backend_that_was_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.store.collect(wall_ms())
        assert not peer.store.used_bytes(), "it lies there alone"
        monkeypatch.setattr(peer.backend, "get", lambda *_: pytest.fail("asked"))
        peer.backend.down = True
        for _ in range(2):
            await peer.watch.work()
        with pytest.raises(BackendUnavailable, match="memory: it is unplugged"):
            peer.store.get(ROOT)


async def test_a_hiccup_at_the_start_gives_nothing_up(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        offering = Offering(peer.store, {"local": peer.backend})
        watch = BackendsWatch(offering, peer.knowledge, peer.retracting, on_change=lambda: None)
        peer.backend.down = True
        await watch.work()
        assert peer.holds, "once may be a hiccup"
        assert offering.kinds == ("ipfs",)
        assert offering.places["local"].trouble == "memory: it is unplugged"
        await watch.work()
        assert not peer.holds


async def test_a_look_up_that_is_not_answered_is_the_last_of_its_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of them, each with all the patience there is, would keep every backend unwatched for a minute."""
    monkeypatch.setattr(backends_watch, "PATIENCE_S", 0.3)
    asked: list[str] = []
    answer = threading.Event()

    class Stuck(Shaky):
        def stat(self, root: bytes, name: str) -> Entry:
            asked.append(name)
            answer.wait(20)
            return super().stat(root, name)

    try:
        async with one_peer(tmp_path, backend=Stuck()) as peer:
            await peer.watch.work()
            for n in range(4):
                peer.hold(b"picture %d" % n)
            await peer.watch.work()
            answer.set()
        assert len(asked) == 1
    finally:
        answer.set()


async def test_a_look_up_waits_for_nobodys_turn(tmp_path: Path) -> None:
    """A backend that is busy is not down."""

    class Busy(Wrapped):
        def _call(self, operation: str, function: Callable[[], T], *, once: bool = False) -> T:
            assert operation != "stat"
            return function()

    async with one_peer(tmp_path, backend=Busy(Shaky())) as peer:
        await peer.watch.work()
        peer.hold()
        await peer.watch.work()
        assert peer.holds


def test_two_looks_and_their_pauses_stay_within_the_minute() -> None:
    assert 2 * (backends_watch.LOOK_S + backends_watch.PATIENCE_S) < 60


async def test_a_root_that_is_gone_from_a_well_backend_is_found(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        await peer.watch.work()
        assert peer.holds
        peer.backend.delete(ROOT, cid_text(ROOT))
        await peer.watch.work()
        assert not peer.holds


async def test_a_store_that_lost_its_id_is_not_given_another(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.backend._store_id = None
        for _ in range(2):
            await peer.watch.work()
        assert "it has lost its id" in peer.offering.places["local"].trouble
        assert not peer.holds


async def test_another_store_in_its_place_holds_nothing_yet(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.backend._store_id = "another"
        await peer.watch.work()
        assert not peer.holds
        assert peer.offering.store_id("local") == "another"


async def test_nothing_is_erased_in_another_store_for_what_was_let_go_in_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.hold(b"another")
        peer.let_go()
        peer.backend._store_id = "another"  # with a root of that name, which is somebody else's
        await peer.watch.work()
        later(monkeypatch, hours=30)
        await peer.claims.work()
        assert names(peer.backend)
        assert not peer.store.kinds.used_bytes("local")
        assert all(check.ok for check in peer.store.check())


async def test_a_kind_that_is_configured_no_more_is_retracted_at_the_start(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        offering = Offering(peer.store, {})
        await BackendsWatch(offering, peer.knowledge, peer.retracting, on_change=lambda: None).work()
        assert not peer.holds


def share(peer: Peer, sharer: KeyPair) -> None:
    """Have another member announce this peer's store."""
    beat = Beat(
        incarnation=1, seq=1, clock_ms=0, name="m", capacity_bytes=10**9, used_bytes=0,
        backends=(BackendReport(kind="local", store_id=peer.offering.store_id("local"), full=False),),
        records_digest=bytes(32), holdings=ElementSet().summary(1, 0), version="0",
    )  # fmt: skip
    peer.knowledge.take_beat(open_beat(sign_beat(beat, sharer)))


def names(backend: MemoryBackend) -> list[str]:
    return [entry.name for entry in backend.list(ROOT)]


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


def later(monkeypatch: pytest.MonkeyPatch, hours: int = 2) -> None:
    monkeypatch.setattr("node.replication.claims.wall_ms", lambda: wall_ms() + hours * HOUR_MS)


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
        assert peer.claims.answer(ours).free
        peer.hold()
        assert not peer.claims.answer(ours).free
        assert peer.claims.answer(theirs).free
        peer.let_go()
        assert peer.claims.answer(ours).free
        await peer.knowledge.records.write(Pin(id=bytes(16), flow="f", root=ROOT, content="dag", backend="local"))
        assert not peer.claims.answer(ours).free


async def test_a_peer_that_does_not_know_what_it_has_claims_everything(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        ask = ClaimAsk(root=ROOT, kind="local", store_id=peer.backend.store_id("0123456789abcdef"))
        assert not peer.claims.answer(ask).free, "which store it has it does not know yet"
        assert peer.claims.answer(ClaimAsk(root=ROOT, kind="s3", store_id="another")).free, "it has none of that kind"
        await peer.watch.work()
        assert peer.claims.answer(ask).free
        peer.store.begin_recovery()
        assert not peer.claims.answer(ask).free, "its catalogue is not all that it held"


async def test_a_peer_claims_what_it_is_putting_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is just being added has no pin yet, and is no fetch."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        ask = ClaimAsk(root=ROOT, kind="local", store_id=peer.offering.store_id("local"))
        answers = []
        put = peer.backend.put

        def put_and_ask(root: bytes, name: str, stream: Stream) -> int:
            answers.append(peer.claims.answer(ask).free)
            return put(root, name, stream)

        monkeypatch.setattr(peer.backend, "put", put_and_ask)
        peer.hold()
        assert answers == [False]


async def test_the_pace_of_a_scrub_goes_by_what_lies_everywhere(tmp_path: Path) -> None:
    """An archive whose images lie in a bucket has next to nothing in the embedded store."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        peer.store.collect(wall_ms())
        assert (peer.store.used_bytes(), peer.store.used_bytes_everywhere()) == (0, len(BLOCK))
        scrubbing = Scrubbing(peer.store, peer.knowledge, on_unreadable=lambda: None)
        paces: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("node.replication.scrubbing.pause_s", paces.append)
            for _ in range(2):
                await scrubbing.work()
        assert paces == [len(BLOCK)]


async def test_a_recovery_waits_for_a_backend_and_holds_again_what_lies_there(tmp_path: Path) -> None:
    """It is asked for the first time while the recovery is under way."""
    async with one_peer(tmp_path) as peer:
        peer.backend.store_id("0123456789abcdef")
        peer.backend.put(ROOT, cid_text(ROOT), [BLOCK])
        await peer.knowledge.records.write(Pin(id=bytes(16), flow="f", root=ROOT, content="dag", backend="local"))
        peer.store.begin_recovery()
        synced = SimpleNamespace(synced_with={"m"}, trigger=SimpleNamespace(ask_anyone=lambda: None))
        recovering = Recovering(
            peer.store, peer.knowledge, synced, peer.offering, SetAside(peer.store),  # type: ignore[arg-type]
            lately_heard=lambda: {"m"}, on_over=lambda: None,
        )  # fmt: skip
        await recovering.work()
        assert recovering.reason(), "nobody has asked the backend yet"
        await peer.watch.work()
        await recovering.work()
        assert not recovering.reason()
        assert peer.holds


async def test_a_recovery_does_not_wait_for_ever_for_a_backend(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with one_peer(tmp_path) as peer:
        peer.store.begin_recovery()
        synced = SimpleNamespace(synced_with={"m"}, trigger=SimpleNamespace(ask_anyone=lambda: None))
        recovering = Recovering(
            peer.store, peer.knowledge, synced, peer.offering, SetAside(peer.store),  # type: ignore[arg-type]
            lately_heard=lambda: {"m"}, on_over=lambda: None,
        )  # fmt: skip
        await recovering.work()
        assert recovering.reason()
        await trio.sleep(BACKENDS_PATIENCE_S + 1)
        await recovering.work()
        assert not recovering.reason()
