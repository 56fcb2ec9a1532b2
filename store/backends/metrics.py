"""Count what is asked of a backend: calls, errors, seconds and bytes, by operation."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from store.backends.contract import Backend, Range, Stream
from store.backends.wrapped import Wrapped
from store.errors import NotInBackend, StoreError

T = TypeVar("T")


@dataclass(slots=True)
class Counted:
    """Of one operation since the start. That something is not there is an answer, and no error."""

    calls: int = 0
    errors: int = 0
    seconds: float = 0.0
    size_bytes: int = 0


class Measured(Wrapped):
    """Counts, and changes nothing."""

    def __init__(self, within: Backend, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(within)
        self._clock_s = clock_s
        self._counts: dict[str, Counted] = {}
        self._counting = threading.Lock()

    def counts(self) -> dict[str, Counted]:
        """By operation, as of now."""
        with self._counting:
            return {operation: replace(counted) for operation, counted in self._counts.items()}

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        size_bytes = super().put(root, name, stream)
        self._count("put", size_bytes=size_bytes)
        return size_bytes

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        content = super().get(root, name, part)
        self._count("get", size_bytes=len(content))
        return content

    def _call(self, operation: str, function: Callable[[], T], *, once: bool = False) -> T:
        began_s = self._clock_s()
        errors = 0
        try:
            return function()
        except NotInBackend:
            raise
        except StoreError:
            errors = 1
            raise
        finally:
            self._count(operation, calls=1, errors=errors, seconds=self._clock_s() - began_s)

    def _count(
        self, operation: str, *, calls: int = 0, errors: int = 0, seconds: float = 0.0, size_bytes: int = 0
    ) -> None:
        with self._counting:
            counted = self._counts.setdefault(operation, Counted())
            counted.calls += calls
            counted.errors += errors
            counted.seconds += seconds
            counted.size_bytes += size_bytes
