"""Few lines of a kind: whoever can make a daemon log a line can otherwise fill its disk with them.

Lines are of one kind if they come from one place in the code. What was left out is counted in the next that is not.
"""

import logging
from collections import Counter
from typing import Final

from protocol.net.bitswap_budget import TokenBucket

WARNINGS_BURST: Final = 100
WARNINGS_PER_S: Final = 1.0
OTHERS_BURST: Final = 1000
OTHERS_PER_S: Final = 10.0
"""A hundred cut-off connections a second would write 3 GB a day; an operator reads the first few and the count."""


class FewOfAKind(logging.Filter):
    """A filter for a handler; debug lines pass."""

    def __init__(self) -> None:
        super().__init__()
        self._buckets: dict[tuple[str, int], TokenBucket] = {}
        self._left_out: Counter[tuple[str, int]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.levelno < logging.INFO or not isinstance(record.msg, str):
            return True
        kind = (record.pathname, record.lineno)
        bucket = self._buckets.get(kind)
        if bucket is None:
            warns = record.levelno >= logging.WARNING
            rate, burst = (WARNINGS_PER_S, WARNINGS_BURST) if warns else (OTHERS_PER_S, OTHERS_BURST)
            bucket = self._buckets[kind] = TokenBucket(rate, burst)
        if bucket.owes(record.created):
            self._left_out[kind] += 1
            return False
        bucket.reserve(1, record.created)
        if count := self._left_out.pop(kind, 0):
            record.msg, record.args = f"{record.getMessage()} (and {count} more like it)", None
        return True
