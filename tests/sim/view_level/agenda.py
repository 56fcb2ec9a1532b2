"""What is to happen when, in virtual seconds."""

import heapq
import itertools
from collections.abc import Callable


class Agenda:
    """A clock that jumps from one entry to the next.

    Attributes:
        now_s: since the beginning.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._turn = itertools.count()
        self._entries: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Have `act` called once the time has come."""
        heapq.heappush(self._entries, (self.now_s + delay_s, next(self._turn), act))

    def next_s(self) -> float | None:
        """When the next entry is due; None if there is none."""
        return self._entries[0][0] if self._entries else None

    def act_until(self, until_s: float) -> None:
        """Call everything that is due by then."""
        while self._entries and self._entries[0][0] <= until_s:
            heapq.heappop(self._entries)[2]()

    def clear(self) -> None:
        """Cancel everything."""
        self._entries.clear()
