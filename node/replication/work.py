"""Work in hand: fetches and releases under way, their failures and when they may be tried again.

The planner says what should be done now; this remembers what is being done, so that a plan made every few moments
starts nothing twice, and a fetch that fails is tried again ever less often instead of at once.
"""

from dataclasses import dataclass, field

import trio

from node.replication.planner import Fetch
from node.replication.view import RootKey

FIRST_RETRY_S = 2.0
SEEK_RETRY_S = 60.0
MAX_RETRY_S = 6 * 3600.0
"""A root that nobody has is looked for again after 1 min, at last every 6 h. Source: DESIGN §7, never silent."""
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
class Work:
    """What this peer is doing about roots.

    Attributes:
        fetching: scopes of the running fetches, to be cancelled when no longer planned.
        releasing: roots with a release round under way.
        failed: roots whose last try failed.
        done_count, failed_count: since the start.
    """

    fetching: dict[RootKey, trio.CancelScope] = field(default_factory=dict)
    releasing: set[RootKey] = field(default_factory=set)
    failed: dict[RootKey, Attempt] = field(default_factory=dict)
    queued_count: int = 0
    done_count: int = 0
    failed_count: int = 0

    def may_try(self, key: RootKey, now_s: float, *, sources: bool = False) -> bool:
        """Whether nothing is being done about the root and no back-off holds it; `sources`: somebody has it."""
        attempt = self.failed.get(key)
        if key in self.fetching or key in self.releasing:
            return False
        return attempt is None or attempt.due_s <= now_s or (attempt.in_vain and sources)

    def fetch_failed(self, fetch: Fetch, reason: str, now_s: float) -> float:
        """Note a failed fetch; the seconds until it may be tried again."""
        key = RootKey(fetch.root, fetch.kind)
        failures = self.failed[key].failures + 1 if key in self.failed else 1
        first_s, most_s = (FIRST_RETRY_S, MAX_HELD_RETRY_S) if fetch.sources else (SEEK_RETRY_S, MAX_RETRY_S)
        wait_s = min(first_s * 2.0 ** min(failures - 1, 20), most_s)
        self.failed[key] = Attempt(failures, now_s + wait_s, reason, in_vain=not fetch.sources)
        self.failed_count += 1
        return wait_s

    def release_failed(self, key: RootKey, reason: str, now_s: float) -> None:
        """Note a release that was refused or not answered."""
        failures = self.failed[key].failures + 1 if key in self.failed else 1
        self.failed[key] = Attempt(
            failures, now_s + min(FIRST_RETRY_S * 2.0 ** min(failures, 20), MAX_HELD_RETRY_S), reason
        )

    def done(self, key: RootKey) -> None:
        """The root's fetch or release came out well."""
        self.failed.pop(key, None)
        self.done_count += 1

    def due_roots(self, now_s: float) -> set[bytes]:
        """Roots whose back-off is over."""
        return {key.root for key, attempt in self.failed.items() if attempt.due_s <= now_s and self.may_try(key, now_s)}

    def next_due_s(self, now_s: float) -> float | None:
        """When the next failed root may be tried again."""
        later = [attempt.due_s for attempt in self.failed.values() if attempt.due_s > now_s]
        return min(later, default=None)
