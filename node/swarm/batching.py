"""Gather small items for a moment, so that a burst of them crosses the wire in a few messages."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

Item = TypeVar("Item")

LINGER_S = 0.05
"""How long the first item waits for company. An `add` of many files makes some ten pins in that time; a person does
not notice it."""


class Batcher(Generic[Item]):
    """Hands items on in batches.

    Args:
        size_of: bytes that an item takes in a message.
        send: takes one batch; its expected failures are its own affair.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[None]],
        *,
        size_of: Callable[[Item], int],
        max_bytes: int,
        max_items: int,
    ) -> None:
        self._send = send
        self._size_of = size_of
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._waiting: deque[Item] = deque()
        self._news = trio.Event()

    def add(self, item: Item) -> None:
        """Send this item along soon."""
        self._waiting.append(item)
        self._news.set()

    async def run(self) -> None:
        """Send batches until cancelled."""
        while True:
            await self._news.wait()
            await trio.sleep(LINGER_S)
            self._news = trio.Event()
            while self._waiting:
                await self._send(self._take())

    def _take(self) -> list[Item]:
        batch: list[Item] = []
        room = self._max_bytes
        while self._waiting and len(batch) < self._max_items:
            size = self._size_of(self._waiting[0])
            if batch and size > room:
                break
            room -= size
            batch.append(self._waiting.popleft())
        return batch
