"""A virtual clock and a network that delays, loses and splits, all from one seed."""

import heapq
import itertools
from collections.abc import Callable
from random import Random


class Clock:
    """Runs what was scheduled, in order of time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._turn = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_s + delay_s, next(self._turn), act))

    def run_until(self, end_s: float) -> None:
        while self._due and self._due[0][0] <= end_s:
            self.now_s, _, act = heapq.heappop(self._due)
            act()
        self.now_s = end_s


class Network:
    """Carries calls between peers that are up and on the same side of a split."""

    def __init__(self, clock: Clock, random: Random, *, loss: float) -> None:
        self.clock = clock
        self.random = random
        self.loss = loss
        self.sides: dict[str, int] = {}
        self.unreachable: set[str] = set()

    def reach(self, frm: str, to: str) -> bool:
        apart = self.sides.get(frm, 0) != self.sides.get(to, 0)
        return not apart and frm not in self.unreachable and to not in self.unreachable

    def send(self, frm: str, to: str, deliver: Callable[[], None]) -> None:
        """Deliver after a delay, or never; a peer that went down meanwhile gets nothing."""
        if self.random.random() < self.loss:
            return
        self.clock.after(self.random.uniform(0.005, 0.4), lambda: self.reach(frm, to) and deliver())
