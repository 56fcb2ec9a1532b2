"""What the operator told this peer while it ran: to be away for a while, to drain. Kept over a restart.

They decide what the peer says of itself; whoever plans or speaks is told when that changes, also when an absence ends
by itself.
"""

from collections.abc import Callable
from typing import Literal

from node.events import wall_ms
from store.store import Store

AWAY_FACT = "orders/away_until_ms"
DRAIN_FACT = "orders/drain"

DrainTo = Literal["max", "min"]
"""How many copies a draining peer's roots must have elsewhere before it may leave."""


class StandingOrders:
    """The orders in force.

    Attributes:
        drain_to: None while this peer does not drain.
        listeners: called after a change.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.listeners: list[Callable[[], None]] = []
        away = store.fact(AWAY_FACT)
        self._away_until_ms = None if away is None else int(away)
        drain = store.fact(DRAIN_FACT)
        self.drain_to: DrainTo | None = None if drain is None else "min" if drain == b"min" else "max"
        self._was_away = self.away_until_ms is not None

    @property
    def away_until_ms(self) -> int | None:
        """Until when this peer is away, wall-clock milliseconds; None when it is not."""
        until_ms = self._away_until_ms
        return until_ms if until_ms is not None and until_ms > wall_ms() else None

    def write_away(self, until_ms: int | None) -> None:
        """Keep a new end of the absence (in a thread); then `changed`. Raises: StoreError: nothing is changed."""
        self._store.set_fact(AWAY_FACT, None if until_ms is None else str(until_ms).encode())
        self._away_until_ms = until_ms

    def write_drain(self, to: DrainTo | None) -> None:
        """Keep whether to drain (in a thread); then `changed`. Raises: StoreError: nothing is changed."""
        self._store.set_fact(DRAIN_FACT, None if to is None else to.encode())
        self.drain_to = to

    def changed(self) -> None:
        """Tell that this peer will say something else of itself."""
        self._was_away = self.away_until_ms is not None
        for listener in self.listeners:
            listener()

    def look(self) -> bool:
        """Notice an absence that has ended; whether one did. Call it every second."""
        if not self._was_away or self.away_until_ms is not None:
            return False
        self.changed()
        return True
