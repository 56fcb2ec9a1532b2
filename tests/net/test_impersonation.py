"""Knowing a friend's PeerId must not be enough to be taken for that friend, whoever dials."""

from typing import Any

import pytest
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from multiaddr import Multiaddr

from protocol.net.errors import Unreachable
from tests.net.hosts import LOOPBACK, make_host, running

FRIEND = make_host(77).peer_id


class NoSecret:
    """All that an impostor has: the public key, which the id contains."""

    def __init__(self) -> None:
        self.public = ID.from_base58(FRIEND).extract_public_key()

    def get_public_key(self) -> object:
        return self.public


def impostor() -> Any:
    """A libp2p host that speaks plaintext only and says that it is the friend."""
    host = new_host(key_pair=create_new_key_pair(b"i" * 32))
    security = host.get_network().upgrader.security_multistream
    security.transports.clear()
    security.multiselect.handlers.clear()
    secret = NoSecret()
    security.add_transport(TProtocol(PLAINTEXT_PROTOCOL_ID), InsecureTransport(KeyPair(secret, secret.public)))
    return host


async def test_nobody_is_accepted_as_a_friend_over_plaintext() -> None:
    victim, attacker = make_host(1), impostor()
    async with running(victim), attacker.run(listen_addrs=[]):
        with pytest.raises(Exception, match=r".*"), trio.fail_after(5):
            await attacker.get_network().dial_addr(Multiaddr(victim.addrs[0]), ID.from_base58(victim.peer_id))
        assert victim.connected() == set()


async def test_nobody_is_reached_as_a_friend_over_plaintext() -> None:
    victim, attacker = make_host(1), impostor()
    async with running(victim), attacker.run(listen_addrs=[Multiaddr(LOOPBACK)]):
        address = str(attacker.get_transport_addrs()[0])
        with pytest.raises(Unreachable):
            await victim.connect(FRIEND, [address], 5)
        assert victim.connected() == set()


async def test_nobody_is_reached_under_another_id() -> None:
    victim, other = make_host(1), make_host(2)
    async with running(victim), running(other):
        with pytest.raises(Unreachable):
            await victim.connect(FRIEND, [address.partition("/p2p/")[0] for address in other.addrs], 5)
        assert victim.connected() == set()
