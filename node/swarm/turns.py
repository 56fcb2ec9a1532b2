"""Who writes something that others write as well does so in the order in which they came."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import trio

T = TypeVar("T")


class Turns:
    """Threads, one after the other where they write under the same key, and otherwise at once.

    Which of two threads begins first is left to chance: what was signed first could be written last, and stay.
    """

    def __init__(self) -> None:
        self._last: dict[bytes, trio.Event] = {}  # by key, when it is over for who came last

    async def write(self, keys: Iterable[bytes], write: Callable[[], T]) -> T:
        """Run `write` in a thread, after all that came before for one of these keys; return what it returns.

        Waits for those even where it is cancelled, and does nothing then: who comes next waits for this one alone.
        """
        own, over = set(keys), trio.Event()
        before = {self._last[key] for key in own & self._last.keys()}
        self._last.update(dict.fromkeys(own, over))
        try:
            with trio.CancelScope(shield=True):
                for each in before:
                    await each.wait()
            return await trio.to_thread.run_sync(write)
        finally:
            over.set()
            for key in own:
                if self._last[key] is over:
                    del self._last[key]
