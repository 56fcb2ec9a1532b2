"""Connections come and go without leaving anything behind, and two at once do no harm."""

import pytest
import trio
from libp2p.host.ping import ID as PING
from multiaddr import Multiaddr

from protocol.identity import KeyPair
from protocol.net import connections as connections_module
from protocol.net.errors import ListenFailed, Unreachable
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from tests.hostile.client import dialled
from tests.hostile.membership import port_of
from tests.net.hosts import DEADLINE_S, connect_all, eventually, hosts, make_host, running
from tests.net.test_gossip import TOPIC, yes
from tests.net.test_host import echo
from tests.net.test_muxer import ECHO, echoes


@pytest.mark.slow
async def test_260_inbound_connections_in_sequence_leave_nothing_behind() -> None:
    async with hosts(11, connected=False) as (listener, *dialers):
        listener.handle(ECHO, echo)
        await connect_and_cut(dialers[0], listener, 1)
        before = tasks()
        async with trio.open_nursery() as nursery:
            for dialer in dialers:
                nursery.start_soon(connect_and_cut, dialer, listener, 26)
        await eventually(lambda: not listener.connected())
        await eventually(lambda: tasks() <= before + 5)
        assert listener.network.get_connections() == []
        assert listener.network.handshakes == {}


async def connect_and_cut(dialer: Host, listener: Host, times: int) -> None:
    for _ in range(times):
        await dialer.connect(listener.peer_id, listener.addrs, DEADLINE_S)
        assert await echoes(dialer, listener)
        await dialer.disconnect(listener.peer_id)


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def test_an_inbound_connection_leaves_no_task_behind() -> None:
    async with hosts(2, connected=False) as (listener, dialer):
        listener.handle(ECHO, echo)
        await connect_and_cut(dialer, listener, 1)
        await eventually(lambda: not listener.connected())
        before = tasks()
        await connect_and_cut(dialer, listener, 6)
        await eventually(lambda: not listener.connected() and tasks() <= before + 2, 5)


@pytest.mark.parametrize("turns", [5, pytest.param(50, marks=pytest.mark.slow)])
async def test_two_that_dial_each_other_at_the_same_moment_can_talk_at_once(turns: int) -> None:
    pair = [make_host(1), make_host(2)]
    gossips = [Gossip(host) for host in pair]
    channel = gossips[1].subscribe(TOPIC, yes)
    for host in pair:
        host.handle(ECHO, echo)
    a, b = pair
    async with running(a), running(b):
        for turn in range(turns):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(dial, a, b)
                nursery.start_soon(dial, b, a)
            assert await echoes(a, b)
            assert await echoes(b, a)
            await eventually(lambda: gossips[0].neighbours(TOPIC) == {b.peer_id})
            await gossips[0].publish(TOPIC, b"%d" % turn)
            with trio.fail_after(DEADLINE_S):
                assert await channel.receive() == (a.peer_id, b"%d" % turn)
            await a.disconnect(b.peer_id)
            await eventually(lambda: not b.connected() and not gossips[0].neighbours(TOPIC))


async def test_who_comes_back_at_once_is_not_waited_for() -> None:
    listener, key = make_host(1), KeyPair(b"k" * 32)
    async with running(listener), dialled(port_of(listener.addrs), key):
        await eventually(lambda: listener.connected() == {key.peer_id})
        first = listener.connections.best(key.peer_id)
        assert first is not None
        async with trio.open_nursery() as nursery, dialled(port_of(listener.addrs), key):
            await eventually(lambda: len(listener.network.get_connections()) == 2)
            nursery.start_soon(come_back_for_ever, port_of(listener.addrs), key)
            with trio.fail_after(DEADLINE_S):
                await listener.disconnect(key.peer_id)
            nursery.cancel_scope.cancel()


async def test_nobody_who_pinged_is_remembered() -> None:
    listener = make_host(1)
    async with running(listener):
        for number in range(3):
            async with dialled(port_of(listener.addrs), KeyPair(bytes([number]) * 32)) as client:
                await client.ping()
        await eventually(lambda: not listener.connected())
        service = listener.libp2p.get_mux().handlers[PING].__self__
        await eventually(lambda: not service._inbound_streams)


async def come_back_for_ever(port: int, key: KeyPair) -> None:
    """Twice at a time, so that one is always there."""
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(come_back, port, key)


async def come_back(port: int, key: KeyPair) -> None:
    while True:
        async with dialled(port, key):
            await trio.sleep(0.3)


async def dial(host: Host, other: Host) -> None:
    await host.connect(other.peer_id, other.addrs, DEADLINE_S)


async def test_a_spare_connection_goes_and_streams_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_module, "SPARE_CHECK_S", 0.1)
    async with hosts(2) as (a, b):
        b.handle(ECHO, echo)
        await b.network.dial_addr(Multiaddr(a.addrs[0]), a.libp2p.get_id())
        assert await echoes(a, b)
        best = a.connections.best(b.peer_id)
        assert best is not None
        stream = await a.open_stream(b.peer_id, [ECHO], 5)
        await eventually(lambda: len(a.network.get_connections()) == len(b.network.get_connections()) == 1)
        await stream.write_frame(b"kept")
        assert await stream.read_frame(10) == b"kept"
        assert a.connections.best(b.peer_id) is best


async def test_listeners_hear_of_each_peer_once() -> None:
    a, b = make_host(1), make_host(2)
    heard: list[tuple[str, str]] = []
    a.on_connected.append(lambda peer: heard.append(("up", peer)))
    a.on_disconnected.append(lambda peer: heard.append(("down", peer)))
    async with running(a):
        async with running(b):
            await connect_all([a, b])
        await eventually(lambda: len(heard) == 2)
    assert heard == [("up", b.peer_id), ("down", b.peer_id)]


async def test_every_address_is_tried() -> None:
    async with hosts(2, connected=False) as (a, b):
        async with trio.open_nursery() as nursery:
            mute = await nursery.start(trio.serve_tcp, swallow, 0)
            port = mute[0].socket.getsockname()[1]
            dead = ["/ip4/127.0.0.1/tcp/1", f"/ip4/127.0.0.1/tcp/{port}"]
            assert await a.connect(b.peer_id, [*dead, *b.addrs], DEADLINE_S) == b.addrs[0].partition("/p2p/")[0]
            nursery.cancel_scope.cancel()
        await a.disconnect(b.peer_id)
        with pytest.raises(Unreachable, match=r"/ip4/127\.0\.0\.1/tcp/1: "):
            await a.connect(b.peer_id, dead[:1], DEADLINE_S)
        await a.connect(b.peer_id, b.addrs, DEADLINE_S)


async def swallow(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def test_a_port_in_use_is_refused_by_name() -> None:
    async with hosts(1) as (a,):
        taken = a.addrs[0].partition("/p2p/")[0]
        with pytest.raises(ListenFailed, match=taken), trio.fail_after(5):
            await make_host(2).run([taken])
        with pytest.raises(ListenFailed, match="udp"):
            await make_host(2).run(["/ip4/127.0.0.1/udp/1/quic-v1"])


async def test_ipv6_is_as_good() -> None:
    a, b = make_host(1), make_host(2)
    b.handle(ECHO, echo)
    async with running(a, ["/ip6/::1/tcp/0"]), running(b, ["/ip6/::1/tcp/0", "/ip4/127.0.0.1/tcp/0"]):
        assert [address.split("/")[1] for address in b.addrs] == ["ip6", "ip4"]
        assert not any("/tcp/0/" in address for address in b.addrs)
        await a.connect(b.peer_id, b.addrs[:1], DEADLINE_S)
        assert await echoes(a, b)


async def test_a_host_with_many_peers_stops_within_two_seconds() -> None:
    async with hosts(6, first_seed=10) as others:
        centre = make_host(1)
        Gossip(centre)
        async with trio.open_nursery() as nursery:
            await nursery.start(centre.run, ["/ip4/127.0.0.1/tcp/0"])
            await connect_all([centre, *others])
            started = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - started < 10
        await eventually(lambda: all(centre.peer_id not in other.connected() for other in others))
