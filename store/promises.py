"""Roots that another peer which shares a store was told it may erase there: for a while nothing is put under them from here.

A promise outlives a restart: who was told so goes on erasing meanwhile. From the start it holds for its full time once more:
how much of it is over only the wall clock could say, and that may have been set since.
"""

from collections.abc import Callable

from store import facts
from store.catalogue import Readers
from store.clock import steady_s
from store.commits import Writer

FACT = "promised/"
PROMISE_S = 300.0
"""What an erasure takes (`store.kinds.ERASE_S`), its last call, and some more. A guess."""
MAX_PROMISES = 10_000


class Promises:
    """Those of one store. One may be given at a time; whether one stands may be asked from any thread."""

    def __init__(self, readers: Readers, writer: Writer, clock_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._clock_ms = clock_ms
        self._until_s = dict.fromkeys(facts.beginning(readers, FACT), steady_s() + PROMISE_S)

    def give(self, root: bytes, kind: str, has_begun: Callable[[bytes, str], bool]) -> bool:
        """Promise it, durably.

        Args:
            has_begun: whether the root is held there, or being put: then there is no promise.

        Returns:
            Whether there is one.

        Raises:
            StoreFull, DiskFailed: there is none.
        """
        name, now_s = _name(root, kind), steady_s()
        over = [each for each, until_s in list(self._until_s.items()) if until_s <= now_s and each != name]
        if len(self._until_s) - len(over) >= MAX_PROMISES:
            return False
        before_s = self._until_s.get(name)
        given = False
        # In this order, and whoever puts in the other: one of both sees the other.
        self._until_s[name] = now_s + PROMISE_S
        try:
            if not has_begun(root, kind):
                self._write(name, over)
                given = True
        finally:
            if before_s is not None and not given:
                self._until_s[name] = before_s  # what was promised to somebody else still stands
            elif not given:
                del self._until_s[name]  # a disk that refuses may be asked for ever more roots
        for each in over if given else ():  # otherwise the disk still has them
            del self._until_s[each]
        return given

    def stand(self, root: bytes, kind: str) -> bool:
        """Whether nothing may be put under a root for now."""
        return self._until_s.get(_name(root, kind), 0.0) > steady_s()

    def _write(self, name: str, over: list[str]) -> None:
        until_ms = str(self._clock_ms() + int(PROMISE_S * 1000)).encode()  # for people to read
        self._writer.run(lambda batch: facts.put(batch, {**dict.fromkeys(over), name: until_ms}))


def _name(root: bytes, kind: str) -> str:
    return f"{FACT}{kind}/{root.hex()}"
