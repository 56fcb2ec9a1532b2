"""A member gone bad: admitted by `init --join` like any other, it runs a network of its own instead of the daemon."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from libp2p.peer.id import ID

from node.demo.peers import Peer
from node.events import wall_ms
from node.keys import IDENTITY, read_key
from node.swarm.names import AUDIT, REPLICA, SYNC, beat_topic, holdings_topic, pins_topic
from protocol.beat import BackendReport, Beat, link_name, sign_beat
from protocol.holdings import ElementSet
from protocol.holdings_messages import Change, HoldingsDelta, sign_delta
from protocol.lease_messages import LeaseAnswer, LeaseAsk, sign_lease
from protocol.leases import Lease
from protocol.messages import read_message, write_message
from protocol.net.errors import RpcRefused
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.net.rpc import Rpc

CALL_S = 30.0
BEAT_S = 1.0


class Mallory:
    """Beats like an honest member; what it says of its holdings, and answers, is a lie.

    Attributes:
        heard: raw gossip messages as they came, by author.
        leases_asked: roots that others wanted to let go, trusting in Mallory's copies.
    """

    def __init__(self, peer: Peer, swarm_id: str) -> None:
        key = read_key(peer.data_dir, IDENTITY)
        assert key is not None
        self.key, self.swarm_id = key, swarm_id
        self.heard: dict[str, list[Any]] = {}
        self.leases_asked: list[bytes] = []
        self.audits_asked = 0
        self._claimed = ElementSet()
        self._order = (1, 0)
        self._beats = 0
        self._host = Host(key.seed, is_member=lambda _: True, strangers_may=lambda: frozenset())
        self._gossip = Gossip(self._host)
        self._rpc = Rpc(self._host)
        for topic in (beat_topic, holdings_topic, pins_topic):
            self._gossip.subscribe(topic(swarm_id), lambda *_: True)
        self._gossip._pubsub.notify_subscriptions = self._hear  # type: ignore[method-assign]
        for protocol, answer in ((REPLICA, self._lease), (AUDIT, self._prove), (SYNC, self._refuse)):
            self._rpc.register(protocol, answer, max_request_bytes=1 << 20, max_response_bytes=1 << 20, concurrency=64)
        self._token: trio.lowlevel.TrioToken | None = None

    # what it is told to do, from the test's own thread

    def reach(self, peer: Peer) -> None:
        """Connect to a peer."""
        self._do(self._host.connect, peer.peer_id, peer.addrs, CALL_S)

    def is_connected(self, peer: Peer) -> bool:
        """Whether that peer has not cut it off."""
        return peer.peer_id in self._host.connected()

    def claim(self, roots: list[bytes]) -> None:
        """Announce, properly signed, that it holds them all."""
        self._do(self._claim, roots)

    def say(self, topic: Callable[[str], str], body: bytes) -> None:
        """Gossip anything under its own name."""
        self._do(self._gossip.publish, topic(self.swarm_id), body)

    def _do(self, task: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        assert self._token is not None
        return trio.from_thread.run(task, *given, trio_token=self._token)

    # what it does

    async def run(self, started: threading.Event, stop: threading.Event) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._host.run, ["/ip4/127.0.0.1/tcp/0"])
            self._token = trio.lowlevel.current_trio_token()
            nursery.start_soon(self._beat_on)
            started.set()
            await trio.to_thread.run_sync(stop.wait)
            nursery.cancel_scope.cancel()

    async def _beat_on(self) -> None:
        while True:
            await self._gossip.publish(beat_topic(self.swarm_id), sign_beat(self.beat(), self.key))
            await trio.sleep(BEAT_S)

    def beat(self) -> Beat:
        """The next one: alive, roomy, and full of what it claims."""
        self._beats += 1
        return Beat(
            incarnation=1, seq=self._beats, clock_ms=wall_ms(), name="mallory", capacity_bytes=60 << 30, used_bytes=0,
            backends=(BackendReport(kind="ipfs", store_id="mallory", full=False),), records_digest=bytes(32),
            holdings=self._claimed.summary(*self._order), links=tuple(sorted(map(link_name, self._host.connected()))), version="0",
        )  # fmt: skip

    async def _claim(self, roots: list[bytes]) -> None:
        for root in roots:
            self._order = self._order[0], self._order[1] + 1
            change = Change(root, "ipfs", True)
            self._claimed.apply(change)
            delta = HoldingsDelta(after=self._claimed.summary(*self._order), changes=(change,))
            await self._gossip.publish(holdings_topic(self.swarm_id), sign_delta(delta, self.key))

    def _hear(self, message: Any) -> None:
        self.heard.setdefault(str(ID(message.from_id)), []).append(message)

    async def _lease(self, peer_id: str, body: bytes) -> bytes:
        ask = read_message(body, (LeaseAsk,))
        if not isinstance(ask, LeaseAsk):
            raise RpcRefused("unknown")
        self.leases_asked.append(ask.root)
        lease = Lease(
            root=ask.root, kind=ask.kind, owner=self.key.peer_id, to=ask.to, nonce=ask.nonce, max=ask.max,
            until_ms=wall_ms() + 3_600_000,
        )  # fmt: skip
        signed = sign_lease(lease, self.key)
        return write_message(LeaseAnswer(granted=True, lease=signed, proof=bytes(32)))

    async def _prove(self, peer_id: str, body: bytes) -> bytes:
        self.audits_asked += 1
        raise RpcRefused("busy", "not now")

    async def _refuse(self, peer_id: str, body: bytes) -> bytes:
        raise RpcRefused("busy", "not now")


@contextmanager
def mallory(peer: Peer, swarm_id: str) -> Iterator[Mallory]:
    """Mallory on a peer's identity, its data directory made by `init --join` and its daemon not running."""
    one = Mallory(peer, swarm_id)
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: trio.run(one.run, started, stop))
    thread.start()
    assert started.wait(CALL_S)
    try:
        yield one
    finally:
        stop.set()
        thread.join()
