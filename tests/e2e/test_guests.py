"""A guest of a real swarm: it is let in, may query and fetch, and is no keeper, no member and no listener."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from node.demo.peers import Peer, swarm, wait_until
from node.keys import IDENTITY, read_key
from node.swarm.names import AUDIT, BITSWAP, QUERY, REPLICA, SYNC, pins_topic
from protocol import messages as m
from protocol.identity import KeyPair
from protocol.net.errors import ProtocolRefused, Unreachable
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.net.rpc import Rpc
from store.cid import parse_cid
from tests.e2e.pictures import make_pictures
from tests.net.hosts import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, Peer]]:
    home = tmp_path_factory.mktemp("guests")
    guest = Peer(home / "gus", "gus")
    with swarm(home, ("ada",)) as [ada]:
        [picture] = make_pictures(1, home / "in", seed=71, width_px=160, height_px=120)
        ada.call("add", "--replicas", "2:2", str(picture))
        guest.init("--join", ada.one("invite", "--role", "guest")["invite"])
        try:
            guest.start()
            yield ada, guest
        finally:
            guest.kill()


def test_a_guest_is_listed_as_one_and_counts_for_nothing(peers: tuple[Peer, Peer]) -> None:
    ada, guest = peers
    assert guest.one("status")["roles"] == ["guest"]
    assert {row["name"]: row["roles"] for row in ada.rows("members")}[""] == ["guest"]
    assert [row["name"] for row in ada.rows("peers")] == ["ada"]
    assert ada.one("status")["peers"]["alive"] == 1
    [image] = ada.rows("ls")
    assert image["copies"] == 1
    assert ada.run("add", "--wait", "2", str(ada.data_dir / "config.toml")).returncode == 5
    assert guest.run("add", str(ada.data_dir / "config.toml")).returncode == 5
    assert guest.run("invite").returncode == 5
    assert "charter 1" in guest.call("charter", "show")


@asynccontextmanager
async def client(ada: Peer, key: KeyPair) -> AsyncIterator[tuple[Host, Rpc, Gossip]]:
    """A libp2p client of its own under a peer's identity, connected to ada."""
    host = Host(key.seed, is_member=lambda _: True, strangers_may=lambda: frozenset())
    rpc, gossip = Rpc(host), Gossip(host)
    gossip.subscribe(pins_topic(ada.one("status")["swarm"]), lambda *_: True)
    for protocol in (QUERY, SYNC, REPLICA, AUDIT):
        rpc.register(protocol, answer_nobody, max_request_bytes=4096, max_response_bytes=1 << 20, concurrency=1)
    async with running(host):
        await host.connect(ada.peer_id, ada.addrs, TIMEOUT_S)
        yield host, rpc, gossip


async def answer_nobody(peer_id: str, body: bytes) -> bytes:
    raise AssertionError("a guest is asked nothing")


async def ask(rpc: Rpc, ada: Peer, question: m.Message) -> m.Message | None:
    return m.read_message(await rpc.call(ada.peer_id, QUERY, m.write_message(question), TIMEOUT_S), m.QUERY_ANSWERS)


async def test_a_guest_may_query_and_nothing_else(peers: tuple[Peer, Peer]) -> None:
    ada, guest = peers
    guest.stop()
    key = read_key(guest.data_dir, IDENTITY)
    assert key is not None
    [image] = ada.rows("ls")
    root = parse_cid(image["root"])
    async with client(ada, key) as (host, rpc, gossip):
        info = await ask(rpc, ada, m.InfoAsk())
        assert isinstance(info, m.InfoAnswer)
        assert (info.name, info.roots) == ("ada", 1)
        stat = await ask(rpc, ada, m.RootAsk(what="stat", root=root))
        assert isinstance(stat, m.StatAnswer)
        assert stat.copies == 1
        located = await ask(rpc, ada, m.RootAsk(what="locate", root=root))
        assert isinstance(located, m.LocateAnswer)
        assert [holder.peer for holder in located.holders] == [ada.peer_id]
        listed = await ask(rpc, ada, m.ListAsk(limit=10))
        assert isinstance(listed, m.ListAnswer)
        assert [row.root for row in listed.rows] == [root]
        assert isinstance(await ask(rpc, ada, m.SimilarAsk(phash=bytes(8), within_bits=64)), m.SimilarAnswer)
        charter = await ask(rpc, ada, m.CharterAsk())
        assert isinstance(charter, m.CharterAnswer)
        assert len(charter.charters) == 1
        thumb = await ask(rpc, ada, m.ThumbAsk(root=root, variant="small"))
        assert isinstance(thumb, m.ThumbAnswer)
        assert (thumb.image or b"").startswith(b"RIFF")
        for protocol in (SYNC, REPLICA, AUDIT):
            with pytest.raises(ProtocolRefused):
                await host.open_stream(ada.peer_id, [protocol], TIMEOUT_S)
        await (await host.open_stream(ada.peer_id, sorted(BITSWAP), TIMEOUT_S)).close()
        assert gossip.neighbours(pins_topic(ada.one("status")["swarm"])) == set()


async def test_a_stranger_may_not_query_and_fetches_only_while_the_charter_serves_anyone(
    peers: tuple[Peer, Peer],
) -> None:
    ada, _ = peers
    async with client(ada, KeyPair(b"q" * 32)) as (host, _rpc, _gossip):
        with pytest.raises(ProtocolRefused):
            await host.open_stream(ada.peer_id, [QUERY], TIMEOUT_S)
        await (await host.open_stream(ada.peer_id, sorted(BITSWAP), TIMEOUT_S)).close()
        ada.call("charter", "set", "--serve", "members")
        wait_until(lambda: ada.one("charter", "show")["serve"] == "members", timeout_s=TIMEOUT_S, what="a new charter")
        with pytest.raises((ProtocolRefused, Unreachable)):  # the connection is closed because its rights have changed
            await host.open_stream(ada.peer_id, sorted(BITSWAP), TIMEOUT_S)
    async with client(ada, KeyPair(b"q" * 32)) as (host, _rpc, _gossip):
        with pytest.raises(ProtocolRefused):
            await host.open_stream(ada.peer_id, sorted(BITSWAP), TIMEOUT_S)
