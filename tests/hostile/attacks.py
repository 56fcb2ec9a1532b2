"""The kinds of attack: what is sent, on which protocol, by whom, and whether it must cost the connection at once."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from libp2p.pubsub.pb import rpc_pb2

from node.swarm.names import AUDIT, JOIN, QUERY, REPLICA, SYNC, beat_topic, holdings_topic, pins_topic
from protocol.beat import Beat, sign_beat
from protocol.holdings import ElementSet
from protocol.identity import KeyPair
from tests.hostile import client as c
from tests.hostile.bytes import MESSAGES, Chance
from tests.hostile.gossip import MESHSUB, control, id_bytes, rpc_of, signed, subscriptions
from tests.hostile.membership import call

BITSWAP, IDENTIFY, PING_PROTOCOL = "/ipfs/bitswap/1.2.0", "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"
SWARM_PROTOCOLS = (SYNC, QUERY, REPLICA, AUDIT)
OTHER = KeyPair(b"another peer, whom it cannot be!"[:32])


@dataclass(slots=True)
class Sender:
    """Who attacks: an identity, what it has said before, and its own chance."""

    key: KeyPair
    swarm_id: str
    chance: Chance
    numbers: Iterator[int]
    said: list[rpc_pb2.Message]

    @classmethod
    def of(cls, key: KeyPair, swarm_id: str, seed: int) -> "Sender":
        return cls(key, swarm_id, Chance(random.Random(seed)), count(random.Random(seed).getrandbits(60)), [])

    def topic(self) -> str:
        """One of the swarm's three."""
        return self.chance.random.choice((beat_topic, pins_topic, holdings_topic))(self.swarm_id)

    def say(self, topic: str, body: bytes) -> bytes:
        """Gossip under its own name, kept to be said again."""
        message = signed(self.key, topic, body, next(self.numbers))
        self.said.append(message)
        return rpc_of([message])


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind.

    Attributes:
        protocol: of the stream it is sent on; "" for frames of Yamux, sent as they are.
        make: one message.
        fatal: it must cost the connection at once; otherwise it is refused, ignored or, should chance have made it
            worse, punished.
    """

    name: str
    protocol: str
    make: Callable[[Sender], bytes]
    fatal: bool


def _frames(sender: Sender) -> bytes:
    chance = sender.chance.random
    return chance.choice(
        (
            lambda: c.frame(c.DATA, c.SYN, 0, 0),
            lambda: c.frame(c.DATA, c.SYN, 2 * chance.randrange(1, 1000), 0),
            lambda: c.frame(chance.randrange(4, 256), 0, 1, 0),
            lambda: c.frame(c.DATA, 0, 99_999, chance.randrange(2 << 20, 1 << 32)),
            lambda: c.frame(c.DATA, c.SYN, 99_999, 1 << 20),
            lambda: bytes((chance.randrange(1, 256),)) + chance.randbytes(chance.randrange(11, 300)),
            lambda: c.frame(c.PING, c.SYN, chance.randrange(1, 99), 1),
        )
    )()


def _negotiation(sender: Sender) -> bytes:
    chance = sender.chance.random
    sent = chance.choice(
        (c.varint(chance.randrange(2000, 1 << 20)), b"\xff" * 9, b"\x05\xff\xfe\xfd\xfc\n", b"\x04abcd")
    )
    return c.frame(c.DATA, c.SYN, 2 * chance.randrange(10**6, 10**8) + 1, len(sent), sent)


def _beat_of_another(sender: Sender) -> bytes:
    beat = Beat(
        incarnation=1, seq=1, clock_ms=1_800_000_000_000, name="m", capacity_bytes=1, used_bytes=0,
        records_digest=bytes(32), holdings=ElementSet().summary(1, 0), version="0",
    )  # fmt: skip
    return sender.say(beat_topic(sender.swarm_id), sign_beat(beat, OTHER))


def _forged(sender: Sender) -> bytes:
    message = signed(OTHER, sender.topic(), sender.chance.garbage(), next(sender.numbers))
    message.data += b"!"
    return rpc_of([message])


def _bad_rpc(sender: Sender) -> bytes:
    chance = sender.chance.random
    return chance.choice(
        (
            lambda: c.varint(chance.randrange(1 << 19, 1 << 30)),
            lambda: c.delimited(b"\xff" * chance.randrange(10, 500)),
            lambda: c.delimited(b"\x12\x00" * chance.randrange(1, 50_000)),
            lambda: control(graft=[rpc_pb2.ControlGraft(topicID="x" * chance.randrange(1, 100_000))]),
            lambda: control(prune=[rpc_pb2.ControlPrune(topicID=sender.topic())] * 200),
            lambda: control(iwant=[rpc_pb2.ControlIWant(messageIDs=[b"id"] * 8000)]),
            lambda: subscriptions(f"topic-{n}" for n in range(100)),
            lambda: rpc_of([signed(sender.key, "elsewhere", b"x", 1)]),
            lambda: rpc_of([signed(sender.key, sender.topic(), bytes(70_000), 1)]),
        )
    )()


def _control(sender: Sender) -> bytes:
    topic, ids = sender.topic(), [id_bytes(OTHER) + sender.chance.random.randbytes(8) for _ in range(20)]
    return control(
        ihave=[rpc_pb2.ControlIHave(topicID=topic, messageIDs=ids)], iwant=[rpc_pb2.ControlIWant(messageIDs=ids)],
        graft=[rpc_pb2.ControlGraft(topicID=topic)], prune=[rpc_pb2.ControlPrune(topicID=topic, backoff=1)],
    )  # fmt: skip


def _again(sender: Sender) -> bytes:
    """Gossip said before, byte for byte, or its content under a new number."""
    if not sender.said:
        return sender.say(sender.topic(), sender.chance.unknown())
    old = sender.chance.random.choice(sender.said)
    if sender.chance.random.random() < 0.5:
        return rpc_of([old])
    return rpc_of([signed(sender.key, old.topicIDs[0], old.data, next(sender.numbers))])


def _call(body: Callable[[Sender], bytes]) -> Callable[[Sender], bytes]:
    return lambda sender: call(sender.chance.random.getrandbits(63), body(sender))


def _calls(protocol: str) -> Iterator[Attack]:
    name = protocol.split("/")[2]
    yield Attack(f"{name}: malformed", protocol, _call(lambda s: s.chance.malformed()), True)
    yield Attack(f"{name}: no call", protocol, lambda s: c.delimited(bytes(s.chance.random.randrange(8))), True)
    yield Attack(f"{name}: oversized", protocol, lambda s: c.varint(s.chance.random.randrange(4 << 20, 1 << 50)), True)
    yield Attack(f"{name}: mutated", protocol, _call(lambda s: s.chance.mutated()), False)
    yield Attack(f"{name}: unknown kind", protocol, _call(lambda s: s.chance.unknown()), False)
    yield Attack(f"{name}: any message", protocol, _call(lambda s: s.chance.random.choice(MESSAGES)), False)


ANYONES = (
    Attack("yamux: senseless", "", _frames, True),
    Attack("multistream: senseless", "", _negotiation, True),
    Attack("bitswap: malformed", BITSWAP, lambda s: s.chance.bad_bitswap(), True),
    Attack("bitswap: garbage", BITSWAP, lambda s: c.delimited(s.chance.garbage()), False),
    Attack("bitswap: wants", BITSWAP, lambda s: s.chance.wantlist(), False),
    Attack("ping: garbage", PING_PROTOCOL, lambda s: s.chance.random.randbytes(32), False),
    Attack("identify: garbage", IDENTIFY, lambda s: s.chance.garbage(), False),
    *_calls(JOIN),
)
MEMBERS = (
    *ANYONES,
    *(attack for protocol in SWARM_PROTOCOLS for attack in _calls(protocol)),
    Attack("gossip: malformed", MESHSUB, lambda s: s.say(s.topic(), s.chance.malformed()), True),
    Attack("gossip: another's beat", MESHSUB, _beat_of_another, True),
    Attack("gossip: forged", MESHSUB, _forged, True),
    Attack("gossip: no rpc", MESHSUB, _bad_rpc, True),
    Attack("gossip: mutated", MESHSUB, lambda s: s.say(s.topic(), s.chance.mutated()), False),
    Attack("gossip: unknown kind", MESHSUB, lambda s: s.say(pins_topic(s.swarm_id), s.chance.unknown()), False),
    Attack("gossip: control", MESHSUB, _control, False),
    Attack("gossip: replayed", MESHSUB, _again, False),
)
"""The same, and what only members may open."""
