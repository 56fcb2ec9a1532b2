"""Where blocks can be had: holders that are connected, what a pin names, and whoever else is connected."""

import logging
from collections.abc import Sequence

import trio

from node.replication.planner import Fetch
from node.swarm.knowledge import Knowledge
from protocol.net.errors import NetError
from protocol.net.host import Host

log = logging.getLogger("pinakothek.sources")

DIAL_S = 10.0
MAX_SOUGHT = 24
"""Peers asked for a root that nobody says it holds: a member may have its blocks below another root."""
MAX_MEMBERS = 16
NO_LIMIT_BYTES = 1 << 62
MAX_NAMED = 20
"""Addresses dialled for one root, whatever number of pins name some: as many as one pin may."""


class Sources:
    """Answers for one peer."""

    def __init__(self, host: Host, knowledge: Knowledge) -> None:
        self._host = host
        self._knowledge = knowledge

    def connected(self) -> set[str]:
        """Peers that there is a connection to."""
        return self._host.connected()

    async def for_fetch(self, fetch: Fetch, failures: int) -> list[str]:
        """Whom to fetch from: the plan's sources that are connected, else whoever the pins name or is around.

        A member may have the blocks without holding the root: as part of another, such as an image's original.

        Where this peer itself has them on another kind nobody need be connected.

        Args:
            failures: tries in a row that failed; after one, those who say that they hold it are not all who is asked.
        """
        connected = self._host.connected()
        known = [peer for peer in fetch.sources if peer in connected]
        if not failures and (known or self._knowledge.me in fetch.sources):
            return known
        named = await self._dial_named(fetch.root)
        is_member = self._knowledge.records.counting.is_member
        around = self._host.connected()
        members = [peer for peer in around if is_member(peer)][:MAX_MEMBERS]
        strangers = [peer for peer in around if not is_member(peer)][:MAX_SOUGHT]
        return list(dict.fromkeys([*known, *named, *members, *strangers]))

    async def _dial_named(self, root: bytes) -> list[str]:
        """Connect to the addresses that the root's pins name."""
        addrs = [addr for pin in self._knowledge.records.counting.live_pins(root) for addr in pin.record.sources]
        reached: list[str] = []

        async def dial(addr: str) -> None:
            peer_id = addr.rpartition("/p2p/")[2]
            try:
                await self._host.connect(peer_id, [addr], DIAL_S)
                reached.append(peer_id)
            except NetError as error:
                log.info("source %s: %s", addr, error)

        async with trio.open_nursery() as nursery:
            for addr in list(dict.fromkeys(addrs))[:MAX_NAMED]:
                nursery.start_soon(dial, addr)
        return reached

    def for_reading(self, root: bytes) -> Sequence[str]:
        """Whom to read a root from that is not here: its holders, else any member."""
        connected = self._host.connected()
        kinds = self._knowledge.book.kinds(root)
        holders = [peer for kind in sorted(kinds) for peer in self._knowledge.holders(root, kind) if peer in connected]
        if holders:
            return list(dict.fromkeys(holders))
        return [peer for peer in connected if self._knowledge.records.counting.is_member(peer)]

    def max_of(self, root: bytes, kind: str) -> int:
        """How many copies live pins want of a root on a kind; 0 where none wants it."""
        wanted = self._knowledge.records.counting.wanted(root)
        return wanted.max if wanted is not None and kind in wanted.kinds else 0

    def limit_of(self, root: bytes) -> int:
        """Bytes that a root may have by its flows."""
        counting = self._knowledge.records.counting
        limits = [NO_LIMIT_BYTES]
        for pin in counting.live_pins(root):
            flow = counting.flows.get(pin.record.flow)
            if flow is not None and flow.record.max_root_bytes is not None:
                limits.append(flow.record.max_root_bytes)
        return min(limits)
