"""What the patches of Pubsub give: no losses at our rates, one signature check a message, buffered reads, one delivery."""

from typing import Any

import pytest
import trio
from libp2p.crypto.ed25519 import Ed25519PublicKey
from libp2p.network.stream.net_stream import NetStream
from libp2p.peer.envelope import Envelope
from libp2p.pubsub.pb import rpc_pb2
from trio.testing import wait_all_tasks_blocked

from protocol.net.gossip import Gossip
from tests.net.hosts import DEADLINE_S, connect_all, eventually, make_host, running
from tests.net.test_gossip import TOPIC, yes

MESSAGES = 60


class Counter:
    """Counts calls of a method while it stands in its place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.calls = 0
        stock = getattr(owner, name)

        def counted(*given: Any, **named: Any) -> Any:
            self.calls += 1
            return stock(*given, **named)

        monkeypatch.setattr(owner, name, counted)


class Announcer:
    """One host that sends gossip and one that hears it."""

    def __init__(self) -> None:
        self.a, self.b = make_host(1), make_host(2)
        self.sender, self.receiver = Gossip(self.a), Gossip(self.b)
        self.heard = self.receiver.subscribe(TOPIC, yes)

    async def connect(self) -> None:
        await connect_all([self.a, self.b])
        await eventually(lambda: self.sender.neighbours(TOPIC) == {self.b.peer_id})

    async def burst(self, count: int) -> None:
        for number in range(count):
            await self.sender.publish(TOPIC, b"%d" % number)
        with trio.fail_after(DEADLINE_S):
            assert sorted([(await self.heard.receive())[1] for _ in range(count)]) == sorted(
                b"%d" % number for number in range(count)
            )


async def test_a_burst_arrives_whole() -> None:
    pair = Announcer()
    async with running(pair.a), running(pair.b):
        await pair.connect()
        await pair.burst(MESSAGES)


def test_the_router_beats_every_second_and_keeps_nothing_for_ever() -> None:
    router = Announcer().receiver._router
    assert (router.heartbeat_interval, router.adaptive_gossip_enabled) == (1, False)
    router.recent_message_deliveries[TOPIC].append(1.0)
    router.equivocation_detection[b"id"] = rpc_pb2.Message()
    router._periodic_security_cleanup()
    assert (dict(router.recent_message_deliveries), router.equivocation_detection) == ({}, {})


async def test_a_message_costs_one_signature_check(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Announcer()
    async with running(pair.a), running(pair.b):
        await pair.connect()
        await pair.burst(1)
        checks = Counter(monkeypatch, Ed25519PublicKey, "verify")
        await pair.burst(MESSAGES)
        # One by the receiver, and one by the sender, who checks its own as well.
        assert checks.calls <= 2 * MESSAGES + 2


async def test_the_senders_address_record_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Announcer()
    async with running(pair.a), running(pair.b):
        await pair.connect()
        await pair.burst(1)
        made = Counter(monkeypatch, Envelope, "marshal_envelope")
        await pair.burst(MESSAGES)
        assert made.calls == 0


async def test_messages_are_read_from_a_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Announcer()
    async with running(pair.a), running(pair.b):
        await pair.connect()
        await pair.burst(1)
        reads = Counter(monkeypatch, NetStream, "read")
        await pair.burst(MESSAGES)
        assert reads.calls <= 1.5 * MESSAGES


async def test_a_message_from_two_neighbours_is_delivered_once_while_a_validator_waits() -> None:
    pair = Announcer()
    go_on = trio.Event()
    delivered: list[Any] = []

    async def slow(forwarder: Any, message: Any) -> bool:
        await go_on.wait()
        return True

    async with running(pair.a), running(pair.b):
        await pair.connect()
        pubsub: Any = pair.receiver._pubsub
        message = await signed_message(pair)
        pubsub.set_topic_validator(TOPIC, slow, True)
        pubsub.notify_subscriptions = delivered.append
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pubsub.push_msg, pair.a.libp2p.get_id(), message)
            nursery.start_soon(pubsub.push_msg, make_host(3).libp2p.get_id(), message)
            await wait_all_tasks_blocked()
            go_on.set()
    assert delivered == [message]


async def signed_message(pair: Announcer) -> Any:
    """A message by the sender that nobody has seen yet."""
    made: list[Any] = []

    async def keep(forwarder: Any, message: Any) -> None:
        made.append(message)

    pubsub = pair.sender._pubsub
    stock, pubsub.push_msg = pubsub.push_msg, keep
    await pair.sender.publish(TOPIC, b"twice")
    pubsub.push_msg = stock
    return made[0]


async def test_messages_right_after_a_restart_are_new() -> None:
    a = make_host(1)
    listener = Gossip(a)
    heard = listener.subscribe(TOPIC, yes)
    async with running(a):
        for life in range(2):
            b = make_host(2)
            sender = Gossip(b)
            async with running(b):
                await connect_all([a, b])
                await eventually(lambda sender=sender: sender.neighbours(TOPIC) == {a.peer_id})  # type: ignore[misc]
                for number in range(20):
                    await sender.publish(TOPIC, b"%d.%d" % (life, number))
                with trio.fail_after(DEADLINE_S):
                    assert [(await heard.receive())[1] for _ in range(20)] == [
                        b"%d.%d" % (life, number) for number in range(20)
                    ]
            await eventually(lambda: not a.connected())
