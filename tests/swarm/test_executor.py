"""The executor over a real store and a real Bitswap: order, sources that come late, fetches that are taken up again."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import libipld
import pytest
import trio
import trio.testing

from node.events import Events, wall_ms
from node.replication import executor as module
from node.replication import work
from node.replication.executor import Executor
from node.replication.planner import Fetch, Plan, Release, Urgency
from node.replication.throttle import Throttle
from node.replication.view import RootKey
from node.replication.work import Work
from store.backends import Backend, MemoryBackend, Range
from store.backends.contract import Stream
from store.cid import DAG_CBOR, RAW, cid_of, cid_text
from store.errors import BackendRefused, BackendUnavailable, NotInBackend, StoreFull
from store.store import Holding, Store
from tests.net.bitswap_net import Peer, PipeNet, pipe_net, until

Dag = tuple[bytes, dict[bytes, bytes]]


def dag(name: str, leaves: int = 4, size_bytes: int = 100_000) -> Dag:
    """A root with leaves: its CID, and all blocks."""
    blocks = {}
    for n in range(leaves):
        content = f"{name} {n} ".encode() * (size_bytes // len(f"{name} {n} "))
        blocks[cid_of(RAW, content)] = content
    links = [b"\xd8\x2a\x58" + bytes((len(cid) + 1,)) + b"\0" + cid for cid in blocks]
    node = bytes((0x80 + len(links),)) + b"".join(links)
    assert len(libipld.decode_dag_cbor(node)) == leaves
    root = cid_of(DAG_CBOR, node)
    return root, {root: node, **blocks}


def fetch(root: bytes, *sources: str, urgency: Urgency = Urgency.REPAIR, copies: int = 1, kind: str = "ipfs") -> Fetch:
    return Fetch(root=root, kind=kind, sources=sources, reason="", urgency=urgency, copies=copies, size_bytes=0)


class Silent(Peer):
    """It says that it has every block, and never sends those that it lacks."""

    async def get_block(self, cid: bytes) -> bytes | None:
        self.loads_count += 1
        if cid not in self.blocks:
            await trio.sleep_forever()
        return self.blocks[cid]

    def block_size(self, cid: bytes) -> int | None:
        return 100_000


class Rig:
    """One peer that acts, over a net of others."""

    def __init__(self, net: PipeNet, me: Peer, store: Store) -> None:
        self.net, self.me, self.store = net, me, store
        self.held: list[bytes] = []
        self.asked: list[tuple[bytes, int]] = []
        self.refusals: list[str] = []
        self.full: list[str] = []
        self.room_bytes = 1 << 30
        self.executor = Executor(
            store, me.bitswap, SimpleNamespace(), Work(), Events(), Throttle(lambda: None),  # type: ignore[arg-type]
            sources_of=self._sources_of, connected=me.host.connected, limit_of=lambda _: 1 << 30, free_bytes=lambda: self.room_bytes,
            on_holding=self._holding, on_retry=lambda _: None, on_refusal=self.refusals.append,
            on_backend_full=self.full.append,
        )  # fmt: skip

    async def _sources_of(self, fetch: Fetch, failures: int) -> list[str]:
        self.asked.append((fetch.root, failures))
        return [peer for peer in fetch.sources if peer in self.me.host.connected()]

    def _holding(self, holding: Holding, held: bool) -> None:
        self.held.append(holding.root)

    async def silent_peer(self, blocks: dict[bytes, bytes]) -> Silent:
        peer = Silent(self.net.host("silent"), blocks)
        await self.net.nursery.start(peer.bitswap.run)
        return peer

    def plan(self, *actions: Fetch, planned: tuple[bytes, ...] = ()) -> None:
        keys = {RootKey(action.root, action.kind) for action in actions} | {RootKey(root, "ipfs") for root in planned}
        self.executor.follow(Plan(actions=actions), keys)


@asynccontextmanager
async def rig(folder: Path, *backends: Backend) -> AsyncIterator[Rig]:
    async with pipe_net() as net:
        store = Store.open(folder, backends={backend.kind: backend for backend in backends})
        try:
            made = Rig(net, await net.peer("me"), store)
            await net.nursery.start(made.executor.run)
            yield made
        finally:
            store.close()


async def test_what_is_most_urgent_overtakes_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCHES_AT_ONCE", 1)
    dags = [dag(f"root {n}") for n in range(6)]
    async with rig(tmp_path / "me") as r:
        await r.net.peer("a", {cid: block for _, blocks in dags for cid, block in blocks.items()})
        roots = [root for root, _ in dags]
        r.plan(*(fetch(root, "a", urgency=Urgency.TOP_UP, copies=2) for root in roots[:4]))
        r.plan(fetch(roots[4], "a", copies=1), fetch(roots[5], "a", copies=0))
        await until(lambda: len(r.held) == 6)
        first = r.held.index(roots[5])
        assert first <= 1, "one was running already"
        assert r.held[first + 1] == roots[4]
        assert not r.executor.work.keys()


async def test_what_is_no_longer_planned_ends_whether_it_waits_or_runs(tmp_path: Path) -> None:
    root, blocks = dag("root")
    async with rig(tmp_path / "me") as r:
        await r.silent_peer({root: blocks[root]})
        r.plan(fetch(root, "silent"))
        await until(lambda: r.store.fetches() or r.executor.work.fetching)
        r.plan(planned=(root,))
        await until(lambda: not r.executor.work.keys())
        assert not r.held


async def test_a_holder_that_comes_late_completes_a_fetch_whose_source_stalls(tmp_path: Path) -> None:
    root, blocks = dag("root")
    async with rig(tmp_path / "me") as r:
        silent = await r.silent_peer({root: blocks[root]})
        r.plan(fetch(root, "silent"))
        await until(lambda: silent.loads_count > 1)
        await r.net.peer("late", dict(blocks))
        r.plan(fetch(root, "late", "silent"))
        await until(lambda: r.held == [root])
        assert r.asked == [(root, 0)], "the running fetch took the new source in"


async def test_a_fetch_is_taken_up_where_it_ended_and_a_failed_source_is_not_all_that_is_asked(tmp_path: Path) -> None:
    root, blocks = dag("root", leaves=8)
    some = dict(list(blocks.items())[:5])
    async with rig(tmp_path / "me") as r:
        await r.net.peer("half", some)
        r.plan(fetch(root, "half"))
        await until(lambda: r.executor.work.failed)
        received = r.me.bitswap.counts().received_blocks
        assert received == len(some)
        r.executor.work.forget_failures()
        await r.net.peer("whole", dict(blocks))
        r.plan(fetch(root, "half", "whole"))
        await until(lambda: r.held == [root])
        assert r.me.bitswap.counts().received_blocks == len(blocks), "what had come was not fetched again"
        assert r.executor.work.fetched_bytes > 0


async def test_what_has_no_room_is_a_refusal_and_what_is_here_already_needs_none(tmp_path: Path) -> None:
    root, blocks = dag("root", leaves=8)
    async with rig(tmp_path / "me") as r:
        some = dict(list(blocks.items())[:5])
        half = await r.net.peer("half", some)
        r.plan(fetch(root, "half"))
        await until(lambda: r.executor.work.failed)
        assert not r.refusals
        r.room_bytes = sum(map(len, blocks.values())) - sum(map(len, some.values())) - 1
        half.blocks.update(blocks)
        r.executor.work.forget_failures()
        r.plan(fetch(root, "half"))
        await until(lambda: r.refusals)
        assert not r.held
        r.room_bytes += 1
        r.executor.work.forget_failures()
        r.plan(fetch(root, "half"))
        await until(lambda: r.held == [root])


async def test_a_stop_ends_what_is_under_way_and_nothing_begins_after_it(tmp_path: Path) -> None:
    root, blocks = dag("root")
    other, _ = dag("other")
    async with rig(tmp_path / "me") as r:
        gave_back: list[bytes] = []

        class Releasing:
            async def release(self, release: Release) -> str | None:
                try:
                    await trio.sleep_forever()
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.lowlevel.checkpoint()
                        gave_back.append(release.root)
                return None

        r.executor._releasing = Releasing()  # type: ignore[assignment]
        await r.silent_peer({root: blocks[root]})
        release = Release(root=other, kind="ipfs", ask=("a",), max=1, reason="", kept_on="ipfs")
        r.executor.follow(
            Plan(actions=(fetch(root, "silent"), release)), {RootKey(root, "ipfs"), RootKey(other, "ipfs")}
        )
        await until(lambda: r.executor.work.fetching and r.executor.work.releasing)
        await r.executor.stop()
        assert gave_back == [other]
        assert not r.executor.work.fetching
        r.plan(fetch(root, "silent"))
        await trio.testing.wait_all_tasks_blocked()
        assert not r.executor.work.fetching


class Down(MemoryBackend):
    """A bucket that can go away."""

    down = False

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        if self.down:
            raise BackendUnavailable(self.place, "nobody answers")
        return super().get(root, name, part)


async def test_what_lies_on_a_backend_that_is_down_is_fetched_from_others(tmp_path: Path) -> None:
    """The flow was moved away from it because it is."""
    root, blocks = dag("root")
    backend = Down()
    async with rig(tmp_path / "me", backend) as r:
        await r.net.peer("holder", dict(blocks))
        r.plan(fetch(root, "holder", kind="memory"))
        await until(lambda: r.held == [root])
        r.store.retract([root], "memory")
        r.store.collect(wall_ms())
        assert not r.store.used_bytes()
        backend.down = True
        r.plan(fetch(root, "holder"))
        await until(lambda: r.held == [root, root])
        assert [held.kind for held in r.store.holdings()] == ["ipfs"]


async def test_what_lies_whole_in_a_backend_is_held_without_any_other_peer(tmp_path: Path) -> None:
    """A peer that is made anew on the bucket of one that is gone."""
    root, blocks = dag("root")
    backend = MemoryBackend()
    backend.store_id("0123456789abcdef")
    for cid, block in (*list(blocks.items())[1:], (root, blocks[root])):
        backend.put(root, cid_text(cid), [block])
    async with rig(tmp_path / "me", backend) as r:
        r.plan(fetch(root, kind="memory"))
        await until(lambda: r.held == [root])
        assert r.store.get(root) == blocks[root]
        other, blocks_of_other = dag("other")
        backend.put(other, cid_text(other), [blocks_of_other[other]])
        await r.net.peer("holder", dict(blocks_of_other))
        r.plan(fetch(other, "holder", kind="memory"))
        await until(lambda: r.held == [root, other])
        assert {entry.name for entry in backend.list(other)} == set(map(cid_text, blocks_of_other))


async def test_a_bucket_that_refuses_what_it_has_not_is_put_into(tmp_path: Path) -> None:
    """S3 answers 403 for an absent object where its keys may not list the bucket."""

    class Unlisted(MemoryBackend):
        def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
            try:
                return super().get(root, name, part)
            except NotInBackend as error:
                raise BackendRefused(self.place, "answered 403 forbidden") from error

    root, blocks = dag("root")
    async with rig(tmp_path / "me", Unlisted()) as r:
        await r.net.peer("holder", dict(blocks))
        r.plan(fetch(root, "holder", kind="memory"))
        await until(lambda: r.held == [root])


async def test_a_backend_that_fails_is_no_refusal_of_the_disk(tmp_path: Path) -> None:
    root, blocks = dag("root")
    backend = Down()
    backend.down = True
    async with rig(tmp_path / "me", backend) as r:
        await r.net.peer("holder", dict(blocks))
        r.plan(fetch(root, "holder", kind="memory"))
        await until(lambda: r.executor.work.failed)
        assert not r.refusals


class Full(MemoryBackend):
    """A bucket with a quota."""

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        raise StoreFull(0, 0)


async def test_a_backend_without_room_is_full_and_nothing_else_is(tmp_path: Path) -> None:
    root, blocks = dag("root")
    async with rig(tmp_path / "me", Full()) as r:
        await r.net.peer("holder", dict(blocks))
        r.plan(fetch(root, "holder", kind="memory"))
        await until(lambda: r.executor.work.failed)
        assert (r.full, r.refusals) == (["memory"], [])
        [attempt] = r.executor.work.failed.values()
        assert attempt.reason == "memory: no room left"


class ReadOnly(MemoryBackend):
    """A bucket whose keys may read and not write: it looks well."""

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        raise BackendRefused(self.place, "answered 403 forbidden")


async def test_others_are_named_for_a_backend_that_refuses_what_is_put(tmp_path: Path) -> None:
    """Else every image that this peer is named for waits for its copy for ever."""
    root, blocks = dag("root")
    async with rig(tmp_path / "me", ReadOnly()) as r:
        await r.net.peer("holder", dict(blocks))
        r.plan(fetch(root, "holder", kind="memory"))
        await until(lambda: r.executor.work.failed)
        assert (r.full, r.refusals) == (["memory"], [])


class Hanging(MemoryBackend):
    """A bucket that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        self.goes_on.wait()
        return super().put(root, name, stream)


async def test_a_backend_that_hangs_leaves_slots_and_threads_to_the_repairs_of_others(tmp_path: Path) -> None:
    many = [dag(f"root {n}", leaves=1, size_bytes=100) for n in range(2 * module.FETCHES_AT_ONCE)]
    backend = Hanging()
    async with rig(tmp_path / "me", backend) as r:
        try:
            await r.net.peer("holder", {cid: block for _, blocks in many for cid, block in blocks.items()})
            r.plan(*(fetch(root, "holder", kind="memory") for root, _ in many))
            await until(lambda: len(r.executor.work.fetching) == module.BESIDE_AT_ONCE)
            r.plan(*(fetch(root, "holder") for root, _ in many))
            await until(lambda: len(r.held) == len(many))
            assert {held.kind for held in r.store.holdings()} == {"ipfs"}
        finally:
            backend.goes_on.set()
        await until(lambda: len(r.held) == 2 * len(many))


class Letting:
    """A release protocol that always succeeds, and notes what went."""

    def __init__(self) -> None:
        self.gone: list[bytes] = []

    async def release(self, release: Release) -> str | None:
        self.gone.append(release.root)
        return None


async def test_a_root_that_is_wanted_again_within_seconds_is_not_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "UNWANTED_S", 0.2)
    unwanted = [Release(root=root, kind="ipfs", ask=(), max=0, reason="", kept_on="ipfs") for root in (b"a", b"b")]
    async with rig(tmp_path / "me") as r:
        letting = r.executor._releasing = Letting()  # type: ignore[assignment]
        r.executor.follow(Plan(actions=tuple(unwanted)), {RootKey(b"a", "ipfs"), RootKey(b"b", "ipfs")})
        r.plan(planned=(b"b",))  # its pin is back
        await until(lambda: r.executor.work.due_roots(trio.current_time()) == {b"a"})
        r.executor.follow(Plan(actions=tuple(unwanted)), {RootKey(b"a", "ipfs"), RootKey(b"b", "ipfs")})
        await until(lambda: bool(letting.gone))
        assert letting.gone == [b"a"]
