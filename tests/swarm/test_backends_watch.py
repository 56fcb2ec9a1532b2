"""Backends beside the embedded store: what lies on one that fails is not advertised."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from node.events import wall_ms
from node.offering import FULL_S, Offering
from node.replication import backends_watch
from node.replication.backends_watch import BackendsWatch
from store.backends import Entry
from store.backends.wrapped import Wrapped
from store.cid import cid_text
from store.errors import BackendUnavailable, StoreFull
from tests.swarm.backed import BLOCK, ROOT, Shaky, later, names, one_peer

T = TypeVar("T")


async def test_a_backend_is_offered_once_it_answers_and_has_an_id(tmp_path: Path) -> None:
    async with one_peer(tmp_path) as peer:
        assert peer.offering.kinds == ("ipfs",)
        assert peer.offering.keeps_on("local", ROOT) == "ipfs", (
            "until it answers, what comes in for it is kept embedded"
        )
        await peer.watch.work()
        assert peer.offering.kinds == ("ipfs", "local")
        assert (peer.offering.keeps_on("local", ROOT), peer.offering.default) == ("local", "ipfs")
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
        assert offering.kinds == ("ipfs", "local"), "others must not take its store for another one"
        assert offering.keeps_on("local", ROOT) == "ipfs"
        await watch.work()
        assert not peer.holds


async def test_a_look_up_that_is_not_answered_is_the_last_of_its_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of them, each with all the patience there is, would keep every backend unwatched for a minute."""
    asked: list[str] = []
    begun, answer = threading.Event(), threading.Event()

    class Stuck(Shaky):
        def stat(self, root: bytes, name: str) -> Entry:
            asked.append(name)
            begun.set()
            answer.wait(180)
            return super().stat(root, name)

    try:
        async with one_peer(tmp_path, backend=Stuck()) as peer:
            await peer.watch.work()
            for n in range(4):
                peer.hold(b"picture %d" % n)
            monkeypatch.setattr(backends_watch, "PATIENCE_S", 0.3)
            monkeypatch.setattr(peer.offering, "look", found_well)
            await peer.watch.work()
            answer.set()
            assert begun.wait(60), "its thread may begin late"
        assert len(asked) == 1
    finally:
        answer.set()


async def found_well(kind: str, patience_s: float) -> None:
    """A look that needs no time, however busy the machine is."""


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


async def test_another_store_is_remembered_only_once_the_one_before_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails, or is killed, in between finds another store again."""
    async with one_peer(tmp_path) as peer:
        await peer.watch.work()
        peer.hold()
        first = peer.offering.store_id("local")
        peer.backend._store_id = "another"
        for method in ("retract", "set_fact"):
            with monkeypatch.context() as full, pytest.raises(BaseExceptionGroup) as raised:
                full.setattr(peer.store, method, refused)
                await peer.watch.work()
            assert raised.group_contains(StoreFull)
            assert peer.offering.store_id("local") == first
            assert Offering(peer.store, {"local": peer.backend}).store_id("local") == first
            assert "local" not in peer.offering.kinds
        await peer.watch.work()
        assert not peer.holds
        assert peer.offering.store_id("local") == "another"
        assert "local" in peer.offering.kinds


def refused(*_: Any) -> None:
    raise StoreFull(0, 0)


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
