"""When a host may be asked again. Pure.

One request at a time for each origin, and between two of them at least: the delay that its robots.txt or the user asks
for; as long as the server took for the last answer, so that we never take more than half of a slow one; and what a
`Retry-After` says. What failed for the moment is tried again later, each time much later.
"""

from dataclasses import dataclass
from typing import Final

MAX_ECHO_S: Final = 10.0
"""The longest pause for a slow answer alone."""
FIRST_RETRY_S: Final = 2.0
RETRY_FACTOR: Final = 4.0
TRIES: Final = 4
"""2 s, 8 s, 32 s: a restart of the server is survived, a dead one costs a minute. Guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How soon an origin is asked again.

    Attributes:
        delay_s: what robots.txt and the user want, the larger.
    """

    delay_s: float = 0.0

    def next_s(self, asked_s: float, answered_s: float, retry_after_s: float | None = None) -> float:
        """The earliest time of the next request, by the clock of the arguments."""
        echo_s = min(max(0.0, answered_s - asked_s), MAX_ECHO_S)
        return max(asked_s + self.delay_s, answered_s + echo_s, answered_s + (retry_after_s or 0.0))


def retry_in_s(tries: int) -> float | None:
    """Seconds until a URL that failed `tries` times for the moment is tried again; None: no more."""
    return None if tries >= TRIES else FIRST_RETRY_S * RETRY_FACTOR ** (tries - 1)
