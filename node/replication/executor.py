"""Carry out what the planner says: fetch and hold, or ask for leases and release. Never decides, only does.

Every fetched block is hashed before it is written, and fsynced before the root is advertised. A release goes through
`Releasing`, which holds leases first.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet

import trio

from node.events import Events
from node.kinds import EMBEDDED
from node.replication.fetching import Fetching
from node.replication.planner import Fetch, Plan, Release
from node.replication.releasing import Releasing
from node.replication.throttle import Throttle
from node.replication.view import RootKey
from node.replication.work import Running, Work
from protocol.errors import ProtocolError
from protocol.net.bitswap import Bitswap
from protocol.net.errors import NetError
from store.cid import cid_text
from store.errors import BackendFailed, BackendFull, BackendRefused, DiskFailed, StoreError, StoreFull
from store.store import Holding, Store

log = logging.getLogger("pinakothek.executor")

FETCHES_AT_ONCE = 12
"""Small roots wait mostly for round trips and fsyncs, which overlap; the window of Bitswap bounds the bytes. Guess."""
RELEASES_AT_ONCE = 8
BESIDE_AT_ONCE = 4
"""Fetches, and releases, of each kind beside the embedded store: eight objects at a time are put there in any case, and
a bucket that is slow or hangs must take neither all slots nor all threads from the repairs of others. Guess."""
GIVES_WAY_AFTER = 8
"""Failures in a row of one root on one backend, some five minutes; keys that may not write are refused at once. Guess."""

SourcesOf = Callable[[Fetch, int], Awaitable[Sequence[str]]]
LimitOf = Callable[[bytes], int]


class Executor:
    """Runs fetches and releases.

    Args:
        sources_of: connected peers to fetch from, best first, after so many failures: the plan's, or whoever may have it.
        connected: peers that there is a connection to.
        limit_of: bytes a root may have, by its flows.
        free_bytes: the room on this peer.
        on_holding: called when a root was taken, after that is durable.
        on_retry: called when a try has ended, well or not.
        on_refusal: called with the reason when the disk refused to take a root.
        on_backend_full: called with the kind when a backend beside it had no room for one, or will not take it.
    """

    def __init__(
        self,
        store: Store,
        bitswap: Bitswap,
        releasing: Releasing,
        work: Work,
        events: Events,
        throttle: Throttle,
        *,
        sources_of: SourcesOf,
        connected: Callable[[], AbstractSet[str]],
        limit_of: LimitOf,
        free_bytes: Callable[[], int],
        on_holding: Callable[[Holding, bool], None],
        on_retry: Callable[[bytes], None],
        on_refusal: Callable[[str], None],
        on_backend_full: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._bitswap = bitswap
        self._releasing = releasing
        self.work = work
        self._events = events
        self._throttle = throttle
        self._sources_of = sources_of
        self._connected = connected
        self._limit_of = limit_of
        self._free_bytes = free_bytes
        self._on_holding = on_holding
        self._on_retry = on_retry
        self._on_refusal = on_refusal
        self._on_backend_full = on_backend_full
        self._nursery: trio.Nursery | None = None
        self._is_stopping = False
        self._ended = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be ready to act, until cancelled or stopped."""
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End what is under way while there is a network: whoever was asked for a lease gets it back, not bound for an hour."""
        self._is_stopping = True
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
            await self._ended.wait()

    def follow(self, plan: Plan, planned: AbstractSet[RootKey]) -> None:
        """Take over a plan of the roots `planned`: what is new waits for a slot, what is no longer wanted ends."""
        acting = {RootKey(action.root, action.kind): action for action in plan.actions}
        self._end_what_is_not_wanted(acting, planned)
        now_s = trio.current_time()
        for place, (key, action) in enumerate(acting.items()):
            if isinstance(action, Release):
                if self.work.may_try(key, now_s) and (action.max or self.work.long_unwanted(key, now_s)):
                    self.work.releases.put(key, action, (0, place, key.root))
            elif running := self.work.fetching.get(key):
                self._offer(running, action)
            elif self.work.may_try(key, now_s, sources=bool(action.sources)):
                self.work.fetches.put(key, action, (int(action.urgency), action.copies, key.root))
        self._start_what_may()

    def _end_what_is_not_wanted(self, acting: dict[RootKey, Fetch | Release], planned: AbstractSet[RootKey]) -> None:
        work = self.work
        for key in _both(work.keys(), planned):
            action = acting.get(key)
            if not isinstance(action, Fetch):
                work.fetches.discard(key)
                if running := work.fetching.get(key):
                    running.scope.cancel()
            if not isinstance(action, Release):
                work.releases.discard(key)
            if not isinstance(action, Release) or action.max:
                work.unwanted.pop(key, None)
            if action is None:
                work.failed.pop(key, None)

    def _offer(self, running: Running, fetch: Fetch) -> None:
        """A fetch under way is planned again: holders that have come meanwhile serve it, too."""
        if running.fetching is not None:
            connected = self._connected()
            running.fetching.offer(peer for peer in fetch.sources if peer in connected)

    def _start_what_may(self) -> None:
        """Fill the free slots, most urgent first."""
        assert self._nursery is not None
        if self._is_stopping:
            return
        work = self.work
        fetching = Counter(key.kind for key in work.fetching)
        while (fetch := work.fetches.pop(lambda kind: fetching[kind] < _slots(kind, FETCHES_AT_ONCE))) is not None:
            key, action = fetch
            fetching[key.kind] += 1
            work.fetching[key] = Running(action)
            self._nursery.start_soon(self._fetch, action, key)
        releasing = Counter(key.kind for key in work.releasing)
        while (release := work.releases.pop(lambda kind: releasing[kind] < _slots(kind, RELEASES_AT_ONCE))) is not None:
            releasing[release[0].kind] += 1
            work.releasing.add(release[0])
            self._nursery.start_soon(self._release, release[1], release[0])

    async def _fetch(self, fetch: Fetch, key: RootKey) -> None:
        running = self.work.fetching[key]
        try:
            with running.scope:
                await self._fetch_now(running, key)
            if running.scope.cancelled_caught:
                log.info("fetch of %s cancelled: it is no longer needed here", cid_text(fetch.root))
        except (NetError, StoreError, ProtocolError, OSError) as error:
            if isinstance(error, BackendFull) or self._takes_nothing(error, key):
                self._on_backend_full(fetch.kind)
            elif isinstance(error, StoreFull | DiskFailed) and not isinstance(error, BackendFailed):
                self._on_refusal(str(error))  # a backend that fails says nothing of the disk: others are kept there
            wait_s = self.work.fetch_failed(fetch, str(error), trio.current_time())
            self._events.tell("fetch_failed", root=cid_text(fetch.root), detail=str(error))
            log.info("fetch of %s failed: %s; next try in %.0f s", cid_text(fetch.root), error, wait_s)
        finally:
            del self.work.fetching[key]
            self._on_retry(key.root)
        self._start_what_may()

    def _takes_nothing(self, error: Exception, key: RootKey) -> bool:
        """Whether a backend that looks well may take nothing, so that others had better be named for what goes there.

        What goes there, or to the embedded store, may fail at another as well, from which it is read; and what waits for
        another peer's erasure tells nothing of the backend.
        """
        if not isinstance(error, BackendFailed) or error.place != self._store.kinds.place(key.kind):
            return False
        tried_long = self.work.failures(key) >= GIVES_WAY_AFTER and not self._store.kinds.is_promised(*key)
        return isinstance(error, BackendRefused) or tried_long

    async def _fetch_now(self, running: Running, key: RootKey) -> None:
        fetch = running.fetch
        sources = await self._sources_of(fetch, self.work.failures(key))
        room_bytes = self._free_bytes()
        fetching = Fetching(
            self._store,
            fetch.root,
            fetch.kind,
            self._throttle,
            limit_bytes=self._limit_of(fetch.root),
            room_bytes=room_bytes,
        )
        running.fetching = fetching
        holding = await fetching.run(self._bitswap, sources)
        self.work.done(key)
        self.work.fetched_bytes += fetching.received_bytes
        self._on_holding(holding, True)
        self._events.tell("fetched", root=cid_text(fetch.root), detail=fetch.reason)

    async def _release(self, release: Release, key: RootKey) -> None:
        try:
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
        self._start_what_may()


def _slots(kind: str, of_embedded: int) -> int:
    return of_embedded if kind == EMBEDDED else min(of_embedded, BESIDE_AT_ONCE)


def _both(few: AbstractSet[RootKey], many: AbstractSet[RootKey]) -> Iterable[RootKey]:
    """What both sets have: a plan may be of every root there is, or of one."""
    small, large = (few, many) if len(few) < len(many) else (many, few)
    return [key for key in small if key in large]
