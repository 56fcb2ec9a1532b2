"""A backend that is whole until a test says otherwise."""

import threading

from store.backends import MemoryBackend, Range
from store.backends.contract import Stream
from store.errors import BackendUnavailable


class Fragile(MemoryBackend):
    """Whole, until a test says otherwise.

    Attributes:
        garbles: every get returns something else.
        down: every call fails.
        silence: a put that begins while this is there waits until it is set.
    """

    kind = "local"

    def __init__(self) -> None:
        super().__init__()
        self.store_id("0123456789abcdef")
        self.garbles = False
        self.down = False
        self.silence: threading.Event | None = None
        self.puts: list[str] = []

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        self._check()
        if self.silence is not None:
            assert self.silence.wait(60)
        self.puts.append(name)
        return super().put(root, name, stream)

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        self._check()
        found = super().get(root, name, part)
        return b"?" + found[1:] if self.garbles else found

    def delete(self, root: bytes, name: str) -> None:
        self._check()
        super().delete(root, name)

    def _check(self) -> None:
        if self.down:
            raise BackendUnavailable(self.place, "is down")
