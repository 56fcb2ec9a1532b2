"""What no honest router sends costs its sender the connection; what one might is bounded in memory, time and effect."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from libp2p.peer.envelope import seal_record
from libp2p.peer.peer_record import PeerRecord
from libp2p.pubsub import pubsub as libp2p_pubsub
from libp2p.pubsub.pb import rpc_pb2
from multiaddr import Multiaddr

from protocol.identity import KeyPair
from protocol.net.gossip import Gossip
from protocol.net.gossip_budget import BYTES_BURST, MESSAGES_BURST, GossipBudget
from protocol.net.limits import GOSSIP_MESSAGE_BYTES, SUBSCRIPTION_BYTES
from protocol.net.patches.gossip_constants import QUEUED_BYTES
from tests.hostile.client import Client, CutOff, delimited, dialled
from tests.hostile.gossip import MESHSUB, control, id_bytes, rpc_of, signed, subscriptions
from tests.hostile.membership import port_of
from tests.net.hosts import DEADLINE_S, eventually, make_host, running
from tests.net.test_gossip import TOPIC, yes

HOSTILE, OTHER = KeyPair(b"h" * 32), KeyPair(b"o" * 32)
graft, ihave, iwant, prune = rpc_pb2.ControlGraft, rpc_pb2.ControlIHave, rpc_pb2.ControlIWant, rpc_pb2.ControlPrune
MESSAGE_ID = id_bytes(OTHER) + bytes(8)


class Attacked:
    """A host that listens to gossip, a friend that sends some, and a hostile member."""

    def __init__(self, heard: "trio.MemoryReceiveChannel[tuple[str, bytes]]", friend: Gossip, client: Client) -> None:
        self.heard = heard
        self.friend = friend
        self.client = client

    async def the_friend_is_heard(self) -> None:
        await self.friend.publish(TOPIC, b"still here")
        with trio.fail_after(DEADLINE_S):
            while (await self.heard.receive())[1] != b"still here":
                pass


@asynccontextmanager
async def attacked() -> AsyncIterator[Attacked]:
    victim, friend = make_host(1), make_host(2)
    gossip, friends = Gossip(victim), Gossip(friend)
    heard = gossip.subscribe(TOPIC, yes)
    async with running(victim), running(friend):
        await friend.connect(victim.peer_id, victim.addrs, DEADLINE_S)
        await eventually(lambda: friends.neighbours(TOPIC) == {victim.peer_id})
        async with dialled(port_of(victim.addrs), HOSTILE) as client:
            them = Attacked(heard, friends, client)
            yield them
            await them.the_friend_is_heard()


def forged() -> bytes:
    message = signed(OTHER, TOPIC, b"forged", 1)
    message.data = b"Forged"
    return rpc_of([message])


def unsigned() -> bytes:
    return rpc_of([rpc_pb2.Message(data=b"x", topicIDs=[TOPIC], from_id=id_bytes(OTHER), seqno=bytes(8))])


OFFENCES = {
    "no-protobuf": delimited(b"\xff" * 50),
    "oversized": b"\xff\xff\xff\x7f",
    "forged": forged(),
    "unsigned": unsigned(),
    "empty-messages": delimited(b"\x12\x00" * 100_000),
    "other-topic": rpc_of([signed(HOSTILE, "else", b"x", 1)]),
    "large-message": rpc_of([signed(HOSTILE, TOPIC, bytes(GOSSIP_MESSAGE_BYTES + 1), 1)]),
    "overlong-number": rpc_of([rpc_pb2.Message(data=b"x", topicIDs=[TOPIC], from_id=b"x", seqno=bytes(1000))]),
    "many-subscriptions": subscriptions(f"t{n}" for n in range(100)),
    "long-topic": subscriptions(["t" * 1000]),
    "graft-elsewhere": control(graft=[graft(topicID="x" * 100_000)]),
    "many-prunes": control(prune=[prune(topicID=TOPIC)] * 1000),
    "ihave-elsewhere": control(ihave=[ihave(topicID="else", messageIDs=[MESSAGE_ID])]),
    "many-ids": control(iwant=[iwant(messageIDs=[MESSAGE_ID[:4]] * 6000)]),
    "long-ids": control(iwant=[iwant(messageIDs=[bytes(1000)])]),
}


@pytest.mark.parametrize("sent", OFFENCES.values(), ids=OFFENCES)
async def test_gossip_that_no_honest_peer_sends_costs_the_connection(sent: bytes) -> None:
    async with attacked() as them:
        await them.client.open(MESHSUB, sent)
        with trio.fail_after(DEADLINE_S):
            await them.client.cut.wait()


async def test_what_honest_routers_send_does_not() -> None:
    async with attacked() as them:
        said = (
            subscriptions([TOPIC, "/pinakothek/next/beat/2"])
            + rpc_of(signed(HOSTILE, TOPIC, b"%d" % n, n) for n in range(3))
            + control(graft=[graft(topicID=TOPIC)], ihave=[ihave(topicID=TOPIC, messageIDs=[MESSAGE_ID])])
            + control(iwant=[iwant(messageIDs=[MESSAGE_ID])], prune=[prune(topicID=TOPIC, backoff=5)])
        )
        await them.client.open(MESHSUB, said)
        with trio.fail_after(DEADLINE_S):
            assert [(await them.heard.receive())[1] for _ in range(3)] == [b"0", b"1", b"2"]
        await them.client.ping()


async def test_addresses_in_gossip_are_not_dialled() -> None:
    trap = make_host(9)
    async with attacked() as them, running(trap):
        record = PeerRecord(trap.libp2p.get_id(), [Multiaddr(trap.addrs[0].partition("/p2p/")[0])], 1)
        sealed = seal_record(record, trap.libp2p.get_private_key()).marshal_envelope()
        lure = rpc_pb2.PeerInfo(peerID=trap.libp2p.get_id().to_bytes(), signedPeerRecord=sealed)
        await them.client.open(MESHSUB, control(prune=[prune(topicID=TOPIC, peers=[lure])]))
        for _ in range(5):
            await them.client.ping()
            await trio.sleep(0.05)
        assert trap.connected() == set()


async def test_a_flood_is_cut_off_and_what_waits_of_it_is_bounded() -> None:
    async with attacked() as them:
        stream = await them.client.open(MESHSUB)
        number = 0
        with pytest.raises(CutOff), trio.fail_after(60):
            while True:
                batch = [signed(HOSTILE, TOPIC, bytes(50_000), number + n) for n in range(4)]
                await them.client.send(stream, rpc_of(batch))
                await them.client.ping()
                number += 4
        assert number <= BYTES_BURST // 50_000 * 2
        assert them.heard.statistics().current_buffer_used * 50_000 <= SUBSCRIPTION_BYTES


def test_what_an_author_may_send_does_not_depend_on_who_replays_it() -> None:
    budget = GossipBudget()
    passed = [budget.allows("forwarder", "author", 100, 0.0) for _ in range(MESSAGES_BURST + 5)]
    assert passed == [True] * MESSAGES_BURST + [False] * 5
    assert budget.allows("another forwarder", "author", 100, 0.0)
    assert budget.allows("forwarder", "author", 100, 1.0)


def test_what_a_deaf_peer_asks_for_is_bounded_by_its_bytes() -> None:
    make_host(1)  # applies the patches
    queue = libp2p_pubsub.RpcQueue()
    rpc = rpc_pb2.RPC(publish=[rpc_pb2.Message(data=bytes(100_000))])
    assert sum(queue.push(rpc) for _ in range(200)) == QUEUED_BYTES // rpc.ByteSize()


async def test_what_a_deaf_peer_has_taken_makes_room_again() -> None:
    make_host(1)
    queue = libp2p_pubsub.RpcQueue()
    rpc = rpc_pb2.RPC(publish=[rpc_pb2.Message(data=bytes(1_000_000))])
    for _ in range(20):
        assert queue.push(rpc)
        assert await queue.pop() is rpc
