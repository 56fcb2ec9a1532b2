"""Who may open what: members everything, others Identify, Ping and what the node opens to them at the moment.

The standing of a connection is asked for at each new stream, by the PeerId that Noise has proven. A stranger's Identify
lists only what it may use; of every other protocol it hears "not available", whether we have it or not.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.host.ping import ID as PING
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.identify import identify_handler_for
from libp2p.protocol_muxer.exceptions import MultiselectError
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from protocol.net.bitswap_budget import TokenBucket
from protocol.net.errors import BrokenProtocol, NetError
from protocol.net.limits import DOUBTS_BURST, DOUBTS_PER_S, NEGOTIATION_S, HostLimits
from protocol.net.scopes import shielded
from protocol.net.sockets import alive, cut

log = logging.getLogger("pinakothek.net.gate")

BITSWAP = frozenset({"/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0"})
"""Kubo opens a stream for each message, and so these count their own."""


class Gate:
    """The standing of peers towards one host, enforced on its connections and streams."""

    def __init__(
        self,
        host: Any,
        is_member: Callable[[str], bool],
        strangers_may: Callable[[], frozenset[str]],
        also_may: Callable[[str], frozenset[str]],
        limits: HostLimits,
    ) -> None:
        self._host = host
        self._limits = limits
        self._strangers_may = strangers_may
        self._also_may = also_may
        self._inbound_streams: Counter[Any] = Counter()
        self._streams_of: Counter[tuple[Any, Any]] = Counter()
        self._doubts: WeakKeyDictionary[Any, TokenBucket] = WeakKeyDictionary()
        self.is_member = is_member

    def admit(self, connection: Any) -> None:
        """Called for each new connection: cut it, or another, where a peer or the strangers have too many."""
        peer = connection.muxed_conn.peer_id
        everyone = [c for c in self._host.get_network().get_connections() if alive(c)]
        mine = [c for c in everyone if c.muxed_conn.peer_id == peer and c is not connection]
        if self.is_member(str(peer)):
            if len(mine) >= self._limits.connections_per_member:
                cut(mine[0].muxed_conn)
            return
        if len(mine) >= self._limits.connections_per_stranger:
            cut(connection.muxed_conn)
            return
        strangers = [c for c in everyone if not self.is_member(str(c.muxed_conn.peer_id))]
        if len(strangers) > self._limits.stranger_connections:
            oldest_first = sorted(strangers, key=lambda c: (len(c.muxed_conn.streams) > 0, c._created_at))
            cut(oldest_first[0].muxed_conn)

    async def on_stream(self, stream: Any) -> None:
        """Negotiate and serve one inbound stream.

        Raises:
            Exception: what a handler raised that is not the end of a stream; it costs the peer its connection.
        """
        connection = stream.muxed_conn
        peer = connection.peer_id
        member = self.is_member(str(peer))
        limit = self._limits.streams_per_member if member else self._limits.streams_per_stranger
        if self._inbound_streams[peer] >= limit:
            self._doubt(connection, f"more than {limit} streams at once")
            await stream.reset()
            return
        self._inbound_streams[peer] += 1
        try:
            await self._serve(stream, member)
        except BrokenProtocol:
            raise
        except MultiselectError as error:
            self._doubt(connection, f"negotiations that come to nothing: {error}")
            with shielded(1), contextlib.suppress(BaseLibp2pError):
                await stream.reset()
        except (BaseLibp2pError, NetError, EOFError, trio.TooSlowError, UnicodeDecodeError) as error:
            log.debug("a stream of %s ended: %r", connection.peer_id, error)
            with shielded(1), contextlib.suppress(BaseLibp2pError):
                await stream.reset()
        finally:
            self._inbound_streams[peer] -= 1
            if not self._inbound_streams[peer]:
                del self._inbound_streams[peer]

    def _doubt(self, connection: Any, what: str) -> None:
        """Forgive a connection what may be chance, but not for ever."""
        doubts = self._doubts.setdefault(connection, TokenBucket(DOUBTS_PER_S, DOUBTS_BURST))
        if doubts.reserve(1, trio.current_time()):
            raise BrokenProtocol(f"{connection.peer_id} keeps at {what}")

    async def _serve(self, stream: Any, member: bool) -> None:
        mux = self._host.get_mux() if member else self._strangers_mux(str(stream.muxed_conn.peer_id))
        with trio.fail_after(NEGOTIATION_S):
            protocol, handler = await mux.negotiate(MultiselectCommunicator(stream), int(NEGOTIATION_S))
        stream.set_protocol(protocol)
        if protocol in BITSWAP:
            await handler(stream)
        else:
            await self._serve_few(stream, protocol, handler)

    async def _serve_few(self, stream: Any, protocol: Any, handler: Any) -> None:
        mine = stream.muxed_conn.peer_id, protocol
        if self._streams_of[mine] >= self._limits.streams_per_protocol:
            self._doubt(stream.muxed_conn, f"more than {self._limits.streams_per_protocol} streams for {protocol}")
            await stream.reset()
            return
        self._streams_of[mine] += 1
        try:
            await handler(stream)
        finally:
            self._streams_of[mine] -= 1
            if not self._streams_of[mine]:
                del self._streams_of[mine]

    def _strangers_mux(self, peer_id: str) -> Multiselect:
        open_now = self._strangers_may() | self._also_may(peer_id) | {PING}
        handlers = {name: handler for name, handler in self._host.get_mux().handlers.items() if name in open_now}
        mux = Multiselect(handlers)
        mux.add_handler(IDENTIFY, identify_handler_for(_StrangersView(self._host, mux)))
        return mux


class _StrangersView:
    """The host as Identify describes it to a stranger."""

    def __init__(self, host: Any, mux: Multiselect) -> None:
        self._host = host
        self._mux = mux

    def get_mux(self) -> Multiselect:
        return self._mux

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)
