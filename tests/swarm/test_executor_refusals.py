"""What a backend that refuses, or is not to be put into for now, says of others to the executor: nothing."""

from pathlib import Path

import pytest

from node.events import wall_ms
from node.replication import executor as module
from store.backends import MemoryBackend, Range
from store.errors import BackendRefused
from tests.net.bitswap_net import until
from tests.swarm.test_executor import dag, fetch, rig


class Fickle(MemoryBackend):
    """Its keys are taken away between two reads."""

    reads_left = 1000

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise BackendRefused(self.place, "answered 403 forbidden")
        return super().get(root, name, part)


class Other(MemoryBackend):
    kind = "other"
    place = "other"


async def test_a_backend_that_refuses_to_be_read_makes_no_other_one_full(tmp_path: Path) -> None:
    """What is moved from one to the other waits for the one, and what is new may go to the other all the same."""
    root, blocks = dag("root")
    backend = Fickle()
    async with rig(tmp_path / "me", backend, Other()) as r:
        await r.net.peer("holder", dict(blocks))
        r.plan(fetch(root, "holder", kind="memory"))
        await until(lambda: r.held == [root])
        r.store.collect(wall_ms())
        backend.reads_left = len(blocks)
        r.plan(fetch(root, "holder", kind="other"))
        await until(lambda: r.executor.work.failed)
        [attempt] = r.executor.work.failed.values()
        assert "403" in attempt.reason
        assert (r.full, r.refusals) == ([], [])


async def test_a_backend_that_refuses_to_be_read_tells_nothing_of_the_embedded_store(tmp_path: Path) -> None:
    """While a flow leaves it."""
    root, blocks = dag("root")
    backend = Fickle()
    async with rig(tmp_path / "me", backend) as r:
        await r.net.peer("holder", dict(blocks))
        r.plan(fetch(root, "holder", kind="memory"))
        await until(lambda: r.held == [root])
        r.store.collect(wall_ms())
        backend.reads_left = len(blocks)
        r.plan(fetch(root, "holder"))
        await until(lambda: r.executor.work.failed)
        [attempt] = r.executor.work.failed.values()
        assert "403" in attempt.reason
        assert (r.full, r.refusals) == ([], [])


async def test_waiting_for_the_erasure_of_another_peer_makes_no_backend_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GIVES_WAY_AFTER", 0)
    root, blocks = dag("root")
    async with rig(tmp_path / "me", MemoryBackend()) as r:
        await r.net.peer("holder", dict(blocks))
        assert r.store.kinds.promise(root, "memory")
        r.plan(fetch(root, "holder", kind="memory"))
        await until(lambda: r.executor.work.failed)
        [attempt] = r.executor.work.failed.values()
        assert "another peer that shares it erases" in attempt.reason
        assert not r.full
