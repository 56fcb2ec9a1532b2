"""The storm guard: when most of a swarm is gone at once, copying everything at once would only finish off the rest.

1. Every peer remembers when it last saw each keeper alive, and with what capacity, over restarts too.
2. What was alive within the last 24 h and is neither alive nor excused now is *gone*. While that is more than half of the
   capacity, it is a mass loss: only roots with one live copy are repaired, within a cap on bytes.
3. It ends when enough has come back, when the gone have been gone for 24 h, or when an operator says `repair --now`:
   then the gone are written off, until they are seen again. Others hear of it with that peer's heartbeats.

A suspect peer counts as gone: repair of roots below `min` does not wait for it to be declared down, so neither may the
guard. Who has left, was expelled or is away by its own word is not missed. Of a peer's capacity counts what placement
counts: no member can boast so much that its leaving alone is a mass loss of a larger swarm.

Pure: wall-clock milliseconds come in, because what is remembered must outlive a restart.

Source: DESIGN §7, invariant 7.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from node.replication.placement import most_counted_bytes
from node.replication.view import PeerState

MEMORY_MS = 24 * 3600 * 1000
MOST_PEERS = 1000
"""Remembered at most; members are fewer. A bound on what is written down, not a rule."""

PRESENT: frozenset[PeerState] = frozenset({"alive", "draining"})
EXCUSED: frozenset[PeerState] = frozenset({"away", "recovering", "leaving", "left", "expelled"})


class LastSeen(NamedTuple):
    """When a keeper was last alive, and what it then offered."""

    at_ms: int
    capacity_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How much of what was alive within a day is gone.

    Attributes:
        gone: the peers that are missed, by id.
        gone_bytes, known_bytes: their capacity, and that of all that was alive.
    """

    gone: tuple[str, ...] = ()
    gone_bytes: int = 0
    known_bytes: int = 0

    @property
    def is_mass_loss(self) -> bool:
        """Whether more than half of the capacity is gone."""
        return 2 * self.gone_bytes > self.known_bytes


class StormGuard:
    """One peer's memory of who was there.

    Args:
        seen: what `to_bytes` kept of an earlier run.

    Attributes:
        loss: as of the last look.
    """

    def __init__(self, seen: Mapping[str, LastSeen] | None = None) -> None:
        self._seen = dict(seen or {})
        self.loss = Loss()

    def look(self, keepers: Iterable[tuple[str, PeerState, int]], now_ms: int) -> Loss:
        """Judge anew, from each keeper's id, state and capacity in bytes; this peer itself is one of them."""
        present: set[str] = set()
        for peer, state, capacity_bytes in keepers:
            if state in PRESENT:
                present.add(peer)
                self._seen[peer] = LastSeen(now_ms, capacity_bytes)
            elif state in EXCUSED:
                self._seen.pop(peer, None)
        # A time still to come is of a clock that was put back: nobody is to be missed for ever because of it.
        self._seen = {p: last for p, last in self._seen.items() if now_ms - MEMORY_MS <= last.at_ms <= now_ms}
        gone = tuple(sorted(self._seen.keys() - present))
        most_bytes = most_counted_bytes(last.capacity_bytes for last in self._seen.values())
        counted = {peer: min(last.capacity_bytes, most_bytes) for peer, last in self._seen.items()}
        self.loss = Loss(gone=gone, gone_bytes=sum(counted[peer] for peer in gone), known_bytes=sum(counted.values()))
        return self.loss

    def write_off(self, said_ms: int, now_ms: int) -> None:
        """Miss nobody any more who was last seen before an operator, here or elsewhere, said `repair --now`.

        Args:
            said_ms: when, by this peer's clock; one to come, or more than a day old, changes nothing.
        """
        if now_ms - MEMORY_MS <= said_ms <= now_ms:
            self._seen = {peer: last for peer, last in self._seen.items() if last.at_ms >= said_ms}

    def to_bytes(self) -> bytes:
        """What is to outlive a restart."""
        newest = sorted(self._seen.items(), key=lambda item: -item[1].at_ms)[:MOST_PEERS]
        return json.dumps({peer: list(last) for peer, last in newest}, sort_keys=True).encode()


def seen_from(raw: bytes | None) -> dict[str, LastSeen]:
    """Read what `to_bytes` wrote; nothing where that is damaged: it is rebuilt by looking."""
    try:
        kept = json.loads(raw or b"{}")
        return {str(peer): LastSeen(int(at_ms), int(capacity)) for peer, (at_ms, capacity) in kept.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
