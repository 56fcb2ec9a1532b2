"""What a daemon sees of the network: stand-ins for `protocol.net`'s Host and Gossip on the simulated one."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from node.swarm.gatekeeping import Gatekeeping
from protocol.net.errors import MessageTooLarge, Unreachable
from protocol.net.limits import GOSSIP_MESSAGE_BYTES, SUBSCRIPTION_MESSAGES
from tests.sim.network import Network


class SimHost:
    """One process' presence on the simulated network.

    Attributes:
        protocols: what it answers, by name, as its `SimRpc` was told; `blocks` is its `SimBitswap`.
        incoming: calls that wait for this process' own task to take them.
    """

    def __init__(
        self, network: Network, peer_id: str, is_member: Callable[[str], bool], gatekeeping: Gatekeeping
    ) -> None:
        self.network = network
        self.peer_id = peer_id
        self.is_member = is_member
        self._gatekeeping = gatekeeping
        self.addrs: list[str] = []
        self.on_connected: list[Callable[[str], None]] = []
        self.on_disconnected: list[Callable[[str], None]] = []
        self.topics: dict[str, Subscription] = {}
        self.protocols: dict[str, Any] = {}
        self.blocks: Any = None
        self.incoming: deque[Callable[[], Awaitable[None]]] = deque()
        self._news = trio.lowlevel.ParkingLot()
        self._nursery: trio.Nursery | None = None

    async def run(self, listen: Sequence[str], *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Be there until cancelled."""
        self.addrs = [f"{address}/p2p/{self.peer_id}" for address in listen]
        async with trio.open_nursery() as self._nursery:
            self.network.host_up(self)
            task_status.started()
            while True:
                while self.incoming:
                    self._nursery.start_soon(self.incoming.popleft())
                await self._news.park()

    def spawn(self, task: Callable[..., Awaitable[Any]], *given: Any) -> None:
        if self._nursery is None:
            raise Unreachable("this host is not running")
        self._nursery.start_soon(task, *given)

    def come_in(self, call: Callable[[], Awaitable[None]]) -> None:
        """A call has arrived; who answers it is a task of this process."""
        self.incoming.append(call)
        self._news.unpark_all()

    def lets_in(self, peer_id: str, protocol: str) -> bool:
        """The gate: whether a peer may open a protocol here."""
        if self.is_member(peer_id):
            return True
        return protocol in self._gatekeeping.strangers_may() | self._gatekeeping.also_may(peer_id)

    def connected(self) -> set[str]:
        return set(self.network.links.get(self.peer_id, ()))

    async def connect(self, peer_id: str, addrs: Sequence[str], timeout_s: float) -> str | None:
        if self.network.linked(self.peer_id, peer_id):
            return None
        with trio.move_on_after(timeout_s):
            await trio.sleep(2 * self.network.latency_s())
            if peer_id not in self.network.hosts and self.network.random.random() < 0.5:
                raise Unreachable(f"{peer_id} refuses")  # the machine is there, its daemon is not
            if not self.network.joined(self.peer_id, peer_id):
                await trio.sleep_forever()
            self.network.link(self.peer_id, peer_id)
            return addrs[0]
        raise Unreachable(f"{peer_id} did not answer within {timeout_s:g} s")

    async def disconnect(self, peer_id: str) -> None:
        self.network.unlink(self.peer_id, peer_id)

    async def cut_off(self, peer_id: str) -> None:
        await trio.lowlevel.checkpoint()
        self.network.unlink(self.peer_id, peer_id)

    async def standing_changed(self, peer_id: str) -> None:
        await self.disconnect(peer_id)

    def connection_up(self, peer_id: str) -> None:
        for told in self.on_connected:
            told(peer_id)

    def connection_down(self, peer_id: str) -> None:
        for told in list(self.on_disconnected):
            told(peer_id)

    def gossip_queue(self, topic: str, author: str, body: bytes) -> None:
        subscription = self.topics.get(topic)
        if subscription is not None:
            subscription.put((author, body))


class Subscription:
    """What a topic has brought and its reader has not taken; the oldest go where that is too much."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=SUBSCRIPTION_MESSAGES)
        self._lot = trio.lowlevel.ParkingLot()
        self.dropped = 0

    def put(self, message: tuple[str, bytes]) -> None:
        self.dropped += len(self._waiting) == SUBSCRIPTION_MESSAGES
        self._waiting.append(message)
        self._lot.unpark_all()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> tuple[str, bytes]:
        while not self._waiting:
            await self._lot.park()
        return self._waiting.popleft()


class SimGossip:
    """Gossip of one host."""

    def __init__(self, host: SimHost) -> None:
        self._host = host

    @property
    def dropped(self) -> dict[str, int]:
        return {name: topic.dropped for name, topic in self._host.topics.items()}

    def subscribe(self, topic: str, validator: Callable[[str, bytes], bool]) -> Subscription:
        return self._host.topics.setdefault(topic, Subscription())

    async def publish(self, topic: str, body: bytes) -> None:
        if len(body) > GOSSIP_MESSAGE_BYTES:
            raise MessageTooLarge(f"{len(body)} bytes of gossip")
        await trio.lowlevel.checkpoint()
        if self._host.peer_id not in self._host.network.hosts:
            raise Unreachable("this host is not running")
        self._host.network.gossip(self._host.peer_id, topic, body)

    def neighbours(self, topic: str) -> set[str]:
        return self._host.connected()
