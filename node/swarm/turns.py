"""Who writes about something that others write about as well does so in the order in which they came."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio


class Turns:
    """One after the other under the same key, and otherwise at once.

    Which of two threads begins first is left to chance: what was signed first could be written last, and stay.
    """

    def __init__(self) -> None:
        self._last: dict[bytes, trio.Event] = {}  # by key, when it is over for who came last

    def __bool__(self) -> bool:
        """Whether anybody has his turn or waits for it."""
        return bool(self._last)

    @asynccontextmanager
    async def of(self, keys: Iterable[bytes]) -> AsyncIterator[None]:
        """Wait for all that came before for one of these keys, and have those who come next wait.

        It waits even where it is cancelled: who comes next waits for this one alone.
        """
        own, over = set(keys), trio.Event()
        before = {self._last[key] for key in own & self._last.keys()}
        self._last.update(dict.fromkeys(own, over))
        try:
            with trio.CancelScope(shield=True):
                for each in before:
                    await each.wait()
            yield
        finally:
            over.set()
            for key in own:
                if self._last[key] is over:
                    del self._last[key]
