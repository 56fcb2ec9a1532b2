"""The hardened libp2p host: TCP, Noise, Yamux and one gate; everything else of `protocol.net` stands on it.

Make it, register handlers and services, then `run` it for as long as the daemon lives. Peers are named by the base58
text of their id, addresses are multiaddr text.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.identity.identify_push.identify_push import ID_PUSH
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.protocol_muxer.exceptions import ProtocolNotSupportedError
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from multiaddr import Multiaddr

from protocol.net.addresses import dialable, dialable_all, expand, local_ips
from protocol.net.connections import Connections
from protocol.net.dialling import dial_first
from protocol.net.errors import ListenFailed, ProtocolRefused, Unreachable
from protocol.net.gate import Gate
from protocol.net.limits import NEGOTIATION_S, SHUTDOWN_S, HostLimits
from protocol.net.patches import apply_all
from protocol.net.scopes import shielded
from protocol.net.streams import Stream

log = logging.getLogger("pinakothek.net.host")

Handler = Callable[[str, Stream], Awaitable[None]]
Service = Callable[[], contextlib.AbstractAsyncContextManager[Any]]

_CONNECTIONS = 1000
"""libp2p's own bound, out of the way: the gate counts by standing."""


class Host:
    """One peer's presence on the network.

    Attributes:
        peer_id: base58 text, made of the key's public half.
        on_connected: called with a peer's id when its first connection is up.
        on_disconnected: called with it when the last is gone.
    """

    def __init__(
        self,
        key_seed: bytes,
        *,
        is_member: Callable[[str], bool],
        strangers_may: Callable[[], frozenset[str]],
        also_may: Callable[[str], frozenset[str]] | None = None,
        limits: HostLimits | None = None,
    ) -> None:
        """
        Args:
            key_seed: 32 bytes, the secret half of the Ed25519 identity.
            is_member: asked at each connection and stream; must be cheap.
            strangers_may: protocols that anyone may open at this moment, beside Identify and Ping.
            also_may: those that this peer, no member, may open beside them.
        """
        apply_all()
        logging.getLogger("libp2p").setLevel(logging.CRITICAL)
        self.libp2p = _make_libp2p(key_seed, self._advertised)
        self.gate = Gate(
            self.libp2p, is_member, strangers_may, also_may or (lambda _: frozenset()), limits or HostLimits()
        )
        self.libp2p.gate = self.gate
        self.network = self.libp2p.get_network()
        self.connections = Connections(self.network, self.gate)
        self.peer_id = str(self.libp2p.get_id())
        self.on_connected = self.connections.on_connected
        self.on_disconnected = self.connections.on_disconnected
        self._services: list[Service] = []
        self._nursery: trio.Nursery | None = None

    @property
    def addrs(self) -> list[str]:
        """Where others can dial this host: full multiaddrs that end in /p2p/ID. Empty until it runs."""
        return [str(address) for address in self.libp2p.get_addrs()]

    def handle(self, protocol: str, handler: Handler) -> None:
        """Serve `protocol`: the handler gets the peer's id and the stream, which is closed when it returns.

        A `NetError` that leaves the handler ends the stream; any other exception, `BrokenProtocol` included, is
        taken for the peer's doing and costs it the connection.
        """

        async def serve(net_stream: Any) -> None:
            stream = Stream(net_stream)
            try:
                await handler(stream.peer_id, stream)
            except BaseException:
                await stream.reset()
                raise
            await stream.close()

        self.libp2p.set_stream_handler(TProtocol(protocol), serve)

    def add_service(self, service: Service) -> None:
        """Have something run as long as the host does, from before the first connection. Before `run` only."""
        self._services.append(service)

    def spawn(self, task: Callable[..., Awaitable[Any]], *given: Any) -> None:
        """Run a task that ends with the host. Raises `Unreachable` while the host does not run."""
        if self._nursery is None:
            raise Unreachable("this host is not running")
        self._nursery.start_soon(task, *given)

    async def run(self, listen: Sequence[str], *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and serve until cancelled; then close everything within `SHUTDOWN_S`.

        Args:
            listen: multiaddrs; port 0 picks a free one, `addrs` tells which.

        Raises:
            ListenFailed: an address is malformed, not ours or in use; nothing is left listening.
        """
        stop = trio.Event()
        failed: list[ListenFailed] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._live, listen, stop, failed, task_status, nursery.cancel_scope)
            await _set_when_cancelled(stop)
        if failed:
            raise failed[0]

    async def open_stream(self, peer_id: str, protocols: Sequence[str], timeout_s: float) -> Stream:
        """Open a stream on an existing connection; the peer picks the first of `protocols` that it speaks with us.

        Raises:
            Unreachable: there is no connection, or it died, or the peer did not answer within `timeout_s`.
            ProtocolRefused: it speaks none of them, or not with us.
        """
        opening = _Opening()
        self.spawn(self._open, opening, peer_id, protocols)
        try:
            with trio.move_on_after(timeout_s):
                await opening.done.wait()
        finally:
            if not opening.done.is_set():
                opening.scope.cancel()
        if opening.error is not None:
            raise opening.error
        if opening.stream is None:
            raise Unreachable(f"{peer_id} opened no stream for {protocols[0]} within {timeout_s:g} s")
        return opening.stream

    def connected(self) -> set[str]:
        """Peers with at least one live connection."""
        return self.connections.peers()

    async def connect(self, peer_id: str, addrs: Sequence[str], timeout_s: float) -> str | None:
        """Have a connection to the peer; returns the address that was dialled, None if there was one already.

        Raises:
            Unreachable: no address answered as that peer within `timeout_s`.
        """
        if peer_id in self.connected():
            return None
        if peer_id == self.peer_id:
            raise Unreachable("a host does not dial itself")
        with trio.move_on_after(timeout_s):
            return await dial_first(self.network, peer_id, dialable_all(addrs, peer_id))
        raise Unreachable(f"{peer_id} did not answer within {timeout_s:g} s")

    async def cut_off(self, peer_id: str) -> None:
        """Close every connection to a peer that does what no honest one does; returns at once.

        Whoever waited for the end would do nothing else meanwhile, and a hostile peer has new connections to end.
        """
        self.connections.cut_now(peer_id)
        await trio.lowlevel.checkpoint()

    async def disconnect(self, peer_id: str) -> None:
        """Close every connection to the peer, by its socket; returns when they are gone."""
        await self.connections.cut(peer_id)

    async def standing_changed(self, peer_id: str) -> None:
        """The peer became a member or ceased to be: its connection goes, whoever needs one dials anew."""
        await self.connections.cut(peer_id)

    async def _live(
        self,
        listen: Sequence[str],
        stop: trio.Event,
        failed: list[ListenFailed],
        task_status: Any,
        run_scope: trio.CancelScope,
    ) -> None:
        # libp2p ends well only if its own shutdown is not cancelled, so it hears of ours by `stop`.
        with trio.CancelScope(shield=True) as life:
            async with self._services_running():
                try:
                    await self._listen(listen)
                    task_status.started()
                    await stop.wait()
                except ListenFailed as error:
                    failed.append(error)
                life.deadline = trio.current_time() + SHUTDOWN_S
                await self.connections.cut_all()
                await self.network.close()
        run_scope.cancel()

    @contextlib.asynccontextmanager
    async def _services_running(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.libp2p.run(listen_addrs=[]))
            for service in self._services:
                await stack.enter_async_context(service())
            self._nursery = await stack.enter_async_context(trio.open_nursery())
            self._nursery.start_soon(self.connections.drop_spare)
            try:
                yield
            finally:
                self._nursery.cancel_scope.cancel()
                self._nursery = None

    async def _listen(self, listen: Sequence[str]) -> None:
        for address in listen:
            usable = dialable(address, self.peer_id, any_port=True)
            if usable is None:
                raise ListenFailed(f"{address}: not an address to listen on, such as /ip4/0.0.0.0/tcp/4001")
            if not await self.network.listen(Multiaddr(usable)):
                raise ListenFailed(f"{address}: in use, or not an address of this machine")

    async def _open(self, opening: "_Opening", peer_id: str, protocols: Sequence[str]) -> None:
        net_stream: Any = None
        try:
            with opening.scope:
                connection = self.connections.best(peer_id)
                if connection is None:
                    raise Unreachable(f"not connected to {peer_id}")
                net_stream = await connection.new_stream()
                net_stream.set_protocol(await self._select(net_stream, protocols))
                opening.stream = Stream(net_stream)
        except (BaseLibp2pError, EOFError) as error:
            opening.error = Unreachable(f"{peer_id} opened no stream: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - raised again where the stream was asked for
            opening.error = error
        finally:
            opening.done.set()
            if opening.stream is None and net_stream is not None:
                with shielded(1):
                    await net_stream.reset()

    async def _select(self, net_stream: Any, protocols: Sequence[str]) -> TProtocol:
        client, talk = self.libp2p.multiselect_client, MultiselectCommunicator(net_stream)
        await client.handshake(talk)
        for protocol in protocols:
            with contextlib.suppress(ProtocolNotSupportedError):
                return TProtocol(await client.try_select(talk, TProtocol(protocol)))
        raise ProtocolRefused(f"{net_stream.muxed_conn.peer_id} does not speak {' or '.join(protocols)} with us")

    def _advertised(self, listening: list[Any]) -> list[Any]:
        ips = local_ips()
        plain = (dialable(str(address), any_port=True) for address in listening)
        return [Multiaddr(text) for address in plain if address is not None for text in expand(address, ips)]


class _Opening:
    """One request for a stream, carried out by a task of the host, so that giving up never waits for the peer."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.scope = trio.CancelScope()
        self.stream: Stream | None = None
        self.error: Exception | None = None


def _make_libp2p(key_seed: bytes, advertised: Callable[[list[Any]], list[Any]]) -> Any:
    host: Any = new_host(
        key_pair=create_new_key_pair(key_seed),
        muxer_preference="YAMUX",
        addrs_factory=advertised,
        disable_identify_address_discovery=True,
        connection_config=ConnectionConfig(
            min_connections=0,
            low_watermark=0,
            high_watermark=_CONNECTIONS,
            max_connections=_CONNECTIONS,
            max_connections_per_peer=_CONNECTIONS,
            inbound_upgrade_timeout=NEGOTIATION_S,
            outbound_upgrade_timeout=NEGOTIATION_S,
        ),
    )
    network = host.get_network()
    network.retry_config = RetryConfig(max_retries=0)
    network.set_resource_manager(None)
    network.auto_connector.maybe_connect = _do_nothing
    network.auto_connector.record_disconnect = lambda peer: None
    # Asking each peer to identify itself would fill the peerstore with what strangers claim; nothing here reads it.
    host._schedule_identify = lambda peer, reason: None
    host.get_mux().remove_handler(ID_PUSH)
    return host


async def _do_nothing() -> None: ...


async def _set_when_cancelled(stop: trio.Event) -> None:
    try:
        await trio.sleep_forever()
    finally:
        stop.set()
