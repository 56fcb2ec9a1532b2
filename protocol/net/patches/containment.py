"""Defect: an exception in a stream handler, in a validator, or in parsing what a peer sent on `/meshsub` ends `trio.run`.

Any peer can stop the daemon with fifty bytes. Here such an exception ends the connection of the peer it came from.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.stream_muxer.yamux.yamux import Yamux

from protocol.net.errors import BrokenProtocol
from protocol.net.patches.release import expect_release
from protocol.net.sockets import cut

log = logging.getLogger("pinakothek.net.containment")

_Method = Callable[..., Awaitable[Any]]


def _costs_the_connection(method: _Method, muxed: Callable[[Any], Any]) -> _Method:
    async def contained(self: Any, *given: Any) -> Any:
        try:
            return await method(self, *given)
        except Exception as error:  # noqa: BLE001 - this is where they end
            _tell(method, muxed(self).peer_id, error)
            cut(muxed(self))

    return contained


def _costs_the_sender(method: _Method, pubsub: Callable[[Any], Any]) -> _Method:
    async def contained(self: Any, sender: Any, *given: Any) -> Any:
        try:
            return await method(self, sender, *given)
        except Exception as error:  # noqa: BLE001 - this is where they end
            _tell(method, sender, error)
            for connection in pubsub(self).host.get_network().get_connections(sender):
                cut(connection.muxed_conn)

    return contained


def _tell(method: _Method, peer: Any, error: Exception) -> None:
    """What the peer did, where that is known; else what failed."""
    if isinstance(error, BrokenProtocol):
        log.warning("%s broke the protocol, its connection is cut: %s", peer, error)
    else:
        log.warning("%s of %s failed, its connection is cut: %r", method.__name__, peer, error)


def apply() -> None:
    """Wrap every entry through which a peer's bytes reach code that may raise."""
    expect_release()
    SwarmConn._handle_muxed_stream = _costs_the_connection(SwarmConn._handle_muxed_stream, lambda c: c.muxed_conn)
    SwarmConn.start = _costs_the_connection(SwarmConn.start, lambda c: c.muxed_conn)
    Yamux.start = _costs_the_connection(Yamux.start, lambda c: c)
    Pubsub.push_msg = _costs_the_sender(Pubsub.push_msg, lambda p: p)
    Pubsub._replay_recent_messages = _costs_the_sender(Pubsub._replay_recent_messages, lambda p: p)
    GossipSub.flush_pending_messages = _costs_the_sender(GossipSub.flush_pending_messages, lambda g: g.pubsub)
    GossipSub.on_peer_subscribed = _costs_the_sender(GossipSub.on_peer_subscribed, lambda g: g.pubsub)
