"""The simulated network between peers: delay, loss, splits, one-way links, silent hosts; all from one seed.

Connections are as the real host shows them: a peer that dies with its connections closed is missed at once, one that
falls silent after the watchdog's 11 to 16 s. A direction that carries nothing makes a link that carries nothing.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from tests.sim.host import SimHost

LATENCY_S = (0.005, 0.25)
SILENCE_S = (11.0, 16.0)
"""`protocol.net.watchdog`: two pings in a row without an answer."""
GOSSIP_OVERHEAD_BYTES = 250
"""Of one GossipSub message around its payload: author, sequence number, topic, signature and key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How good the network is.

    Attributes:
        gossip_loss: share of (message, listener) pairs that gossip never brings together.
        call_loss: share of questions, and of answers, that are lost.
        bytes_per_s: what one fetch gets.
    """

    gossip_loss: float = 0.0
    call_loss: float = 0.0
    bytes_per_s: float = 8_000.0


class Network:
    """Carries what hosts send.

    Attributes:
        links: whom each running host is connected to; the same on both sides.
        sides: hosts on different sides of a split; all are on side 0 without one.
        one_way: (from, to) pairs that carry nothing.
        silent: hosts that neither send nor answer: frozen ones.
    """

    def __init__(self, random: Random, conditions: Conditions) -> None:
        self.random = random
        self.conditions = conditions
        self.hosts: dict[str, SimHost] = {}
        self.links: dict[str, set[str]] = {}
        self.sides: dict[str, int] = {}
        self.one_way: set[tuple[str, str]] = set()
        self.silent: set[str] = set()
        self.gossip_bytes: Counter[str] = Counter()
        self.moved_bytes = 0
        self._reach: dict[str, list[str]] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._turn = itertools.count()
        self._wake = trio.Event()

    # time

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Do it then."""
        entry = (trio.current_time() + delay_s, next(self._turn), act)
        heapq.heappush(self._due, entry)
        if self._due[0] is entry:
            self._wake.set()

    async def run(self) -> None:
        """Deliver, until cancelled."""
        while True:
            self._wake = trio.Event()
            with trio.move_on_at(self._due[0][0]) if self._due else trio.CancelScope():
                await self._wake.wait()
            now_s = trio.current_time()
            while self._due and self._due[0][0] <= now_s:
                heapq.heappop(self._due)[2]()

    def latency_s(self) -> float:
        return self.random.uniform(*LATENCY_S)

    # who reaches whom

    def passes(self, frm: str, to: str) -> bool:
        """Whether a packet gets from one to the other, which need not answer."""
        if frm not in self.hosts or to not in self.hosts or (frm, to) in self.one_way:
            return False
        return self.sides.get(frm, 0) == self.sides.get(to, 0)

    def joined(self, one: str, other: str) -> bool:
        """Whether both would answer each other."""
        if one in self.silent or other in self.silent:
            return False
        return self.passes(one, other) and self.passes(other, one)

    def linked(self, one: str, other: str) -> bool:
        return other in self.links.get(one, ())

    def link(self, one: str, other: str) -> None:
        """A connection is up."""
        if not self.linked(one, other) and self.joined(one, other):
            self._reach.clear()
            for here, there in ((one, other), (other, one)):
                self.links[here].add(there)
                self.hosts[here].connection_up(there)

    def unlink(self, one: str, other: str) -> None:
        """A connection is gone."""
        self._reach.clear()
        for here, there in ((one, other), (other, one)):
            if self.linked(here, there):
                self.links[here].discard(there)
                self.hosts[here].connection_down(there)

    def changed(self) -> None:
        """Something about who reaches whom is new: silent connections will be noticed."""
        self._reach.clear()
        for one, others in self.links.items():
            for other in sorted(others):
                if one < other and not self.joined(one, other):
                    self.later(self.random.uniform(*SILENCE_S), partial(self._notice, one, other))

    def _notice(self, one: str, other: str) -> None:
        if not self.joined(one, other):
            self.unlink(one, other)

    def host_up(self, host: SimHost) -> None:
        self.hosts[host.peer_id] = host
        self.links[host.peer_id] = set()
        self._reach.clear()

    def host_gone(self, peer_id: str, *, silently: bool) -> None:
        """A host's process is no more; the others are told by its kernel, or notice."""
        if self.hosts.pop(peer_id, None) is None:
            return
        self._reach.clear()
        others = sorted(self.links.pop(peer_id, ()))
        for other in others:
            wait_s = self.random.uniform(*SILENCE_S) if silently else self.latency_s()
            self.later(wait_s, partial(self._miss, other, peer_id, self.hosts.get(other)))

    def _miss(self, other: str, gone: str, host: SimHost | None) -> None:
        """Unless either has been started anew and they are connected again."""
        if host is not None and self.hosts.get(other) is host and not self.linked(gone, other):
            self._reach.clear()
            self.links[other].discard(gone)
            host.connection_down(gone)

    # gossip

    def gossip(self, author: str, topic: str, body: bytes) -> None:
        """Flood to whoever is connected to the author, over others if need be; each gets it once, or never."""
        heard = [peer for peer in self._reached(author) if self.random.random() >= self.conditions.gossip_loss]
        self.later(self.latency_s(), partial(self._arrive, author, heard, topic, body))

    def _reached(self, author: str) -> list[str]:
        found = self._reach.get(author)
        if found is None:
            seen, waiting = {author}, [author]
            while waiting:
                one = waiting.pop()
                new = [p for p in self.links.get(one, ()) if p not in seen and self.joined(one, p)]
                seen.update(new)
                waiting += new
            found = self._reach[author] = sorted(seen - {author})
        return found

    def _arrive(self, author: str, heard: list[str], topic: str, body: bytes) -> None:
        size_bytes = len(body) + GOSSIP_OVERHEAD_BYTES
        for peer in heard:
            host = self.hosts.get(peer)
            if host is not None and peer not in self.silent and host.is_member(author):
                self.gossip_bytes[peer] += size_bytes
                host.gossip_queue(topic, author, body)
