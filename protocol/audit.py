"""What this peer makes of others' proofs: whose copy it counts on, whose it doubts, whose it no longer counts.

1. A challenge that is not answered with the right proof makes the copy *unproven*: it still counts, but not for this
   peer's own releases. The holder is challenged again a minute later, then less and less often.
2. Ten minutes after the first failure the doubt is published to the root's other holders, who challenge for themselves.
3. Two wrong answers ten minutes apart make the copy *lost*, an hour without any proof while its holder is alive makes
   it *absent*: either way this peer plans as if it were not there, and says so to whoever is to make another. Silence
   alone never makes a copy lost.
4. Any right proof ends all of it. So does the holder's retraction.

A peer that does not hold the root cannot challenge; it goes by the published doubts of those who do, for a day each:
what follows is at worst a copy too many. A verdict is this peer's alone, and nothing is ever deleted on one.

Pure: the caller passes `now_ms` (the wall clock at its start plus what a monotonic one counted since) and `spread`, a
random number within [0, 1), and carries out the effects.

Source: DESIGN §7, audit.
"""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import libipld

MINUTE_MS = 60_000
DOUBT_MS = 10 * MINUTE_MS
"""From the first failure to the published doubt, and between two wrong answers. Source: DESIGN §7."""
ABSENT_MS = 60 * MINUTE_MS
"""Challenges of a live holder left unanswered for so long: its copy is absent. Source: DESIGN §7."""
RENEW_MS = 6 * 60 * MINUTE_MS
"""How often the doubt about an absent copy is told anew."""
HEARSAY_MS = 24 * 60 * MINUTE_MS
"""How long another's doubt counts with a peer that cannot challenge, unless it is renewed; and how long a proof to
oneself outweighs such doubts. Guess."""
RECHECK_MS = (MINUTE_MS, 2 * MINUTE_MS, 4 * MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS)
"""From one challenge of a doubted copy to the next; the last one goes on until the copy is absent. Guess."""
SLOW_RECHECK_MS = 60 * MINUTE_MS
"""The same for an absent or lost copy, for ever. Guess."""
MAX_DOUBTFUL = 10_000
"""Copies doubted at once, a few megabytes; failures beyond them count for nothing. Guess."""
MAX_DOUBTS_PER_CHALLENGER = 500
"""Doubts of one member remembered at once: a lying one makes so many needless copies at most. Guess."""

Outcome = Literal["proven", "wrong", "unable", "silent"]
"""Of one challenge: the right proof, another, a reason why there is none, no answer."""
Verdict = Literal["trusted", "unproven", "absent", "lost"]


class Copy(NamedTuple):
    """One holder's copy of one root on one kind."""

    root: bytes
    kind: str
    holder: str


@dataclass(slots=True, kw_only=True)
class Doubtful:
    """What is held against a copy.

    Attributes:
        since_ms: when it first failed to be proven.
        next_ms: when it is to be challenged again.
        tries: challenges that failed.
        wrong_ms: its first wrong answer.
        unanswered_ms: since when its live holder has given no proof, right or wrong.
        published_ms: when the doubt was last published.
    """

    copy: Copy
    since_ms: int
    next_ms: int
    tries: int = 0
    wrong_ms: int | None = None
    unanswered_ms: int | None = None
    published_ms: int | None = None
    verdict: Verdict = "unproven"

    def to_bytes(self) -> bytes:
        """For the disk."""
        body = [*self.copy, self.since_ms, self.next_ms, self.tries, self.wrong_ms, self.unanswered_ms]
        raw: bytes = libipld.encode_dag_cbor([*body, self.published_ms, self.verdict])
        return raw

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Doubtful":
        """Read what `to_bytes` wrote. Raises: ValueError: it is nothing of the kind."""
        try:
            root, kind, holder, since, following, tries, wrong, unanswered, published, verdict = (
                libipld.decode_dag_cbor(raw)
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"not a doubtful copy: {error}") from error
        return cls(
            copy=Copy(root, kind, holder), since_ms=since, next_ms=following, tries=tries, wrong_ms=wrong,
            unanswered_ms=unanswered, published_ms=published, verdict=verdict,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on a copy has changed; `reason` is for people. Its root is to be planned anew."""

    copy: Copy
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Tell the root's other holders that this copy is doubted; `widely`: also whoever is to make another one."""

    copy: Copy
    widely: bool


Effect = Judged | Publish


class Audits:
    """Everything that this peer holds against the copies of others.

    Args:
        known: as kept over a restart.
        now_ms: times later than this, left by a clock that was ahead, count as this.
    """

    def __init__(self, known: Iterable[Doubtful] = (), *, now_ms: int = 0) -> None:
        self._doubtful: dict[Copy, Doubtful] = {}
        self._of_root: dict[tuple[bytes, str], set[Copy]] = {}
        self._hearsay: dict[Copy, dict[str, int]] = {}
        self._heard_from: Counter[str] = Counter()
        self._trusted_ms: dict[Copy, int] = {}
        self._queue: list[tuple[int, Copy]] = []
        self._suspected: set[Copy] = set()
        for one in known:
            one.since_ms = min(one.since_ms, now_ms)
            one.wrong_ms = None if one.wrong_ms is None else min(one.wrong_ms, now_ms)
            # Nobody knows whether it would have answered while this peer was not running.
            one.unanswered_ms = None
            self._enter(one, min(one.next_ms, now_ms + SLOW_RECHECK_MS))

    def __len__(self) -> int:
        return len(self._doubtful)

    # verdicts

    def answered(self, copy: Copy, outcome: Outcome, now_ms: int, *, spread: float) -> tuple[Effect, ...]:
        """Take the outcome of a challenge in; `silent` only of a holder that is seen alive."""
        if outcome == "proven":
            return self._proven(copy, now_ms)
        one = self._doubtful.get(copy)
        if one is None:
            if len(self._doubtful) >= MAX_DOUBTFUL:
                return ()
            one = Doubtful(copy=copy, since_ms=now_ms, next_ms=now_ms)
            effects: list[Effect] = [Judged(copy=copy, verdict="unproven", reason=_FAILED[outcome])]
        else:
            effects = []
        self._drop_hearsay(copy)  # this peer has seen for itself
        one.tries += 1
        if outcome == "wrong":
            one.unanswered_ms = None
            one.wrong_ms = now_ms if one.wrong_ms is None else one.wrong_ms
        elif one.unanswered_ms is None:
            one.unanswered_ms = now_ms
        effects += self._judge(one, outcome, now_ms)
        effects += _publish(one, now_ms)
        slow = one.verdict in ("absent", "lost")
        pause_ms = SLOW_RECHECK_MS if slow else RECHECK_MS[min(one.tries, len(RECHECK_MS)) - 1]
        self._enter(one, now_ms + int(pause_ms * (1 + spread / 5)))
        return tuple(effects)

    def _judge(self, one: Doubtful, outcome: Outcome, now_ms: int) -> list[Effect]:
        verdict, reason = one.verdict, ""
        if outcome == "wrong" and one.wrong_ms is not None and now_ms - one.wrong_ms >= DOUBT_MS:
            verdict, reason = "lost", "two wrong proofs, ten minutes apart"
        elif one.unanswered_ms is not None and now_ms - one.unanswered_ms >= ABSENT_MS and verdict != "lost":
            verdict, reason = "absent", "no proof for an hour"
        if verdict == one.verdict:
            return []
        one.verdict = verdict
        one.published_ms = None  # this is news to those who are to make another copy
        return [Judged(copy=one.copy, verdict=verdict, reason=reason)]

    def _proven(self, copy: Copy, now_ms: int) -> tuple[Effect, ...]:
        if self._hearsay.get(copy):
            self._trusted_ms[copy] = now_ms
        return self._forget(copy, "it has proven its copy")

    def gone(self, copy: Copy) -> tuple[Effect, ...]:
        """Its holder no longer says that it holds the root, or this peer has let its own go and cannot tell any more."""
        self._trusted_ms.pop(copy, None)
        return self._forget(copy, "its holder says so no more")

    def _forget(self, copy: Copy, reason: str) -> tuple[Effect, ...]:
        known = self._doubtful.pop(copy, None) is not None or copy in self._hearsay
        self._drop_hearsay(copy)
        self._unlink(copy)
        return (Judged(copy=copy, verdict="trusted", reason=reason),) if known else ()

    def _drop_hearsay(self, copy: Copy) -> None:
        for by in self._hearsay.pop(copy, {}):
            self._heard_from[by] -= 1

    def out_of_reach(self, copy: Copy, now_ms: int) -> None:
        """Its holder is not alive: it cannot be challenged, and its silence says nothing of this copy."""
        one = self._doubtful.get(copy)
        if one is not None:
            one.unanswered_ms = None
            self._enter(one, now_ms + RECHECK_MS[-1])

    # others' doubts

    def doubted(self, copy: Copy, by: str, now_ms: int, *, holds: bool, spread: float) -> tuple[Effect, ...]:
        """Another holder has published a doubt. `holds`: this peer holds the root and can challenge for itself."""
        trusted_ms = self._trusted_ms.get(copy)
        if trusted_ms is not None and now_ms - trusted_ms < HEARSAY_MS:
            return ()
        heard = self._hearsay.get(copy, {})
        if by not in heard:
            if self._heard_from[by] >= MAX_DOUBTS_PER_CHALLENGER:
                return ()
            self._heard_from[by] += 1
        self._hearsay[copy] = {**heard, by: now_ms}
        self._of_root.setdefault(copy[:2], set()).add(copy)
        if holds:
            self.suspect(copy, now_ms, spread=spread)
            return ()
        return () if heard else (Judged(copy=copy, verdict="absent", reason="another holder doubts it"),)

    def suspect(self, copy: Copy, now_ms: int, *, spread: float) -> None:
        """Have a copy challenged within a minute; it is not held against it that somebody else doubts it."""
        if copy not in self._doubtful and copy not in self._suspected:
            self._suspected.add(copy)
            heapq.heappush(self._queue, (now_ms + int(spread * MINUTE_MS), copy))

    def heard_of(self) -> tuple[Copy, ...]:
        """Copies that others doubt."""
        return tuple(self._hearsay)

    # time

    def due(self, now_ms: int, limit: int) -> tuple[Copy, ...]:
        """Copies to challenge now, at most `limit`; for each one `answered`, `gone` or `out_of_reach` must follow."""
        found: dict[Copy, None] = {}
        while self._queue and self._queue[0][0] <= now_ms and len(found) < limit:
            at_ms, copy = heapq.heappop(self._queue)
            self._suspected.discard(copy)
            one = self._doubtful.get(copy)
            if one.next_ms == at_ms if one is not None else copy in self._hearsay:
                found[copy] = None
        return tuple(found)

    def next_due_ms(self) -> int | None:
        """When `due` may have something."""
        return self._queue[0][0] if self._queue else None

    def tick(self, now_ms: int) -> tuple[Effect, ...]:
        """Let others' doubts end that were not renewed."""
        effects: list[Effect] = []
        for copy, heard in list(self._hearsay.items()):
            for by in [by for by, heard_ms in heard.items() if now_ms - heard_ms >= HEARSAY_MS]:
                del heard[by]
                self._heard_from[by] -= 1
            if not heard:
                del self._hearsay[copy]
                self._unlink(copy)
                effects.append(Judged(copy=copy, verdict="trusted", reason="the doubt was not renewed"))
        self._heard_from += Counter()  # drops those at nought
        self._trusted_ms = {copy: ms for copy, ms in self._trusted_ms.items() if now_ms - ms < HEARSAY_MS}
        return tuple(effects)

    # looking

    def verdict_on(self, copy: Copy) -> Verdict:
        """What this peer itself has found."""
        one = self._doubtful.get(copy)
        return "trusted" if one is None else one.verdict

    def unproven(self, root: bytes, kind: str) -> frozenset[str]:
        """Holders whose copies do not count for this peer's releases."""
        copies = self._of_root.get((root, kind))
        return frozenset(copy.holder for copy in copies if copy in self._doubtful) if copies else frozenset()

    def absent(self, root: bytes, kind: str, *, holds: bool) -> frozenset[str]:
        """Holders whose copies do not count at all; where this peer does not hold the root, by what others say."""
        copies = self._of_root.get((root, kind))
        if not copies:
            return frozenset()
        found = {copy.holder for copy in copies if self.verdict_on(copy) in ("absent", "lost")}
        return frozenset(found if holds else found | {copy.holder for copy in copies if copy in self._hearsay})

    def doubtful(self) -> Iterable[Doubtful]:
        """All that is held against anybody, to be kept over a restart."""
        return self._doubtful.values()

    def entry(self, copy: Copy) -> Doubtful | None:
        """What is held against one copy."""
        return self._doubtful.get(copy)

    def _enter(self, one: Doubtful, next_ms: int) -> None:
        one.next_ms = next_ms
        self._doubtful[one.copy] = one
        self._of_root.setdefault(one.copy[:2], set()).add(one.copy)
        heapq.heappush(self._queue, (next_ms, one.copy))

    def _unlink(self, copy: Copy) -> None:
        if copy in self._doubtful or copy in self._hearsay:
            return
        copies = self._of_root.get(copy[:2])
        if copies is not None:
            copies.discard(copy)
            if not copies:
                del self._of_root[copy[:2]]


_FAILED: dict[Outcome, str] = {
    "wrong": "its proof is wrong",
    "unable": "it says that it cannot prove its copy",
    "silent": "it does not answer",
}


def _publish(one: Doubtful, now_ms: int) -> list[Effect]:
    if now_ms - one.since_ms < DOUBT_MS and one.verdict == "unproven":
        return []
    if one.published_ms is not None and now_ms - one.published_ms < RENEW_MS:
        return []
    one.published_ms = now_ms
    return [Publish(copy=one.copy, widely=one.verdict != "unproven")]
