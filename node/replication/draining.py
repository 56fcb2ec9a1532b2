"""Empty this peer before it leaves: follow what the others copy, and leave once every root has its copies elsewhere.

A draining peer says so in its heartbeats; that alone makes the others copy, and keeps this peer from planning anything.
Here it is only counted what is still missing: a pass over a few roots looks at those, and after each pass over all, and
once more before the last step, everything held is looked at, a few hundred roots at a time.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from itertools import islice

import trio

from node.events import Events
from node.replication.beliefs import Beliefs
from node.replication.emptying import OtherKeepers, Shortage, copies_elsewhere, wanted_elsewhere
from node.replication.view import RootKey, SwarmView
from node.standing_orders import DrainTo, StandingOrders
from node.swarm.knowledge import Knowledge
from protocol.admission import Departure

log = logging.getLogger("pinakothek.drain")

LOOK_S = 1.0
AT_ONCE = 500
"""Roots looked at between two turns of the event loop: some milliseconds."""
SCAN_EVERY_S = 10.0
WINDOW_S = 60.0
"""The speed of a drain is that of its last minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a drain has come.

    Attributes:
        roots: held and wanted.
        roots_left, bytes_left: what still lacks copies elsewhere; bytes count each missing copy.
        bytes_per_s: over the last minute, None while nothing is known.
        shortage: why it cannot go on, if so.
    """

    roots: int
    roots_left: int
    bytes_left: int
    bytes_per_s: float | None
    shortage: Shortage | None


class Draining:
    """One peer's drain.

    Args:
        blocked: why nothing may be concluded now, or None.
        busy: whether images are being taken in here.
        farewell: returns once others know that this peer has left, or will not for now.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        beliefs: Beliefs,
        orders: StandingOrders,
        events: Events,
        *,
        blocked: Callable[[], str | None],
        busy: Callable[[], bool],
        farewell: Callable[[], Awaitable[object]],
    ) -> None:
        self._knowledge = knowledge
        self._beliefs = beliefs
        self._orders = orders
        self._events = events
        self._blocked = blocked
        self._busy = busy
        self._farewell = farewell
        self._missing: dict[RootKey, int] = {}
        self._bytes_left = 0
        self._roots = 0
        self._shortage: Shortage | None = None
        self._stale = True
        self._scan_after_s = 0.0
        self._doubt_after_s = 0.0
        self._samples: deque[tuple[float, int]] = deque()

    @property
    def has_left(self) -> bool:
        """Whether this peer has said that it left the swarm."""
        standing = self._knowledge.records.counting.standing(self._knowledge.me)
        return standing is not None and standing.left

    async def shortage(self, to: DrainTo) -> Shortage | None:
        """Why this peer cannot be emptied now, or None."""
        found: Shortage | None = None
        async for view in self._views():
            found = OtherKeepers(view).shortage(view.roots.values(), to, found)
        return found

    def progress(self) -> Progress:
        """How far it has come; a look-up."""
        return Progress(
            roots=max(self._roots, len(self._missing)),
            roots_left=len(self._missing),
            bytes_left=self._bytes_left,
            bytes_per_s=self._bytes_per_s(),
            shortage=self._shortage,
        )

    async def start(self, to: DrainTo) -> None:
        """Drain from now on, also after a restart, until this peer has left or `cancel`. Raises: StoreError."""
        await trio.to_thread.run_sync(self._orders.write_away, None)
        await trio.to_thread.run_sync(self._orders.write_drain, to)
        self._begin()
        await self._scan(to)
        self._events.tell("drain", detail=f"until every root has its {to} elsewhere")
        self._orders.changed()

    async def cancel(self) -> None:
        """Be an ordinary peer again. Raises: StoreError."""
        await trio.to_thread.run_sync(self._orders.write_drain, None)
        self._events.tell("drain", detail="cancelled")
        self._orders.changed()

    def _begin(self) -> None:
        self._missing.clear()
        self._samples.clear()
        self._bytes_left, self._shortage = 0, None
        self._stale, self._scan_after_s, self._doubt_after_s = True, 0.0, 0.0

    def looked_at(self, keys: Collection[RootKey]) -> None:
        """These roots were planned: their holders may have changed. A pass over very many is looked at in `work`."""
        if self._orders.drain_to is None:
            return
        if len(keys) > AT_ONCE:
            self._stale = True
        else:
            self._judge(self._beliefs.view(keys), self._orders.drain_to)

    async def work(self) -> float:
        """Look whether it is done, and leave then; the seconds until there may be more to do. Raises: StoreError."""
        to = self._orders.drain_to
        if to is None or self._blocked() is not None:
            return LOOK_S
        if self.has_left:
            await self._be_gone()
            return LOOK_S
        now_s = trio.current_time()
        if self._stale and now_s >= self._scan_after_s:
            await self._scan(to)
            self._scan_after_s = trio.current_time() + SCAN_EVERY_S
        self._sample(now_s)
        if now_s >= self._doubt_after_s:
            self._shortage = self._shortage_of_some(to)
            self._doubt_after_s = now_s + SCAN_EVERY_S
        if not self._missing and not self._stale and not self._busy():
            await self._scan(to)
            if not self._missing and self._orders.drain_to is not None and not self._busy():
                await self._leave()
        return LOOK_S

    async def _views(self) -> AsyncIterator[SwarmView]:
        """Views of all that is held here, a few hundred roots each, with a turn of the event loop between them."""
        keys = [RootKey(element.root, element.kind) for element in self._knowledge.own.here]
        for start in range(0, len(keys), AT_ONCE):
            yield self._beliefs.view(keys[start : start + AT_ONCE])
            await trio.lowlevel.checkpoint()

    async def _scan(self, to: DrainTo) -> None:
        self._stale = False  # a pass that comes meanwhile has it done again
        roots = 0
        async for view in self._views():
            roots += self._judge(view, to)
        self._roots = roots
        held = self._knowledge.own
        for key in [key for key in self._missing if not held.holds(key.root, key.kind)]:
            self._set_missing(key, 0)

    def _shortage_of_some(self, to: DrainTo) -> Shortage | None:
        """Whether the drain is stuck: peers may have gone since it began. A few of what is left tell as much as all."""
        view = self._beliefs.view(list(islice(self._missing, AT_ONCE)))
        return OtherKeepers(view).shortage(view.roots.values(), to)

    def _judge(self, view: SwarmView, to: DrainTo) -> int:
        """Count what the view's roots lack elsewhere; how many of them are held here and wanted."""
        held = 0
        for key, root in view.roots.items():
            wanted = wanted_elsewhere(root, to) if view.me in root.holders else 0
            held += wanted > 0
            lacking = max(0, wanted - copies_elsewhere(view, root)) if wanted else 0
            # A root of unknown size must not look as if nothing were left of it.
            self._set_missing(key, lacking * max(1, root.size_bytes))
        return held

    def _set_missing(self, key: RootKey, size_bytes: int) -> None:
        self._bytes_left += size_bytes - self._missing.pop(key, 0)
        if size_bytes:
            self._missing[key] = size_bytes

    def _sample(self, now_s: float) -> None:
        self._samples.append((now_s, self._bytes_left))
        while self._samples[0][0] < now_s - WINDOW_S:
            self._samples.popleft()

    def _bytes_per_s(self) -> float | None:
        if len(self._samples) < 2:
            return None
        (start_s, before), (end_s, after) = self._samples[0], self._samples[-1]
        return (before - after) / (end_s - start_s) if before > after and end_s > start_s else None

    async def _leave(self) -> None:
        """Say to all that this peer has left."""
        log.info("every root has its copies elsewhere: this peer leaves")
        await self._knowledge.records.write_one(Departure())
        await self._be_gone()

    async def _be_gone(self) -> None:
        """It has left, durably: forget the order once others know."""
        self._orders.changed()
        await self._farewell()
        await trio.to_thread.run_sync(self._orders.write_drain, None)
        self._events.tell("left", peer_id=self._knowledge.me, detail="this peer has left the swarm")
