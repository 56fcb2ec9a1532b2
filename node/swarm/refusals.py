"""What others said that was refused or set aside, counted by why; `status` and the metrics show it."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from protocol.changes import Merged, Status
from protocol.errors import Reason, Refused
from protocol.net.errors import BrokenProtocol, NetError

REPLAY: Final = "replay"
CLONE: Final = "clone"
FORK: Final = "fork"
MISSING_ROLE: Final = "missing_role"
FUTURE_STAMP: Final = "future_stamp"
STALE: Final = "stale"

_OF_REASON: Final[Mapping[Reason, str]] = {
    Reason.MALFORMED: "malformed",
    Reason.DAMAGED: "malformed",
    Reason.TOO_LARGE: "too_large",
    Reason.UNKNOWN_VERSION: "unknown_version",
    Reason.BAD_SIGNATURE: "forgery",
    Reason.NOT_ALLOWED: MISSING_ROLE,
    Reason.WRONG_SWARM: "wrong_swarm",
    Reason.EXPIRED: "expired",
    Reason.USED_UP: "used_up",
    Reason.STALE: STALE,
    Reason.FROM_THE_FUTURE: FUTURE_STAMP,
}
WORDS: Final = tuple(dict.fromkeys((*_OF_REASON.values(), REPLAY, CLONE, FORK)))
"""Every word that is counted, whether anything was or not."""


class Refusals:
    """Counts since the start."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(WORDS, 0))

    def count(self, word: str) -> None:
        """Something was refused or set aside for this reason."""
        self._counts[word] += 1

    def count_reason(self, reason: Reason) -> None:
        """Bytes, a record or a request were refused."""
        self.count(_OF_REASON[reason])

    def count_merge(self, merged: Merged) -> None:
        """A record was merged; count what did not come to count although it is new here."""
        if merged.status is Status.HELD_BACK:
            self.count(FUTURE_STAMP)
        elif merged.status is Status.STALE:
            self.count(STALE)
        elif merged.status is Status.REFUSED or (merged.status is Status.KEPT and merged.reason):
            self.count(MISSING_ROLE)

    def count_call(self, error: NetError) -> None:
        """A call over a stream was refused: for what its handler found, or because the frames themselves are broken.

        One that is refused for what holds here, such as `busy`, is no such case.
        """
        if isinstance(error.__cause__, Refused):
            self.count_reason(error.__cause__.reason)
        elif isinstance(error, BrokenProtocol):
            self.count_reason(Reason.MALFORMED)

    def counts(self) -> dict[str, int]:
        """How often, by word."""
        return dict(self._counts)
