"""Scrub and recovery go by what lies on backends, too."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

from node.events import wall_ms
from node.replication.recovering import BACKENDS_PATIENCE_S, Recovering
from node.replication.scrubbing import Scrubbing
from node.swarm.set_aside import SetAside
from protocol.pin import Pin
from store.cid import cid_text
from tests.swarm.backed import BLOCK, ROOT, one_peer


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
