"""Planned actions that wait for a free slot, the most urgent first.

A peer that joins a large swarm is planned tens of thousands of fetches at once. They wait here as values, and a repair
that comes up meanwhile overtakes them, instead of each being a task that waits its turn.
"""

import heapq
from collections.abc import Callable
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
        self._heaps: dict[str, list[tuple[Rank, RootKey]]] = {}  # by kind

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
            heapq.heappush(self._heaps.setdefault(key.kind, []), (rank, key))
            self._drop_what_is_stale()

    def discard(self, key: RootKey) -> None:
        """The action is no longer wanted."""
        self._waiting.pop(key, None)

    def pop(self, has_slot: Callable[[str], bool] = lambda kind: True) -> tuple[RootKey, Waiting] | None:
        """Take the most urgent action out whose kind has a slot; None when none waits."""
        heads = [head for kind in self._heaps if has_slot(kind) and (head := self._head(kind)) is not None]
        if not heads:
            return None
        _, key = heapq.heappop(self._heaps[min(heads)[1].kind])
        return key, self._waiting.pop(key)[1]

    def _head(self, kind: str) -> tuple[Rank, RootKey] | None:
        """The most urgent of a kind, once what is stale before it is gone."""
        heap = self._heaps[kind]
        while heap:
            rank, key = heap[0]
            found = self._waiting.get(key)
            if found is not None and found[0] == rank:
                return heap[0]
            heapq.heappop(heap)
        return None

    def _drop_what_is_stale(self) -> None:
        """Entries of actions that were replaced or dropped stay in the heaps until they are more than half of them."""
        if sum(map(len, self._heaps.values())) > 2 * len(self._waiting) + 64:
            self._heaps = {}
            for key, (rank, _) in self._waiting.items():
                self._heaps.setdefault(key.kind, []).append((rank, key))
            for heap in self._heaps.values():
                heapq.heapify(heap)
