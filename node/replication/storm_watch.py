"""The storm guard at work in a daemon: what it has seen is kept on disk, and what it finds is told."""

import json
import logging
from collections.abc import Callable, Iterable

import trio

from node.events import Events
from node.quantities import plural
from node.replication.storm import MEMORY_MS, StormGuard, seen_from
from node.replication.view import PeerState
from protocol.beat import Beat
from store.store import Store

log = logging.getLogger("pinakothek.storm")

SEEN_FACT = "storm/seen"
SAID_FACT = "storm/repair_now"
STORM_BYTES_PER_S = 32 << 20
"""What fetches may take together during a mass loss where no `repair_bandwidth` is set: a quarter of a 1 Gbit/s line."""


class StormWatch:
    """One peer's storm guard.

    Args:
        keepers: each keeper's id, state and capacity in bytes as planning sees them, this peer included.
        blocked: why nothing may be planned now, or None: until that is over nobody knows who is there.
        on_change: called when a mass loss has begun or ended: everything is to be planned anew.
    """

    def __init__(
        self,
        store: Store,
        events: Events,
        *,
        keepers: Callable[[], Iterable[tuple[str, PeerState, int]]],
        blocked: Callable[[], str | None],
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._events = events
        self._keepers = keepers
        self._blocked = blocked
        self._on_change = on_change
        self._guard = StormGuard(seen_from(store.fact(SEEN_FACT)))
        self._said_ms = _said_from(store.fact(SAID_FACT))
        self._is_on = False

    def mass_loss(self) -> bool:
        """Whether more than half of the capacity that was alive within a day was gone at the last look."""
        return self._is_on

    def mass_loss_now(self, now_ms: int) -> bool:
        """Whether it is gone now. Every plan asks this, and the daemon every second.

        A plan that goes by an earlier look repairs in a moment what the guard is to hold back: peers fall silent between
        two looks.
        """
        if self._blocked() is None:
            self.look(now_ms)
        return self._is_on

    def bytes_per_s(self, allowed: int | None) -> int | None:
        """What fetches may take together: what the operator allows, else what the guard does during a mass loss."""
        return STORM_BYTES_PER_S if allowed is None and self._is_on else allowed

    def describe(self) -> str:
        """One line for people."""
        loss = self._guard.loss
        verb = "is" if len(loss.gone) == 1 else "are"
        share = 100 * loss.gone_bytes // max(1, loss.known_bytes)
        return (
            f"{plural(len(loss.gone), 'keeper')} with {share} % of the capacity {verb} gone: only roots with one live copy are "
            "repaired until enough is back, for 24 h, or until `repair --now`"
        )

    def repair_now_ms(self, now_ms: int) -> int | None:
        """When `repair --now` was last said here, for the heartbeat; None once that is a day ago."""
        said_ms = self._said_ms
        return said_ms if said_ms is not None and now_ms - MEMORY_MS <= said_ms <= now_ms else None

    def look(self, now_ms: int) -> None:
        """Judge anew."""
        self._guard.look(self._keepers(), now_ms)
        if self._guard.loss.is_mass_loss != self._is_on:
            self._is_on = not self._is_on
            detail = self.describe() if self._is_on else "enough capacity is there, or what is gone was written off"
            self._events.tell("mass_loss" if self._is_on else "mass_loss_over", detail=detail)
            log.warning("mass loss: %s" if self._is_on else "mass loss is over: %s", detail)
            self._on_change()

    def hear(self, beat: Beat, now_ms: int) -> None:
        """A member's heartbeat may say that its operator has written the gone off."""
        if beat.repair_now_ms is not None:
            self._guard.write_off(now_ms - max(0, beat.clock_ms - beat.repair_now_ms), now_ms)

    async def repair_now(self, now_ms: int) -> tuple[str, ...]:
        """Write off whoever is gone, here and with the next heartbeats everywhere; who they were. Raises: StoreError."""
        gone = self._guard.loss.gone
        await trio.to_thread.run_sync(self._store.set_fact, SAID_FACT, json.dumps(now_ms).encode())
        self._said_ms = now_ms
        self._guard.write_off(now_ms, now_ms)
        self.look(now_ms)
        return gone

    async def save(self) -> None:
        """Keep what was seen for the next start. Raises: StoreError."""
        await trio.to_thread.run_sync(self._store.set_fact, SEEN_FACT, self._guard.to_bytes())


def _said_from(raw: bytes | None) -> int | None:
    try:
        return None if raw is None else int(json.loads(raw))
    except (ValueError, TypeError):
        return None
