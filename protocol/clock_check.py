"""Is this peer's wall clock right? Compared with the others', never with an outside time.

Records are stamped with wall time and held back by others when stamped too far ahead; so a peer that finds itself off
the median of at least two others writes nothing and lets nothing expire until its clock is mended (DESIGN §5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.limits import AHEAD_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockVerdict:
    """How our clock compares.

    Attributes:
        ahead_ms: by how much ours is ahead of the median, negative if behind; None with nobody to compare.
        peers: how many were compared.
        wrong: refuse local writes and pause expiry.
        doubtful: off from the only other there is; a warning.
    """

    ahead_ms: int | None
    peers: int
    wrong: bool
    doubtful: bool


def judge_clock(offsets_ms: Sequence[int]) -> ClockVerdict:
    """Judge from the others' clocks less ours, in milliseconds.

    Of an even number the middle one nearer to us counts, so that one liar of two others cannot stop our writes.
    """
    if not offsets_ms:
        return ClockVerdict(ahead_ms=None, peers=0, wrong=False, doubtful=False)
    ordered = sorted(offsets_ms)
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]
    ahead_ms = -min(middle, key=abs)
    off = abs(ahead_ms) > AHEAD_MS
    return ClockVerdict(
        ahead_ms=ahead_ms, peers=len(ordered), wrong=off and len(ordered) > 1, doubtful=off and len(ordered) == 1
    )
