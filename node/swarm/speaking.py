"""Gossip out: this peer's heartbeats, its new records, and the changes of its holdings."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from node.events import wall_ms
from node.swarm.batching import LINGER_S, SPACING_S, Batcher
from node.swarm.comeback import Comeback
from node.swarm.knowledge import Knowledge
from node.swarm.names import beat_topic, holdings_topic, pins_topic
from protocol.beat import BackendReport, Beat, link_name, sign_beat
from protocol.holdings_messages import sign_delta
from protocol.join_messages import RecordBatch
from protocol.limits import BEAT_ADDRS, MEMBERS
from protocol.messages import write_message
from protocol.net.errors import NetError
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.records import Record, Signed

log = logging.getLogger("pinakothek.gossip")

BATCH_BYTES = 48 * 1024
BATCH_RECORDS = 256
"""Gossip takes 64 KiB a message; the rest is room for the envelope."""
LEAST_BETWEEN_BEATS_S = 1.0
GREETING_S = 0.5
"""After a new connection gossip needs a moment to learn who listens; then a heartbeat introduces this peer."""

TOLD_S = 10.0
"""Longest wait for a heartbeat that was asked for: guess; it takes two seconds, and four more after a start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What this peer says of itself in a heartbeat, besides what the swarm's parts know."""

    state: str
    capacity_bytes: int
    used_bytes: int
    backends: tuple[BackendReport, ...]
    zone: str = ""
    away_until_ms: int | None = None
    repair_now_ms: int | None = None
    unsynced_since_ms: int | None = None


class Speaking:
    """Tells the swarm about this peer.

    Args:
        comeback: numbers this start, and says when to begin.
    describe: state, zone, capacity and use in bytes, and stores, at this moment.
    muted: this peer must not be counted on now, and cannot say so: it falls silent.
    """

    def __init__(
        self,
        host: Host,
        gossip: Gossip,
        swarm_id: str,
        knowledge: Knowledge,
        *,
        name: str,
        version: str,
        comeback: Comeback,
        describe: Callable[[], Description],
        muted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._host = host
        self._gossip = gossip
        self._swarm_id = swarm_id
        self._knowledge = knowledge
        self._name, self._version = name, version
        self._comeback = comeback
        self._describe = describe
        self._muted = muted
        self._seq = 0
        self._soon = trio.Event()
        self._told = trio.Event()
        self._steps = trio.Event()
        self._records: Batcher[bytes] = Batcher(
            self._publish_records, size_of=len, max_bytes=BATCH_BYTES, max_items=BATCH_RECORDS
        )

    def tell_records(self, records: Sequence[Signed[Record]]) -> None:
        """Pass these on."""
        for signed in records:
            self._records.add(signed.raw)

    def tell_holdings(self) -> None:
        """There are new steps in this peer's holdings."""
        self._steps.set()

    def beat_soon(self) -> None:
        """Beat before the next one is due: something about this peer has changed, or somebody is new."""
        self._soon.set()

    async def told(self) -> None:
        """Wait until a heartbeat has gone out that says what holds now, but not for ever: there may be nobody to hear."""
        self.beat_soon()
        with trio.move_on_after(TOLD_S):
            await self._told.wait()

    async def run(self) -> None:
        """Speak until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._records.run)
            await self._comeback.may_speak.wait()
            nursery.start_soon(self._publish_holdings)
            while True:
                if not self._muted():
                    await self._beat()
                await trio.sleep(LEAST_BETWEEN_BEATS_S)
                with trio.move_on_after(self._knowledge.membership.beat_interval_s - LEAST_BETWEEN_BEATS_S):
                    await self._soon.wait()
                    await trio.sleep(GREETING_S)
                self._soon = trio.Event()

    def compose(self) -> Beat:
        """The heartbeat as of now; each has a `seq` of its own."""
        self._seq += 1
        about = self._describe()
        recovering = about.state == "recovering"
        return Beat(
            incarnation=self._comeback.incarnation,
            seq=self._seq,
            clock_ms=wall_ms(),
            state=about.state,
            away_until_ms=about.away_until_ms,
            name=self._name,
            zone=about.zone or None,
            capacity_bytes=about.capacity_bytes,
            used_bytes=about.used_bytes,
            backends=about.backends,
            addrs=tuple(addr.partition("/p2p/")[0] for addr in self._host.addrs)[:BEAT_ADDRS],
            links=tuple(sorted(map(link_name, self._linked())))[:MEMBERS],
            records_digest=self._knowledge.records.counting.digest,
            holdings=None if recovering else self._knowledge.own.summary(),
            version=self._version,
            repair_now_ms=about.repair_now_ms,
            unsynced_since_ms=about.unsynced_since_ms,
        )

    def _linked(self) -> list[str]:
        return [peer for peer in self._host.connected() if self._knowledge.records.counting.is_member(peer)]

    async def _beat(self) -> None:
        told, self._told = self._told, trio.Event()
        beat = self.compose()
        raw = sign_beat(beat, self._knowledge.key)
        if beat.holdings is not None:
            self._knowledge.stated(beat.holdings.order, raw)
        await self._publish(beat_topic(self._swarm_id), raw)
        told.set()

    async def _publish_records(self, raws: list[bytes]) -> None:
        await self._publish(pins_topic(self._swarm_id), write_message(RecordBatch(records=tuple(raws))))

    async def _publish_holdings(self) -> None:
        while True:
            await self._steps.wait()
            await trio.sleep(LINGER_S)  # a burst of holds travels in one message, as in `Batcher`
            self._steps = trio.Event()
            while (delta := self._knowledge.own.next_delta()) is not None:
                raw = sign_delta(delta, self._knowledge.key)
                self._knowledge.stated(delta.after.order, raw)
                await self._publish(holdings_topic(self._swarm_id), raw)
            await trio.sleep(SPACING_S - LINGER_S)

    async def _publish(self, topic: str, raw: bytes) -> None:
        try:
            await self._gossip.publish(topic, raw)
        except NetError as error:
            log.warning("gossip on %s failed: %s", topic, error)
