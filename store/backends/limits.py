"""So many calls to a backend at once and no more: what a bucket or a daemon bears, and what of our threads may wait."""

import threading
from collections.abc import Callable
from typing import TypeVar

from store.backends.contract import Backend
from store.backends.wrapped import Wrapped
from store.errors import BackendUnavailable

T = TypeVar("T")

AT_ONCE = 16
"""A guess: several images of eight files each."""
WAIT_S = 60.0
"""Longer than that means that the calls under way do not end."""


class Limited(Wrapped):
    """Lets callers wait for their turn. Raises: BackendUnavailable: it did not come."""

    def __init__(self, within: Backend, *, at_once: int = AT_ONCE, wait_s: float = WAIT_S) -> None:
        super().__init__(within)
        self._turns = threading.BoundedSemaphore(at_once)
        self._wait_s = wait_s

    def _call(self, operation: str, function: Callable[[], T], *, once: bool = False) -> T:
        if not self._turns.acquire(timeout=self._wait_s):
            raise BackendUnavailable(self.place, f"has been too busy for {self._wait_s:.0f} s")
        try:
            return function()
        finally:
            self._turns.release()
