"""Carry out what the planner says: fetch and hold, or ask for leases and release. Never decides, only does.

Every fetched block is hashed before it is written, and fsynced before the root is advertised. A release goes through
`Releasing`, which holds leases first.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from node.events import Events
from node.replication.fetching import Fetching
from node.replication.planner import Fetch, Plan, Release
from node.replication.releasing import Releasing
from node.replication.view import RootKey
from node.replication.work import Work
from protocol.errors import ProtocolError
from protocol.net.bitswap import Bitswap
from protocol.net.errors import NetError
from store.cid import cid_text
from store.errors import DiskFailed, StoreError, StoreFull
from store.store import Holding, Store

log = logging.getLogger("pinakothek.executor")

FETCHES_AT_ONCE = 12
"""Small roots wait mostly for round trips and fsyncs, which overlap; the window of Bitswap bounds the bytes. Guess."""
RELEASES_AT_ONCE = 8

SourcesOf = Callable[[Fetch], Awaitable[Sequence[str]]]
LimitOf = Callable[[bytes], int]


class Executor:
    """Runs fetches and releases.

    Args:
        sources_of: connected peers to fetch from, best first; the plan's, or for a sought root whoever may have it.
        limit_of: bytes a root may have, from its flows and this peer's room.
        on_holding: called when a root was taken, after that is durable.
        on_retry: called when a try has ended, well or not.
        on_refusal: called when the disk refused to take a root.
    """

    def __init__(
        self,
        store: Store,
        bitswap: Bitswap,
        releasing: Releasing,
        work: Work,
        events: Events,
        *,
        sources_of: SourcesOf,
        limit_of: LimitOf,
        on_holding: Callable[[Holding, bool], None],
        on_retry: Callable[[bytes], None],
        on_refusal: Callable[[], None],
    ) -> None:
        self._store = store
        self._bitswap = bitswap
        self._releasing = releasing
        self.work = work
        self._events = events
        self._sources_of = sources_of
        self._limit_of = limit_of
        self._on_holding = on_holding
        self._on_retry = on_retry
        self._on_refusal = on_refusal
        self._fetch_slots = trio.CapacityLimiter(FETCHES_AT_ONCE)
        self._release_slots = trio.CapacityLimiter(RELEASES_AT_ONCE)
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be ready to act, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    def follow(self, plan: Plan, planned: frozenset[RootKey]) -> None:
        """Start what is new in a plan of the roots `planned`, and cancel fetches that it no longer wants."""
        assert self._nursery is not None
        now_s = trio.current_time()
        wanted = {RootKey(action.root, action.kind) for action in plan.actions if isinstance(action, Fetch)}
        for key in planned - wanted:
            if scope := self.work.fetching.get(key):
                scope.cancel()
        acting = {RootKey(action.root, action.kind) for action in plan.actions}
        for key in planned - acting:
            self.work.failed.pop(key, None)
        for action in plan.actions:
            key = RootKey(action.root, action.kind)
            known = isinstance(action, Fetch) and bool(action.sources)
            if not self.work.may_try(key, now_s, sources=known):
                continue
            if isinstance(action, Fetch):
                self.work.fetching[key] = trio.CancelScope()
                self._nursery.start_soon(self._fetch, action, key)
            else:
                self.work.releasing.add(key)
                self._nursery.start_soon(self._release, action, key)

    async def _fetch(self, fetch: Fetch, key: RootKey) -> None:
        scope = self.work.fetching[key]
        self.work.queued_count += 1
        waiting = True
        try:
            with scope:
                async with self._fetch_slots:
                    self.work.queued_count -= 1
                    waiting = False
                    await self._fetch_now(fetch, key)
            if scope.cancelled_caught:
                log.info("fetch of %s cancelled: it is no longer needed here", cid_text(fetch.root))
        except (NetError, StoreError, ProtocolError, OSError) as error:
            if isinstance(error, StoreFull | DiskFailed):
                self._on_refusal()
            wait_s = self.work.fetch_failed(fetch, str(error), trio.current_time())
            self._events.tell("fetch_failed", root=cid_text(fetch.root), detail=str(error))
            log.info("fetch of %s failed: %s; next try in %.0f s", cid_text(fetch.root), error, wait_s)
        finally:
            self.work.queued_count -= waiting
            del self.work.fetching[key]
            self._on_retry(key.root)

    async def _fetch_now(self, fetch: Fetch, key: RootKey) -> None:
        fetching = Fetching(self._store, fetch.root, fetch.kind, self._limit_of(fetch.root))
        holding = await fetching.run(self._bitswap, await self._sources_of(fetch))
        self.work.done(key)
        self._on_holding(holding, True)
        self._events.tell("fetched", root=cid_text(fetch.root), detail=fetch.reason)

    async def _release(self, release: Release, key: RootKey) -> None:
        try:
            async with self._release_slots:
                refusal = await self._releasing.release(release)
            if refusal is None:
                self.work.done(key)
                self._events.tell("released", root=cid_text(release.root), detail=release.reason)
            else:
                self.work.release_failed(key, refusal, trio.current_time())
                log.debug("release of %s put off: %s", cid_text(release.root), refusal)
        except (NetError, StoreError, ProtocolError, OSError) as error:
            self.work.release_failed(key, str(error), trio.current_time())
            log.info("release of %s failed: %s", cid_text(release.root), error)
        finally:
            self.work.releasing.discard(key)
            self._on_retry(key.root)
