"""Gossip among members: proven authors, validators that decide, bounds that hold."""

import pytest
import trio

from protocol.net.errors import MessageTooLarge
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.net.limits import GOSSIP_MESSAGE_BYTES, SUBSCRIPTION_MESSAGES
from tests.net.hosts import DEADLINE_S, connect_all, eventually, make_host, running

TOPIC = "/test/topic/1"


def yes(author: str, body: bytes) -> bool:
    return True


async def test_everyone_hears_each_message_once_with_its_author() -> None:
    hosts = [make_host(n) for n in range(1, 6)]
    gossips = [Gossip(host) for host in hosts]
    heard = [gossip.subscribe(TOPIC, yes) for gossip in gossips]
    async with running(hosts[0]), running(hosts[1]), running(hosts[2]), running(hosts[3]), running(hosts[4]):
        await connect_all(hosts)
        await eventually(lambda: all(len(g.neighbours(TOPIC)) == 4 for g in gossips))
        for number in range(20):
            for gossip in gossips:
                await gossip.publish(TOPIC, b"%d" % number)
        with trio.fail_after(DEADLINE_S):
            for me, channel in zip(hosts, heard, strict=True):
                messages = [await channel.receive() for _ in range(80)]
                others = {host.peer_id for host in hosts} - {me.peer_id}
                assert sorted(messages) == sorted((peer, b"%d" % n) for peer in others for n in range(20))
        for channel in heard:
            with pytest.raises(trio.WouldBlock):
                channel.receive_nowait()


async def test_a_validator_keeps_messages_out_and_its_bugs_harm_nobody() -> None:
    a, b = make_host(1), make_host(2)
    sender, receiver = Gossip(a), Gossip(b)

    def picky(author: str, body: bytes) -> bool:
        assert author == a.peer_id
        if body == b"bug":
            raise KeyError("a bug")
        return body != b"bad"

    channel = receiver.subscribe(TOPIC, picky)
    async with running(a), running(b):
        await connect_all([a, b])
        await eventually(lambda: sender.neighbours(TOPIC) == {b.peer_id})
        for body in (b"bad", b"bug", b"good"):
            await sender.publish(TOPIC, body)
        with trio.fail_after(DEADLINE_S):
            assert await channel.receive() == (a.peer_id, b"good")
        assert b.connected() == {a.peer_id}


async def test_a_topic_can_be_subscribed_while_running() -> None:
    a, b = make_host(1), make_host(2)
    sender, receiver = Gossip(a), Gossip(b)
    async with running(a), running(b):
        await connect_all([a, b])
        channel = receiver.subscribe(TOPIC, yes)
        await eventually(lambda: sender.neighbours(TOPIC) == {b.peer_id})
        await sender.publish(TOPIC, b"late")
        with trio.fail_after(DEADLINE_S):
            assert await channel.receive() == (a.peer_id, b"late")


async def test_a_message_above_the_limit_is_an_error_of_the_sender() -> None:
    a, b = make_host(1), make_host(2)
    sender, receiver = Gossip(a), Gossip(b)
    channel = receiver.subscribe(TOPIC, yes)
    async with running(a), running(b):
        await connect_all([a, b])
        await eventually(lambda: sender.neighbours(TOPIC) == {b.peer_id})
        largest = bytes(GOSSIP_MESSAGE_BYTES)
        await sender.publish(TOPIC, largest)
        with trio.fail_after(DEADLINE_S):
            assert await channel.receive() == (a.peer_id, largest)
        with pytest.raises(MessageTooLarge):
            await sender.publish(TOPIC, largest + b"x")


async def test_a_slow_reader_loses_the_oldest_and_knows_how_many() -> None:
    a = make_host(1)
    gossip = Gossip(a)
    channel = gossip.subscribe(TOPIC, yes)
    for number in range(SUBSCRIPTION_MESSAGES + 3):
        gossip._topics[TOPIC].put(("author", b"%d" % number))
    assert gossip.dropped == {TOPIC: 3}
    assert channel.receive_nowait() == ("author", b"3")


async def test_gossip_survives_its_neighbours_return() -> None:
    a = make_host(1)
    listener = Gossip(a)
    channel = listener.subscribe(TOPIC, yes)
    async with running(a):
        for number in range(3):
            b: Host = make_host(2)
            sender = Gossip(b)
            async with running(b):
                await connect_all([a, b])
                await eventually(lambda sender=sender: sender.neighbours(TOPIC) == {a.peer_id})  # type: ignore[misc]
                for burst in range(5):
                    await sender.publish(TOPIC, b"%d.%d" % (number, burst))
                with trio.fail_after(DEADLINE_S):
                    assert [(await channel.receive())[1] for _ in range(5)] == [
                        b"%d.%d" % (number, burst) for burst in range(5)
                    ]
            await eventually(lambda: not a.connected())
