"""The live connections of one host, by peer: who is up, which connection to use, and how to end one at once.

When two peers dial each other at the same moment there are two connections. Neither is refused, for the sides might
refuse a different one each. Both sides prefer the one that the peer with the lower id dialled, and the other is cut
once it carries no stream.
"""

import logging
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import trio
from libp2p.abc import INotifee
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction

from protocol.net.gate import Gate
from protocol.net.sockets import alive, cut

log = logging.getLogger("pinakothek.net.connections")

SPARE_CHECK_S = 5.0
"""How often spare connections are looked for; a connection younger than this is left alone."""

Listener = Callable[[str], None]


class Connections(INotifee):
    """Told by libp2p of every connection that opens and closes."""

    def __init__(self, network: Any, gate: Gate) -> None:
        self._network = network
        self._gate = gate
        self._me = str(network.get_peer_id())
        self._up: set[str] = set()
        self._gone: WeakSet[Any] = WeakSet()
        self._changed = trio.Event()
        self.on_connected: list[Listener] = []
        self.on_disconnected: list[Listener] = []
        network.register_notifee(self)

    def peers(self) -> set[str]:
        """Peers with at least one connection that is not closing."""
        return {peer for peer in self._up if self._open(peer)}

    def best(self, peer_id: str) -> Any | None:
        """The connection to open streams on; both sides name the same one."""
        return min(self._open(peer_id), key=self._order, default=None)

    def spare(self) -> list[Any]:
        """Connections that are neither the best nor carry a stream."""
        return [
            connection
            for peer in self._up
            for connection in sorted(self._open(peer), key=self._order)[1:]
            if not connection.get_streams() and not connection.muxed_conn.streams
        ]

    async def drop_spare(self) -> None:
        """For ever: cut connections that were spare at two looks in a row."""
        before: list[Any] = []
        while True:
            await trio.sleep(SPARE_CHECK_S)
            now = self.spare()
            for connection in now:
                if connection in before:
                    cut(connection.muxed_conn)
            before = now

    def cut_now(self, peer_id: str) -> list[Any]:
        """Close every connection to a peer, and return them; they end a moment later."""
        closing = self._open(peer_id)
        for connection in closing:
            cut(connection.muxed_conn)
        return closing

    async def cut(self, peer_id: str) -> None:
        """Close every connection to a peer; returns when they are gone, whether the peer has come back meanwhile or not."""
        closing = self.cut_now(peer_id)
        while any(connection not in self._gone for connection in closing):
            await self._changed.wait()

    async def cut_all(self) -> None:
        """Close every connection; returns when all are gone."""
        for connection in self._network.get_connections():
            cut(connection.muxed_conn)
        while self._up:
            await self._changed.wait()

    async def connected(self, network: Any, connection: Any) -> None:
        """A connection is up (libp2p calls this)."""
        self._gate.admit(connection)
        peer_id = str(connection.muxed_conn.peer_id)
        if peer_id not in self._up and not connection.is_closed:
            self._up.add(peer_id)
            self._tell(self.on_connected, peer_id)

    async def disconnected(self, network: Any, connection: Any) -> None:
        """A connection is gone (libp2p calls this)."""
        self._gone.add(connection)
        peer_id = str(connection.muxed_conn.peer_id)
        gone = peer_id in self._up and not self._open(peer_id)
        self._up -= {peer_id} if gone else set()
        self._tell(self.on_disconnected if gone else [], peer_id)

    async def opened_stream(self, network: Any, stream: Any) -> None:
        """Of no interest."""

    async def closed_stream(self, network: Any, stream: Any) -> None:
        """Of no interest."""

    async def listen(self, network: Any, address: Any) -> None:
        """Of no interest."""

    async def listen_close(self, network: Any, address: Any) -> None:
        """Of no interest."""

    def _open(self, peer_id: str) -> list[Any]:
        return [c for c in self._network.get_connections(ID.from_base58(peer_id)) if alive(c)]

    def _order(self, connection: Any) -> tuple[bool, float]:
        dialled_by_us = connection.direction == Direction.OUTBOUND
        return dialled_by_us != (self._me < str(connection.muxed_conn.peer_id)), connection._created_at

    def _tell(self, listeners: list[Listener], peer_id: str) -> None:
        self._changed.set()
        self._changed = trio.Event()
        for listener in listeners:
            listener(peer_id)
