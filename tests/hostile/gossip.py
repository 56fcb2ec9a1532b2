"""Gossip RPCs made by hand: signed messages, forged ones, and control that no router sends."""

from collections.abc import Iterable

from libp2p.pubsub.pb import rpc_pb2

from protocol.identity import KeyPair, public_key_of
from tests.hostile.client import delimited

MESHSUB = "/meshsub/1.1.0"
_PREFIX = b"libp2p-pubsub:"
_KEY = b"\x08\x01\x12\x20"


def id_bytes(key: KeyPair) -> bytes:
    """The binary peer id that a message names as its author."""
    return b"\x00\x24" + _KEY + public_key_of(key.peer_id)


def signed(key: KeyPair, topic: str, body: bytes, number: int) -> rpc_pb2.Message:
    """A message as an honest author signs it."""
    message = rpc_pb2.Message(data=body, topicIDs=[topic], from_id=id_bytes(key), seqno=number.to_bytes(8, "big"))
    message.signature = key.sign(_PREFIX + message.SerializeToString())
    message.key = _KEY + public_key_of(key.peer_id)
    return message


def rpc_of(messages: Iterable[rpc_pb2.Message]) -> bytes:
    """An RPC that publishes them, framed."""
    return delimited(rpc_pb2.RPC(publish=list(messages)).SerializeToString())


def control(**entries: object) -> bytes:
    """An RPC of control messages, framed; `entries` are fields of `ControlMessage`."""
    return delimited(rpc_pb2.RPC(control=rpc_pb2.ControlMessage(**entries)).SerializeToString())  # type: ignore[arg-type]


def subscriptions(topics: Iterable[str]) -> bytes:
    """An RPC that subscribes to them, framed."""
    options = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=topic) for topic in topics]
    return delimited(rpc_pb2.RPC(subscriptions=options).SerializeToString())
