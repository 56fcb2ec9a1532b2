"""GossipSub among members: small signed announcements to everyone who listens to a topic.

The author that a message arrives with is proven: Pubsub checks its signature before any validator sees it. Delivery is
not promised; whoever needs a message to arrive compares states later. Own messages are not delivered to oneself.
"""

import contextlib
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.io.exceptions import MessageTooLarge as RpcTooLarge
from libp2p.peer.id import ID
from libp2p.pubsub import pubsub as libp2p_pubsub
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

from protocol.net.errors import BrokenProtocol, MessageTooLarge, Unreachable
from protocol.net.gossip_budget import GossipBudget
from protocol.net.gossip_rpc import LARGEST_RPC_BYTES, SUBSCRIPTIONS, open_rpc
from protocol.net.host import Host
from protocol.net.limits import GOSSIP_MESSAGE_BYTES, SUBSCRIPTION_BYTES, SUBSCRIPTION_MESSAGES

log = logging.getLogger("pinakothek.net.gossip")

Validator = Callable[[str, bytes], bool]
Message = tuple[str, bytes]

DEGREE, DEGREE_LOW, DEGREE_HIGH = 3, 2, 6
"""Fewer than the GossipSub specification suggests (6, 5, 12), because each message costs every peer it reaches some 3 ms,
each time it does: 200 photos at factor 3:3 on five peers took 15 s of processor time with 6 and 13 s with 3. What a
sparse mesh misses comes by IHAVE a second later, and by sync."""


class Gossip:
    """The gossip of one host; make it before the host runs."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._topics: dict[str, _Topic] = {}
        self._budget = GossipBudget()
        router = GossipSub(
            [PROTOCOL_ID_V11, PROTOCOL_ID], degree=DEGREE, degree_low=DEGREE_LOW, degree_high=DEGREE_HIGH
        )
        self._pubsub = _Deliveries(host.libp2p, router, self._deliver, self._topics)
        self._router = router
        self._running = False
        self.published: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        host.add_service(self._service)

    @property
    def dropped(self) -> dict[str, int]:
        """Messages lost per topic since the start because their reader was too slow."""
        return {name: topic.dropped for name, topic in self._topics.items()}

    def subscribe(self, topic: str, validator: Validator) -> "trio.MemoryReceiveChannel[Message]":
        """Listen to a topic; each item is (author's peer id, bytes).

        Args:
            validator: called with author and bytes before a message is delivered or passed on; must be quick. False
                drops the message; an exception counts as False and is logged.

        Returns:
            A channel that holds `SUBSCRIPTION_MESSAGES`; when it is full the oldest is dropped and counted.
        """
        if topic in self._topics:
            raise ValueError(f"{topic} is subscribed to already")
        entry = self._topics[topic] = _Topic(topic, validator)
        self._pubsub.set_topic_validator(topic, self._accepts, False)
        if self._running:
            self._host.spawn(self._pubsub.subscribe, topic)
        return entry.receive

    async def publish(self, topic: str, body: bytes) -> None:
        """Send to all members that listen to the topic, whether we do or not.

        Raises:
            MessageTooLarge: more than `GOSSIP_MESSAGE_BYTES`.
            Unreachable: the host is not running.
        """
        if len(body) > GOSSIP_MESSAGE_BYTES:
            raise MessageTooLarge(f"{len(body)} bytes of gossip, the limit is {GOSSIP_MESSAGE_BYTES}")
        if not self._running:
            raise Unreachable("this host is not running")
        self.published[topic] += 1
        await self._pubsub.publish(topic, body)

    def neighbours(self, topic: str) -> set[str]:
        """Members known to listen to the topic."""
        return {str(peer) for peer in self._pubsub.peer_topics.get(topic, ())}

    @contextlib.asynccontextmanager
    async def _service(self) -> AsyncIterator[None]:
        async with background_trio_service(self._pubsub), background_trio_service(self._router):
            await self._pubsub.wait_until_ready()
            for topic in self._topics:
                await self._pubsub.subscribe(topic)
            self._running = True
            try:
                yield
            finally:
                self._running = False
                self._pubsub.seen_messages._stop_event.set()

    def _accepts(self, forwarder: ID, message: Any) -> bool:
        author = str(ID(message.from_id))
        if author == self._host.peer_id:
            return str(forwarder) == author
        if not self._host.gate.is_member(author):  # our records may be older than the forwarder's
            return False
        if not self._budget.allows(str(forwarder), author, len(message.data), trio.current_time()):
            if str(forwarder) == author:
                raise BrokenProtocol(f"{author} floods {message.topicIDs[0]}")
            return False
        topic = self._topics[message.topicIDs[0]]
        try:
            return topic.validator(author, message.data)
        except Exception:
            log.exception("the validator of %s failed on a message by %s", topic.name, author)
            return False

    def _deliver(self, message: Any) -> None:
        author = str(ID(message.from_id))
        if author != self._host.peer_id:
            self.received[message.topicIDs[0]] += 1
            self._topics[message.topicIDs[0]].put((author, message.data))


class _Topic:
    def __init__(self, name: str, validator: Validator) -> None:
        self.name = name
        self.validator = validator
        self.dropped = 0
        self._send, self.receive = trio.open_memory_channel[Message](SUBSCRIPTION_MESSAGES)
        self._sizes_bytes: deque[int] = deque()
        """Of the messages that wait, and of some that have been taken: what has been is only counted when it matters."""
        self._waiting_bytes = 0

    def put(self, message: Message) -> None:
        size_bytes = len(message[1])
        self._forget_taken()
        while self._sizes_bytes and (
            self._waiting_bytes + size_bytes > SUBSCRIPTION_BYTES or len(self._sizes_bytes) >= SUBSCRIPTION_MESSAGES
        ):
            with contextlib.suppress(trio.WouldBlock):
                self.receive.receive_nowait()
                self.dropped += 1
            self._forget_taken()
        try:
            self._send.send_nowait(message)
        except trio.BrokenResourceError:
            self.dropped += 1
        else:
            self._sizes_bytes.append(size_bytes)
            self._waiting_bytes += size_bytes

    def _forget_taken(self) -> None:
        waiting = self._send.statistics().current_buffer_used
        while len(self._sizes_bytes) > waiting:
            self._waiting_bytes -= self._sizes_bytes.popleft()


class _Deliveries(Pubsub):
    """Pubsub that takes messages one after the other, checked, and hands what it accepted straight to us.

    Libp2p's starts a task for each message of an RPC, some ten thousand at once, and its queue drops the newest.
    """

    def __init__(self, host: Any, router: Any, deliver: Callable[[Any], None], topics: Mapping[str, "_Topic"]) -> None:
        super().__init__(host, router, strict_signing=True, max_subscriptions_per_peer=SUBSCRIPTIONS)
        self._deliver = deliver
        self._topics = topics

    async def continuously_read_stream(self, stream: Any) -> None:
        """Take what a peer sends on one stream, until it ends. Raises `BrokenProtocol`."""
        peer = stream.muxed_conn.peer_id
        try:
            while self.manager.is_running:
                raw = await libp2p_pubsub.read_varint_prefixed_bytes_limited(stream, LARGEST_RPC_BYTES)
                await self._take(peer, open_rpc(raw, self._topics))
        except RpcTooLarge as error:
            raise BrokenProtocol(f"{peer} sent gossip too large: {error}") from error
        except (BaseLibp2pError, EOFError) as error:
            log.debug("gossip of %s ended: %r", peer, error)

    async def _take(self, peer: ID, rpc: Any) -> None:
        for message in rpc.publish:
            await self.push_msg(peer, message)
            await trio.lowlevel.checkpoint()
        for subscription in rpc.subscriptions:
            self.handle_subscription(peer, subscription)
        if rpc.HasField("control"):
            await self.router.handle_rpc(rpc, peer)

    def notify_subscriptions(self, publish_message: Any) -> None:
        self._deliver(publish_message)
