"""Gather small items for a moment, so that a burst of them crosses the wire in a few messages."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

Item = TypeVar("Item")

LINGER_S = 0.05
"""How long the first item waits for company; a person does not notice it."""
SPACING_S = 0.4
"""Least time between two batches. A gossip message costs every peer some 3 ms of processor time, however small: batches
20 times a second, of five peers, would take more than a core of each machine."""


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
            await trio.sleep(SPACING_S - LINGER_S)

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
