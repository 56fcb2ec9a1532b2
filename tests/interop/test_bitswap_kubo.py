"""Blocks to and from a real Kubo, and between two of our own hosts over TCP: byte for byte."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from protocol.net.bitswap import PROTOCOLS, Bitswap, BlocksUnavailable
from protocol.net.host import Host
from store.cid import cid_text, parse_cid
from store.dag import links
from store.unixfs import read_file
from tests.kubo import Kubo

pytestmark = pytest.mark.interop

MIB = 1 << 20
LISTEN = ["/ip4/127.0.0.1/tcp/0"]
PROFILES = {
    "v0, 256 KiB, dag-pb leaves": ["--cid-version=0", "--raw-leaves=false", "--chunker=size-262144"],
    "v1, 1 MiB, raw leaves": ["--cid-version=1", "--raw-leaves", "--chunker=size-1048576"],
    "v1, chunks as large as Kubo makes them": ["--cid-version=1", "--raw-leaves", "--chunker=size-2096896"],
    "blake3": ["--cid-version=1", "--raw-leaves", "--hash=blake3"],
}


class Node:
    """Our side: a host, an engine and a dictionary of blocks."""

    def __init__(self, *, member: bool = True) -> None:
        self.blocks: dict[bytes, bytes] = {}
        self.host = Host(os.urandom(32), is_member=lambda _: member, strangers_may=lambda: frozenset(PROTOCOLS))
        self.bitswap = Bitswap(
            self.host,
            get_block=self.get_block,
            block_size=lambda cid: len(self.blocks[cid]) if cid in self.blocks else None,
            may_serve=lambda _: True,
            is_member=lambda _: member,
        )

    async def get_block(self, cid: bytes) -> bytes | None:
        return self.blocks.get(cid)

    async def fetch(self, root: bytes, sources: list[str]) -> dict[bytes, bytes]:
        got = {}
        with trio.fail_after(90):
            async with self.bitswap.session(sources) as session:
                await session.want([root])
                async for cid, block in session:
                    got[cid] = block
                    await session.want(link for link in links(cid, block) if link not in got)
        return got


@asynccontextmanager
async def node(**options: bool) -> AsyncIterator[Node]:
    ours = Node(**options)
    async with trio.open_nursery() as nursery:
        await nursery.start(ours.bitswap.run)
        await nursery.start(ours.host.run, LISTEN)
        yield ours
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    with Kubo(tmp_path_factory.mktemp("kubo"), profile=None) as running:
        yield running


@pytest.fixture
def empty_kubo(tmp_path: Path) -> Iterator[Kubo]:
    with Kubo(tmp_path / "empty") as running:
        yield running


async def join(ours: Node, theirs: Kubo) -> str:
    await ours.host.connect(theirs.peer_id, [theirs.addr], 20)
    return theirs.peer_id


async def add(kubo: Kubo, content: bytes, options: list[str]) -> bytes:
    return parse_cid(
        (await trio.to_thread.run_sync(lambda: kubo.cli("add", "-Q", *options, stdin=content))).decode().strip()
    )


@pytest.mark.parametrize("profile", PROFILES)
async def test_we_fetch_what_kubo_added_and_another_kubo_gets_it_from_us(
    profile: str, kubo: Kubo, empty_kubo: Kubo
) -> None:
    content = os.urandom(9 * MIB + 12345)
    async with node() as ours:
        root = await add(kubo, content, PROFILES[profile])
        ours.blocks = await ours.fetch(root, [await join(ours, kubo)])
        assert b"".join(read_file(root, ours.blocks.__getitem__)) == content
        await trio.to_thread.run_sync(empty_kubo.connect, ours.host.addrs[0])
        text = cid_text(root)
        assert await trio.to_thread.run_sync(lambda: empty_kubo.rpc(f"cat?arg={text}")) == content
        await trio.to_thread.run_sync(lambda: empty_kubo.rpc(f"pin/add?arg={text}"))
        assert await trio.to_thread.run_sync(lambda: empty_kubo.cli("pin", "verify")) == b""


async def test_directories_travel_whole(kubo: Kubo, empty_kubo: Kubo, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    files = {f"sub{n % 3}/{n}.bin": os.urandom(n * 9000) for n in range(40)}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    async with node() as ours:
        text = (
            (await trio.to_thread.run_sync(lambda: kubo.cli("add", "-rQ", "--cid-version=1", str(folder))))
            .decode()
            .strip()
        )
        ours.blocks = await ours.fetch(parse_cid(text), [await join(ours, kubo)])
        await trio.to_thread.run_sync(empty_kubo.connect, ours.host.addrs[0])
        await trio.to_thread.run_sync(lambda: empty_kubo.cli("get", "-o", str(tmp_path / "got"), text))
    got = {str(p.relative_to(tmp_path / "got")): p.read_bytes() for p in (tmp_path / "got").rglob("*.bin")}
    assert got == files


async def test_a_stranger_kubo_gets_blocks_too(empty_kubo: Kubo) -> None:
    block = os.urandom(100_000)
    async with node(member=False) as ours:
        root = await add(empty_kubo, block, ["--cid-version=1", "--raw-leaves", "--only-hash"])
        ours.blocks = {root: block}
        await trio.to_thread.run_sync(empty_kubo.connect, ours.host.addrs[0])
        assert await trio.to_thread.run_sync(lambda: empty_kubo.rpc(f"cat?arg={cid_text(root)}")) == block


async def test_kubo_gets_a_block_that_came_to_us_after_it_asked(empty_kubo: Kubo) -> None:
    block = os.urandom(100_000)
    async with node() as ours, trio.open_nursery() as nursery:
        root = await add(empty_kubo, block, ["--cid-version=1", "--raw-leaves", "--only-hash"])
        await trio.to_thread.run_sync(empty_kubo.connect, ours.host.addrs[0])
        got = []

        async def get() -> None:
            got.append(await trio.to_thread.run_sync(lambda: empty_kubo.rpc(f"cat?arg={cid_text(root)}")))

        nursery.start_soon(get)
        with trio.fail_after(60):
            while not ours.bitswap.waiting_wants(empty_kubo.peer_id):  # noqa: ASYNC110
                await trio.sleep(0.05)
        ours.blocks[root] = block
        ours.bitswap.notify_new([root])
    assert got == [block]


async def test_kubo_says_that_it_has_not_what_it_has_not(kubo: Kubo) -> None:
    async with node() as ours:
        source = await join(ours, kubo)
        with pytest.raises(BlocksUnavailable, match="does not have 1"):
            await ours.fetch(b"\x01\x55\x12\x20" + os.urandom(32), [source])


async def test_a_block_of_two_mebibytes_goes_both_ways(kubo: Kubo, empty_kubo: Kubo) -> None:
    block = os.urandom(2 * MIB)
    async with node() as ours:
        text = (await trio.to_thread.run_sync(lambda: kubo.cli("block", "put", stdin=block))).decode().strip()
        ours.blocks = await ours.fetch(parse_cid(text), [await join(ours, kubo)])
        assert list(ours.blocks.values()) == [block]
        await trio.to_thread.run_sync(empty_kubo.connect, ours.host.addrs[0])
        assert await trio.to_thread.run_sync(lambda: empty_kubo.rpc(f"block/get?arg={text}")) == block


async def test_a_dag_comes_from_kubo_and_from_one_of_us_together(kubo: Kubo) -> None:
    content = os.urandom(24 * MIB)
    async with node() as first, node() as second:
        root = await add(kubo, content, PROFILES["v1, 1 MiB, raw leaves"])
        source = await join(first, kubo)
        first.blocks = await first.fetch(root, [source])
        await join(second, kubo)
        await second.host.connect(first.host.peer_id, first.host.addrs, 20)
        second.blocks = await second.fetch(root, [source, first.host.peer_id])
        assert b"".join(read_file(root, second.blocks.__getitem__)) == content
        assert first.bitswap.counts().sent_bytes > 0


async def test_a_killed_kubo_is_replaced_in_the_middle(kubo: Kubo, empty_kubo: Kubo) -> None:
    content = os.urandom(32 * MIB)
    async with node() as ours:
        root = await add(kubo, content, PROFILES["v0, 256 KiB, dag-pb leaves"])
        same = await add(empty_kubo, content, PROFILES["v0, 256 KiB, dag-pb leaves"])
        assert same == root
        sources = [await join(ours, kubo), await join(ours, empty_kubo)]
        got: dict[bytes, bytes] = {}
        with trio.fail_after(90):
            async with ours.bitswap.session(sources) as session:
                await session.want([root])
                async for cid, block in session:
                    got[cid] = block
                    await session.want(link for link in links(cid, block) if link not in got)
                    if len(got) == 10:
                        empty_kubo.end()
        assert b"".join(read_file(root, got.__getitem__)) == content
