"""Ask a backend again that could not be asked: a few times, with growing pauses, within a deadline."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from store.backends.contract import Backend
from store.backends.wrapped import Wrapped
from store.clock import steady_s
from store.errors import BackendUnavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be. Guesses, for a store that hiccups; one that is down is the caller's to wait for.

    Attributes:
        deadline_s: from the first call on, no call begins after it.
    """

    attempts: int = 4
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0
    deadline_s: float = 30.0


class Retrying(Wrapped):
    """Repeats what failed with `BackendUnavailable`, and nothing else: a refusal or an absence stays what it is."""

    def __init__(
        self,
        within: Backend,
        policy: RetryPolicy = RetryPolicy(),
        *,
        clock_s: Callable[[], float] = steady_s,
        sleep_s: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(within)
        self._policy = policy
        self._clock_s = clock_s
        self._sleep_s = sleep_s
        self._chance = chance

    def _call(self, operation: str, function: Callable[[], T], *, once: bool = False) -> T:
        end_s = self._clock_s() + self._policy.deadline_s
        for attempt in range(1, self._policy.attempts):
            try:
                return function()
            except BackendUnavailable:
                pause_s = self._pause_s(attempt)
                if once or operation == "health" or self._clock_s() + pause_s > end_s:
                    raise
                self._sleep_s(pause_s)
                if self._clock_s() > end_s:  # the machine was suspended: who counts on the deadline has given up
                    raise
        return function()

    def _pause_s(self, attempt: int) -> float:
        """Doubled with each attempt, and anything from half of that to all of it, so that callers do not come together."""
        whole_s = min(self._policy.longest_pause_s, self._policy.first_pause_s * 2.0 ** (attempt - 1))
        return whole_s * (0.5 + 0.5 * self._chance())
