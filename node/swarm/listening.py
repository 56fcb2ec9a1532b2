"""Gossip in: heartbeats, records and changes of holdings, each checked before it is believed.

What a peer says of itself counts only under its own signature, and gossip's author must be that peer. A member that
sends what no honest peer sends loses its connection.
"""

import logging
from collections.abc import Awaitable, Callable

import trio

from node.swarm.knowledge import Knowledge
from node.swarm.names import beat_topic, holdings_topic, pins_topic
from protocol.beat import SignedBeat, open_beat
from protocol.errors import Reason, Refused
from protocol.holdings_messages import open_delta
from protocol.join_messages import RecordBatch
from protocol.messages import read_message
from protocol.net.gossip import Gossip

log = logging.getLogger("pinakothek.gossip")


class Listening:
    """Takes in what the three topics carry.

    Args:
        on_beat: told of each heartbeat that counts, after knowledge was.
        on_offence: the connection of this peer is to be cut.
    """

    def __init__(
        self,
        gossip: Gossip,
        swarm_id: str,
        knowledge: Knowledge,
        *,
        on_beat: Callable[[SignedBeat], None],
        on_offence: Callable[[str], Awaitable[None]],
    ) -> None:
        self._knowledge = knowledge
        self._on_beat = on_beat
        self._on_offence = on_offence
        self._beats = gossip.subscribe(beat_topic(swarm_id), _is_anything)
        self._pins = gossip.subscribe(pins_topic(swarm_id), _is_anything)
        self._holdings = gossip.subscribe(holdings_topic(swarm_id), _is_anything)

    async def run(self) -> None:
        """Listen until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, self._beats, self._take_beat)
            nursery.start_soon(self._listen, self._pins, self._take_records)
            nursery.start_soon(self._listen, self._holdings, self._take_delta)

    async def _listen(
        self, channel: "trio.MemoryReceiveChannel[tuple[str, bytes]]", take: Callable[[str, bytes], Awaitable[None]]
    ) -> None:
        async for author, raw in channel:
            try:
                await take(author, raw)
            except Refused as error:
                self._knowledge.records.refusals.count_reason(error.reason)
                log.warning("gossip of %s refused: %s; disconnected", author, error)
                await self._on_offence(author)

    async def _take_beat(self, author: str, raw: bytes) -> None:
        signed = open_beat(raw)
        if signed.sender != author:
            raise Refused(Reason.BAD_SIGNATURE, f"a heartbeat of {signed.sender}")
        if self._knowledge.look_at_beat(signed):
            self._knowledge.take_beat(signed)
            self._on_beat(signed)

    async def _take_records(self, author: str, raw: bytes) -> None:
        batch = read_message(raw, (RecordBatch,))
        if batch is not None and await self._knowledge.records.accept(batch.records, relay=False):
            log.warning("gossip of %s holds records that are malformed or forged; disconnected", author)
            await self._on_offence(author)  # each of them is counted already

    async def _take_delta(self, author: str, raw: bytes) -> None:
        delta, signer = open_delta(raw)
        if signer != author:
            raise Refused(Reason.BAD_SIGNATURE, f"a change of the holdings of {signer}")
        self._knowledge.take_delta(author, delta, raw)


def _is_anything(author: str, raw: bytes) -> bool:
    """Everything of a member is passed on once; it is checked here where it is taken in."""
    return True
