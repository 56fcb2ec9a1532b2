"""The daemon's events: what happened, numbered, the latest ones kept for whoever asks late."""

import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import trio

from node.rows import EventRow

KEPT = 1000
"""Events a reader may have missed and still get: some minutes of a busy repair."""
READER_BACKLOG = 256


def instant(ms: float) -> str:
    """Wall-clock milliseconds as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Events:
    """Tells events to any number of readers; a slow one loses the oldest it has not read.

    Attributes:
        counts: how many of each kind there were since the start.
    """

    def __init__(self) -> None:
        self._kept: deque[EventRow] = deque(maxlen=KEPT)
        self._seq = 0
        self._news = trio.Event()
        self.counts: Counter[str] = Counter()

    def tell(self, kind: str, *, root: str | None = None, peer_id: str | None = None, detail: str = "") -> None:
        """Something happened, just now."""
        self._seq += 1
        self.counts[kind] += 1
        self._kept.append(
            EventRow(seq=self._seq, at=instant(wall_ms()), kind=kind, root=root, peer_id=peer_id, detail=detail)
        )
        self._news.set()
        self._news = trio.Event()

    async def since(self, after: int | None) -> AsyncIterator[EventRow]:
        """Events after number `after`, those still kept first; from now on where that is None."""
        last = self._seq if after is None else after
        while True:
            news = self._news
            for row in [row for row in self._kept if row.seq > last][:READER_BACKLOG]:
                last = row.seq
                yield row
            if last >= self._seq:
                await news.wait()
