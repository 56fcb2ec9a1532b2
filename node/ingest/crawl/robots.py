"""What a host's robots.txt lets us do. Pure.

Source: RFC 9309; wildcards, `Crawl-delay` and `Request-rate` as Protego reads them.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Self

from protego import Protego

from node.ingest.strangers import ROBOT, USER_AGENT

MAX_ROBOTS_BYTES: Final = 512 << 10
"""Read at most. Source: RFC 9309, 2.5, asks for 500 KiB at least."""
_EACH_CHARS: Final = 1_000
MAX_DELAY_S: Final = 60.0
"""The longest delay that is honoured; a host that wants more is visited this often. Guess."""


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules of one origin. Equal texts make equal rules."""

    text: str
    _rules: Any = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a robots.txt; what makes no sense in it is ignored."""
        return cls(text, Protego.parse(text))

    @classmethod
    def everything(cls) -> Self:
        """Of an origin that has none."""
        return cls.parse("")

    @classmethod
    def nothing(cls) -> Self:
        """Of an origin that does not say: as if it forbade everything (RFC 9309, 2.3.1.4)."""
        return cls.parse("User-agent: *\nDisallow: /")

    def allow(self, url: str) -> bool:
        """Whether we may fetch this URL of the origin. Ten thousand rules of stars take a fifth of a second."""
        return bool(self._rules.can_fetch(url, USER_AGENT))

    @property
    def kept_chars(self) -> int:
        """What it costs to keep, for comparison: its text, and something for its being there."""
        return len(self.text) + _EACH_CHARS

    @property
    def delay_s(self) -> float:
        """Seconds that it wants between two requests."""
        delay_s = float(self._rules.crawl_delay(ROBOT) or 0)
        rate = self._rules.request_rate(ROBOT)
        if rate is not None and rate.requests:
            delay_s = max(delay_s, rate.seconds / rate.requests)
        return min(max(0.0, delay_s), MAX_DELAY_S) if delay_s == delay_s else MAX_DELAY_S
