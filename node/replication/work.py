"""Work in hand: fetches and releases that wait or are under way, their failures and when they may be tried again.

The planner says what should be done now; this remembers what is being done, so that a plan made every few moments
starts nothing twice, and a fetch that fails is tried again ever less often instead of at once.
"""

import heapq
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import trio

from node.replication.backlog import Backlog
from node.replication.fetching import Fetching
from node.replication.planner import Fetch, Release
from node.replication.view import RootKey

FIRST_RETRY_S = 2.0
SEEK_RETRY_S = 60.0
MAX_RETRY_S = 6 * 3600.0
"""A root that nobody has is looked for again after 1 min, at last every 6 h. Source: DESIGN §7, never silent."""
UNWANTED_S = 10.0
"""A root is let go once no live pin has wanted it for so long. While records come in, an expulsion may be there before
the pins that were signed anew because of it. Guess."""
MAX_HELD_RETRY_S = 60.0
"""A root that somebody holds is tried again within a minute: peers and links come back."""


@dataclass(slots=True)
class Attempt:
    """A root's failures in a row and when it may be tried again (`trio.current_time`).

    Attributes:
        in_vain: nobody was known who has it; a holder that becomes known ends the back-off.
    """

    failures: int
    due_s: float
    reason: str
    in_vain: bool = False


@dataclass(slots=True)
class Running:
    """A fetch under way.

    Attributes:
        scope: to be cancelled when it is no longer planned.
        fetching: None until its sources are known.
        asked_again: a pin of the root was written meanwhile, which may name sources that this try does not know.
    """

    fetch: Fetch
    asked_again: bool = False
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    fetching: Fetching | None = None


@dataclass(slots=True)
class Work:
    """What this peer is doing about roots.

    Attributes:
        fetches, releases: planned, and waiting for a free slot.
        fetching: the running fetches.
        releasing: roots with a release round under way.
        failed: roots whose last try failed.
        unwanted: roots that no live pin wants, and until when they are kept all the same.
        done_count, failed_count, fetched_bytes: since the start.
    """

    fetches: Backlog[Fetch] = field(default_factory=Backlog)
    releases: Backlog[Release] = field(default_factory=Backlog)
    fetching: dict[RootKey, Running] = field(default_factory=dict)
    releasing: set[RootKey] = field(default_factory=set)
    failed: dict[RootKey, Attempt] = field(default_factory=dict)
    unwanted: dict[RootKey, float] = field(default_factory=dict)
    done_count: int = 0
    failed_count: int = 0
    fetched_bytes: int = 0
    _due: list[tuple[float, RootKey]] = field(default_factory=list)

    @property
    def queued_count(self) -> int:
        """Actions that wait for a free slot."""
        return len(self.fetches) + len(self.releases)

    def is_making(self, key: RootKey) -> bool:
        """Whether a copy is being fetched, or waits to be."""
        return key in self.fetching or key in self.fetches

    @property
    def is_fetching(self) -> bool:
        """Whether there is anything to fetch, or being fetched."""
        return bool(self.fetching) or len(self.fetches) > 0

    @property
    def under_way_bytes(self) -> int:
        """What has come in of roots that are being fetched."""
        return sum(each.fetching.received_bytes for each in self.fetching.values() if each.fetching is not None)

    @property
    def received_bytes(self) -> int:
        """What fetches have brought since the start, those under way included."""
        return self.fetched_bytes + self.under_way_bytes

    def keys(self) -> set[RootKey]:
        """Every root that something is being done about, or has failed."""
        waiting = {*self.fetches.keys(), *self.releases.keys()}
        return waiting | self.fetching.keys() | self.releasing | self.failed.keys() | self.unwanted.keys()

    def may_try(self, key: RootKey, now_s: float, *, sources: bool = False) -> bool:
        """Whether nothing is being done about the root and no back-off holds it; `sources`: somebody has it."""
        attempt = self.failed.get(key)
        if key in self.fetching or key in self.releasing:
            return False
        return attempt is None or attempt.due_s <= now_s or (attempt.in_vain and sources)

    def fetch_failed(self, fetch: Fetch, reason: str, now_s: float) -> float:
        """Note a failed fetch; the seconds until it may be tried again."""
        first_s, most_s = (FIRST_RETRY_S, MAX_HELD_RETRY_S) if fetch.sources else (SEEK_RETRY_S, MAX_RETRY_S)
        key = RootKey(fetch.root, fetch.kind)
        wait_s = min(first_s * 2.0 ** min(self.failures(key), 20), most_s)
        running = self.fetching.get(key)
        if running is not None and running.asked_again:
            wait_s = FIRST_RETRY_S
        self._fail(key, now_s + wait_s, reason, in_vain=not fetch.sources)
        self.failed_count += 1
        return wait_s

    def release_failed(self, key: RootKey, reason: str, now_s: float) -> None:
        """Note a release that was refused or not answered."""
        wait_s = min(FIRST_RETRY_S * 2.0 ** min(self.failures(key) + 1, 20), MAX_HELD_RETRY_S)
        self._fail(key, now_s + wait_s, reason, in_vain=False)

    def failures(self, key: RootKey) -> int:
        """How many tries in a row have failed."""
        attempt = self.failed.get(key)
        return 0 if attempt is None else attempt.failures

    def _fail(self, key: RootKey, due_s: float, reason: str, *, in_vain: bool) -> None:
        self.failed[key] = Attempt(self.failures(key) + 1, due_s, reason, in_vain=in_vain)
        heapq.heappush(self._due, (due_s, key))

    def long_unwanted(self, key: RootKey, now_s: float) -> bool:
        """Whether no live pin has wanted the root for `UNWANTED_S`; from the first call on, until it is planned again."""
        if key not in self.unwanted:
            self.unwanted[key] = now_s + UNWANTED_S
            heapq.heappush(self._due, (now_s + UNWANTED_S, key))
        return self.unwanted[key] <= now_s

    def done(self, key: RootKey) -> None:
        """The root's fetch or release came out well."""
        self.failed.pop(key, None)
        self.unwanted.pop(key, None)
        self.done_count += 1

    def forget_failures(self) -> set[bytes]:
        """End every back-off, for an operator who does not want to wait; the roots that may be tried now."""
        roots = {key.root for key in self.failed}
        self.failed.clear()
        self._due = [(due_s, key) for key, due_s in self.unwanted.items()]
        heapq.heapify(self._due)
        return roots

    def ask_again(self, roots: AbstractSet[bytes]) -> None:
        """Pins of these roots were written: whoever did so may name a source, or know of one, so nothing waits in vain."""
        for key in [key for key, attempt in self.failed.items() if attempt.in_vain and key.root in roots]:
            del self.failed[key]
        for key, running in self.fetching.items():
            running.asked_again |= key.root in roots

    def due_roots(self, now_s: float) -> set[bytes]:
        """Roots whose back-off has ended since the last call."""
        due: set[bytes] = set()
        while self._due and self._due[0][0] <= now_s:
            due_s, key = heapq.heappop(self._due)
            if self._is_due_then(key, due_s):
                due.add(key.root)
        return due

    def next_due_s(self, now_s: float) -> float | None:
        """When the next failed root may be tried again."""
        while self._due and not self._is_due_then(self._due[0][1], self._due[0][0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def _is_due_then(self, key: RootKey, due_s: float) -> bool:
        attempt = self.failed.get(key)
        return self.unwanted.get(key) == due_s or (attempt is not None and attempt.due_s == due_s)
