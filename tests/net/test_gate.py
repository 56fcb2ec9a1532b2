"""What a stranger may see, and that strangers never crowd members out."""

import contextlib
import socket
from typing import Any

import pytest
import trio
from libp2p.identity.identify.identify import parse_identify_response
from libp2p.io.trio import TrioTCPStream
from multiaddr import Multiaddr

from protocol.net.errors import ProtocolRefused, Unreachable
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.net.limits import HANDSHAKES_AT_ONCE, HostLimits
from protocol.net.streams import Stream
from tests.net.hosts import DEADLINE_S, connect_all, eventually, make_host, running
from tests.net.test_gossip import TOPIC, yes
from tests.net.test_host import echo

IDENTIFY, PING, BITSWAP = "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0", "/ipfs/bitswap/1.2.0"
JOIN, QUERY, MESHSUB = "/pinakothek/join/1", "/pinakothek/query/1", "/meshsub/1.1.0"
FRIEND, STRANGER = make_host(2).peer_id, make_host(3).peer_id


class Standing:
    """A host whose opinion of others the test can change."""

    def __init__(self, limits: HostLimits | None = None) -> None:
        self.members = {FRIEND}
        self.open: frozenset[str] = frozenset({BITSWAP})
        self.host = make_host(
            1, is_member=lambda peer: peer in self.members, strangers_may=lambda: self.open, limits=limits
        )
        for protocol in (BITSWAP, JOIN, QUERY):
            self.host.handle(protocol, echo)
        self.gossip = Gossip(self.host)
        self.gossip.subscribe(TOPIC, yes)


async def identified(host: Host, by: Host) -> set[str]:
    stream = await by.open_stream(host.peer_id, [IDENTIFY], 5)
    raw = b""
    while chunk := await stream.read_some():
        raw += chunk
    return set(parse_identify_response(raw).protocols)


async def may_open(host: Host, by: Host, protocol: str) -> bool:
    try:
        stream = await by.open_stream(host.peer_id, [protocol], 5)
    except ProtocolRefused:
        return False
    await stream.reset()
    return True


async def test_a_stranger_sees_only_what_is_open_to_strangers() -> None:
    standing, stranger = Standing(), make_host(3)
    greeted: list[bytes] = []

    async def record(peer_id: str, stream: Stream) -> None:
        greeted.append(await stream.read_some())

    stranger.handle(MESHSUB, record)
    stranger.handle("/meshsub/1.0.0", record)
    async with running(standing.host), running(stranger):
        await connect_all([standing.host, stranger])
        assert await identified(standing.host, stranger) == {IDENTIFY, PING, BITSWAP}
        allowed = [p for p in (PING, BITSWAP, JOIN, QUERY, MESHSUB) if await may_open(standing.host, stranger, p)]
        assert allowed == [PING, BITSWAP]
        listed = await standing_ls(stranger, standing.host)
        assert listed == {IDENTIFY, PING, BITSWAP}
        standing.open = frozenset({JOIN})
        assert [p for p in (BITSWAP, JOIN) if await may_open(standing.host, stranger, p)] == [JOIN]
        await standing.gossip.publish(TOPIC, b"a secret")
        assert (greeted, standing.gossip.neighbours(TOPIC)) == ([], set())


async def standing_ls(by: Host, host: Host) -> set[str]:
    return set(await by.libp2p.send_command(libp2p_id(host), "ls", 5))


def libp2p_id(host: Host) -> Any:
    return host.libp2p.get_id()


async def test_a_member_may_open_everything() -> None:
    standing, friend = Standing(), make_host(2)
    friends_gossip = Gossip(friend)
    async with running(standing.host), running(friend):
        await connect_all([standing.host, friend])
        assert [p for p in (PING, BITSWAP, JOIN, QUERY) if not await may_open(standing.host, friend, p)] == []
        assert {JOIN, QUERY, MESHSUB} <= await identified(standing.host, friend)
        await eventually(lambda: friends_gossip.neighbours(TOPIC) == {standing.host.peer_id})


async def test_a_change_of_standing_closes_the_connection_and_counts_on_the_next() -> None:
    standing, stranger = Standing(), make_host(3)
    async with running(standing.host), running(stranger):
        await connect_all([standing.host, stranger])
        assert not await may_open(standing.host, stranger, QUERY)
        standing.members.add(STRANGER)
        await standing.host.standing_changed(STRANGER)
        assert standing.host.connected() == set()
        await eventually(lambda: stranger.connected() == set())
        await connect_all([standing.host, stranger])
        assert await may_open(standing.host, stranger, QUERY)
        standing.members.remove(STRANGER)
        await standing.host.standing_changed(STRANGER)
        await eventually(lambda: stranger.connected() == set())
        with pytest.raises(Unreachable):
            await stranger.open_stream(standing.host.peer_id, [QUERY], 5)


async def test_strangers_share_their_connections_and_members_keep_theirs() -> None:
    standing, friend = Standing(HostLimits(stranger_connections=3)), make_host(2)
    async with running(standing.host), running(friend), trio.open_nursery() as nursery:
        await connect_all([standing.host, friend])
        for seed in range(10, 20):
            stranger = make_host(seed)
            await nursery.start(stranger.run, [])
            await stranger.connect(standing.host.peer_id, standing.host.addrs, DEADLINE_S)
        await eventually(lambda: len(standing.host.connected()) <= 4)
        assert FRIEND in standing.host.connected()
        assert await may_open(standing.host, friend, QUERY)
        nursery.cancel_scope.cancel()


async def test_one_stranger_has_few_connections_and_few_streams() -> None:
    standing = Standing(HostLimits(connections_per_stranger=2, streams_per_stranger=5))
    stranger = make_host(3)
    async with running(standing.host), running(stranger):
        await connect_all([standing.host, stranger])
        held, refused = [], 0
        for _ in range(8):
            try:
                held.append(await stranger.open_stream(standing.host.peer_id, [BITSWAP], 5))
            except Unreachable:
                refused += 1
        assert (len(held), refused) == (5, 3)
        for stream in held:
            await stream.reset()
        for _ in range(5):
            await dial_again(stranger, standing.host)
        await eventually(lambda: len(standing.host.network.get_connections(libp2p_id(stranger))) <= 2)


async def dial_again(host: Host, other: Host) -> None:
    with trio.move_on_after(5):
        await host.network.dial_addr(Multiaddr(other.addrs[0]), libp2p_id(other))


async def test_silent_sockets_keep_no_member_out() -> None:
    standing, friend = Standing(), make_host(2)
    async with running(standing.host), running(friend):
        port = int(standing.host.addrs[0].split("/")[4])
        silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(300)]
        await friend.connect(standing.host.peer_id, standing.host.addrs, DEADLINE_S)
        assert await may_open(standing.host, friend, QUERY)
        assert len(standing.host.network.handshakes) <= 128
        for stream in silent:
            await stream.aclose()


async def test_a_burst_of_sockets_takes_no_more_descriptors_than_there_may_be_handshakes() -> None:
    """However many are accepted before the first of those that give way has had its turn."""
    standing = Standing()
    with contextlib.ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(3 * HANDSHAKES_AT_ONCE)]
        for end in (end for pair in pairs for end in pair):
            stack.enter_context(end)
        taken = [trio.SocketStream(trio.socket.from_stdlib_socket(ours)) for ours, _ in pairs]
        async with running(standing.host), trio.open_nursery() as nursery:
            inbound = standing.host.network._handle_inbound_connection
            for stream in taken:
                nursery.start_soon(inbound, TrioTCPStream(stream), Multiaddr("/ip4/127.0.0.1/tcp/1"))
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            assert sum(stream.socket.fileno() != -1 for stream in taken) == HANDSHAKES_AT_ONCE
            nursery.cancel_scope.cancel()
