"""Planned actions that wait for a free slot, the most urgent first.

A peer that joins a large swarm is planned tens of thousands of fetches at once. They wait here as values, and a repair
that comes up meanwhile overtakes them, instead of each being a task that waits its turn.
"""

import heapq
from typing import Generic, TypeVar

from node.replication.planner import Action
from node.replication.view import RootKey

Rank = tuple[int, int, bytes]
"""Lower is sooner; ends in the root, so that equal views act in equal order."""

Waiting = TypeVar("Waiting", bound=Action)


class Backlog(Generic[Waiting]):
    """Actions by key, at most one each."""

    def __init__(self) -> None:
        self._waiting: dict[RootKey, tuple[Rank, Waiting]] = {}
        self._heap: list[tuple[Rank, RootKey]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: object) -> bool:
        return key in self._waiting

    def keys(self) -> list[RootKey]:
        """The keys that wait, in no order."""
        return list(self._waiting)

    def put(self, key: RootKey, action: Waiting, rank: Rank) -> None:
        """Have an action wait; it takes the place of an older one for its key."""
        before = self._waiting.get(key)
        self._waiting[key] = (rank, action)
        if before is None or before[0] != rank:
            heapq.heappush(self._heap, (rank, key))
            self._drop_what_is_stale()

    def discard(self, key: RootKey) -> None:
        """The action is no longer wanted."""
        self._waiting.pop(key, None)

    def pop(self) -> tuple[RootKey, Waiting] | None:
        """Take the most urgent action out; None when nothing waits."""
        while self._heap:
            rank, key = heapq.heappop(self._heap)
            found = self._waiting.get(key)
            if found is not None and found[0] == rank:
                del self._waiting[key]
                return key, found[1]
        return None

    def _drop_what_is_stale(self) -> None:
        """Entries of actions that were replaced or dropped stay in the heap until they are more than half of it."""
        if len(self._heap) > 2 * len(self._waiting) + 64:
            self._heap = [(rank, key) for key, (rank, _) in self._waiting.items()]
            heapq.heapify(self._heap)
