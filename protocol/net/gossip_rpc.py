"""What one gossip RPC of another peer may contain; whatever an honest peer never sends is found before it is acted on.

An RPC carries messages, subscriptions and control. libp2p's own router takes topics of any name and number, connects to
whatever addresses a PRUNE names, and answers each control message with one as large: all bounded here. Pure.
"""

from collections.abc import Container
from typing import Any

from libp2p.pubsub.pb import rpc_pb2

from protocol.net.errors import BrokenProtocol
from protocol.net.limits import GOSSIP_MESSAGE_BYTES

LARGEST_RPC_BYTES = 256 << 10
"""Sent and taken. Four of the largest messages; a quarter of GossipSub's default, because a megabyte of empty fields
decodes into more than fifty."""

TOPIC_CHARS = 256
"""Ours have some 80; newer peers may have others."""
SUBSCRIPTIONS = 64
"""In one message, and of one peer."""
CONTROL_ENTRIES = 64
"""Of a kind; an honest router sends one for each topic."""
MESSAGE_IDS = 5000
"""Source: go-libp2p-pubsub, `GossipSubMaxIHaveLength`."""
ID_BYTES = 128
"""An id is a peer id and eight bytes."""
FIELD_BYTES = 128
"""Author, number, key and signature of a message: Ed25519 needs 64 at most."""


def open_rpc(raw: bytes, topics: Container[str]) -> Any:
    """Read an RPC, take out of it what we have no use for, and return it.

    Args:
        topics: those that we listen to: nothing else is ever addressed to us.

    Raises:
        BrokenProtocol: no honest peer sends this.
    """
    rpc = rpc_pb2.RPC()
    try:
        rpc.ParseFromString(raw)
    except Exception as error:
        raise BrokenProtocol("gossip that is no protobuf") from error
    if len(rpc.subscriptions) > SUBSCRIPTIONS or any(len(s.topicid) > TOPIC_CHARS for s in rpc.subscriptions):
        raise BrokenProtocol(f"{len(rpc.subscriptions)} subscriptions in one message, or one of a long name")
    for message in rpc.publish:
        _check_message(message, topics)
    if rpc.HasField("control"):
        _check_control(rpc.control, topics)
    return rpc


def _check_message(message: Any, topics: Container[str]) -> None:
    if len(message.topicIDs) != 1 or message.topicIDs[0] not in topics:
        raise BrokenProtocol("a message for other topics than we listen to")
    if len(message.data) > GOSSIP_MESSAGE_BYTES:
        raise BrokenProtocol(f"{len(message.data)} bytes of gossip, the limit is {GOSSIP_MESSAGE_BYTES}")
    if max(map(len, (message.from_id, message.seqno, message.key, message.signature))) > FIELD_BYTES:
        raise BrokenProtocol("a message with an overlong author, number, key or signature")


def _check_control(control: Any, topics: Container[str]) -> None:
    for entries in (control.ihave, control.iwant, control.graft, control.prune):
        if len(entries) > CONTROL_ENTRIES:
            raise BrokenProtocol(f"{len(entries)} control messages of a kind")
    if not all(entry.topicID in topics for entry in (*control.ihave, *control.graft, *control.prune)):
        raise BrokenProtocol("control of other topics than we listen to")
    named = [name for entry in (*control.ihave, *control.iwant) for name in entry.messageIDs]
    if len(named) > MESSAGE_IDS or any(len(name) > ID_BYTES for name in named):
        raise BrokenProtocol(f"{len(named)} message ids, or one of them too long")
    control.ClearField("idontwant")  # of a version that we do not speak
    for prune in control.prune:
        prune.ClearField("peers")  # addresses to dial come from members' heartbeats, from nowhere else
