"""Questions to the daemon that many strangers may have at once: few threads put them, each answer serves a moment."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from node.gateway.answers import HttpError
from node.gateway.remembered import Remembered

THREADS = 4
KEEP_S = 3.0
MAX_KEPT = 1_000
MAX_WAITING = 128
"""Guesses: enough for a gallery's page of names, and a second or two of the daemon's time at most."""

T = TypeVar("T")


class Questions:
    """Puts blocking questions. Equal ones within `KEEP_S` share one answer, be it an error."""

    def __init__(self) -> None:
        self._answers: Remembered[str, asyncio.Future[Any]] = Remembered(keep_s=KEEP_S, max_count=MAX_KEPT)
        self._threads = ThreadPoolExecutor(THREADS, "questions")
        self._waiting = 0

    async def put(self, key: str, question: Callable[[], T]) -> T:
        """The answer to `question`, which `key` stands for.

        Raises:
            HttpError: 503, too many are waiting. And what `question` raises.
        """
        answer = self._answers.get(key)
        if answer is None:
            if self._waiting >= MAX_WAITING:
                raise HttpError(503, "too many questions for the daemon; try again soon", {"Retry-After": "5"})
            self._waiting += 1
            answer = asyncio.get_running_loop().run_in_executor(self._threads, question)
            answer.add_done_callback(self._done)
            self._answers.put(key, answer)
        found: T = await asyncio.shield(answer)
        return found

    def _done(self, answer: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not answer.cancelled():
            answer.exception()  # looked at, even when everyone who waited has hung up
