"""A bounded memory of answers that go stale."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Keeps at most `max_count` values, the newest, each for `keep_s` seconds."""

    def __init__(self, *, keep_s: float, max_count: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._max_count = max_count
        self._clock_s = clock_s
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value of `key`, None if there is none that is still good."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found[0] <= self._clock_s():
            del self._kept[key]
            return None
        return found[1]

    def put(self, key: K, value: V) -> None:
        """Keep `value`, from now on."""
        self._kept.pop(key, None)
        self._kept[key] = (self._clock_s() + self._keep_s, value)
        if len(self._kept) > self._max_count:
            self._kept.popitem(last=False)
