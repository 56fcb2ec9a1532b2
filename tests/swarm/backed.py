"""A peer with one backend beside the embedded store, which can go away and which others may share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from node.events import wall_ms
from node.offering import Offering
from node.replication.backends_watch import BackendsWatch
from node.replication.claims import Claims
from node.replication.retracting import Retracting
from protocol.beat import BackendReport, Beat, open_beat, sign_beat
from protocol.holdings import ElementSet
from protocol.identity import KeyPair
from store.backends import Backend, Health, MemoryBackend
from store.cid import RAW, cid_of
from store.errors import BackendUnavailable
from store.store import Owner, Store
from tests.swarm.fellows import Founded, Honest

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


def later(monkeypatch: pytest.MonkeyPatch, hours: int = 2) -> None:
    monkeypatch.setattr("node.replication.claims.wall_ms", lambda: wall_ms() + hours * HOUR_MS)
