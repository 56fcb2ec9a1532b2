"""Whatever a peer sends, or a handler of ours gets wrong, the host lives and only that peer's connection goes."""

import hashlib
import random

import pytest
import trio
from libp2p.pubsub.pb import rpc_pb2

from protocol.net.errors import NetError
from protocol.net.gossip import Gossip
from protocol.net.rpc import Rpc
from protocol.net.streams import Stream, framed
from tests.net.hosts import DEADLINE_S, connect_all, eventually, make_host, running
from tests.net.test_gossip import TOPIC, yes
from tests.net.test_host import echo
from tests.net.test_muxer import ECHO, echoes

MESHSUB = "/meshsub/1.1.0"


class Trio:
    """A host under attack, the attacker, and a friend whose traffic must go on."""

    def __init__(self) -> None:
        self.victim, self.attacker, self.friend = make_host(1), make_host(2), make_host(3)
        self.gossip, self.friends_gossip = Gossip(self.victim), Gossip(self.friend)
        self.heard = self.gossip.subscribe(TOPIC, yes)
        self.victim.handle(ECHO, echo)

    async def connect(self) -> None:
        await connect_all([self.victim, self.friend])
        await self.reconnect()
        await eventually(lambda: self.friends_gossip.neighbours(TOPIC) == {self.victim.peer_id})

    async def reconnect(self) -> None:
        await eventually(lambda: self.attacker.connected() == set() or self.attacker.peer_id in self.victim.connected())
        await self.attacker.connect(self.victim.peer_id, self.victim.addrs, DEADLINE_S)
        await eventually(lambda: self.attacker.peer_id in self.victim.connected())

    async def attack(self, protocol: str, sent: bytes) -> None:
        stream = await self.attacker.open_stream(self.victim.peer_id, [protocol], 5)
        await stream.write(sent)

    async def the_friend_is_served(self) -> None:
        assert self.friend.connected() == {self.victim.peer_id}
        assert await echoes(self.friend, self.victim)
        await self.friends_gossip.publish(TOPIC, b"still here")
        with trio.fail_after(DEADLINE_S):
            assert await self.heard.receive() == (self.friend.peer_id, b"still here")


def bad_key_message(sender: bytes, key: bytes) -> bytes:
    message = rpc_pb2.Message(data=b"x", topicIDs=[TOPIC], from_id=sender, seqno=b"1", key=key, signature=b"s")
    return framed(rpc_pb2.RPC(publish=[message]).SerializeToString())


@pytest.mark.parametrize(
    "sent",
    [
        framed(b"\xff" * 50),
        bad_key_message(b"\x12\x20" + hashlib.sha256(b"q").digest(), b"\xff\xfe"),
    ],
    ids=["no-protobuf", "bad-key"],
)
async def test_garbage_on_gossip_costs_the_sender_its_connection(sent: bytes) -> None:
    them = Trio()
    async with running(them.victim), running(them.attacker), running(them.friend):
        await them.connect()
        await them.attack(MESHSUB, sent)
        await eventually(lambda: them.victim.connected() == {them.friend.peer_id})
        await them.the_friend_is_served()


async def test_an_exception_in_a_handler_costs_the_peer_its_connection() -> None:
    them = Trio()

    async def broken(peer_id: str, stream: Stream) -> None:
        raise ValueError("a bug")

    them.victim.handle("/test/broken/1", broken)
    async with running(them.victim), running(them.attacker), running(them.friend):
        await them.connect()
        await them.attacker.open_stream(them.victim.peer_id, ["/test/broken/1"], 5)
        await eventually(lambda: them.victim.connected() == {them.friend.peer_id})
        await them.the_friend_is_served()


async def test_random_bytes_on_every_protocol_and_on_the_bare_socket() -> None:
    them = Trio()
    rpc = Rpc(them.victim)

    async def answer(peer_id: str, body: bytes) -> bytes:
        return body

    rpc.register("/test/rpc/1", answer, max_request_bytes=1000, max_response_bytes=1000, concurrency=4)
    chance = random.Random(3)
    async with running(them.victim), running(them.attacker), running(them.friend):
        await them.connect()
        protocols = [str(protocol) for protocol in them.victim.libp2p.get_mux().handlers]
        assert len(protocols) >= 6
        for protocol in protocols * 4:
            await attack_somehow(them, protocol, chance)
        port = int(them.victim.addrs[0].split("/")[4])
        for _ in range(20):
            bare = await trio.open_tcp_stream("127.0.0.1", port)
            await bare.send_all(chance.randbytes(chance.randrange(1, 300)))
            await bare.aclose()
        await them.the_friend_is_served()


async def attack_somehow(them: Trio, protocol: str, chance: random.Random) -> None:
    body = chance.randbytes(chance.randrange(1, 400))
    for sent in (body, framed(body), framed(body)[:-1], b"\xff" * 12):
        if them.attacker.connected() == set() or them.attacker.peer_id not in them.victim.connected():
            await them.reconnect()
        try:
            stream = await them.attacker.open_stream(them.victim.peer_id, [protocol], 5)
            await stream.write(sent)
            await (stream.reset() if chance.random() < 0.5 else stream.close())
        except NetError:
            await them.reconnect()
