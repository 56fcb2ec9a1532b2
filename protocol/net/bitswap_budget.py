"""Two bounds on serving: bytes of blocks held in memory at once, and bytes a second for strangers together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class TokenBucket:
    """A bandwidth cap that lets `burst_bytes` through at once. Pure: time comes in.

    Args:
        rate_bytes_per_s: the long-term cap, above 0.
        burst_bytes: what may go out at once after a quiet time.
    """

    def __init__(self, rate_bytes_per_s: float, burst_bytes: int) -> None:
        self._rate_bytes_per_s = rate_bytes_per_s
        self._burst_bytes = burst_bytes
        self._level_bytes = float(burst_bytes)
        self._seen_s: float | None = None

    def reserve(self, size_bytes: int, now_s: float) -> float:
        """Take `size_bytes`, into debt if need be, and return how many seconds to wait before sending them."""
        self._fill(now_s)
        self._level_bytes -= size_bytes
        return max(0.0, -self._level_bytes / self._rate_bytes_per_s)

    def owes(self, now_s: float) -> bool:
        """Whether nothing is left in it."""
        self._fill(now_s)
        return self._level_bytes <= 0

    def _fill(self, now_s: float) -> None:
        if self._seen_s is not None:
            gained = (now_s - self._seen_s) * self._rate_bytes_per_s
            self._level_bytes = min(self._burst_bytes, self._level_bytes + gained)
        self._seen_s = now_s


class ByteBudget:
    """Blocks in memory for sending: whoever wants to load one waits until it fits.

    Args:
        limit_bytes: at most this much is held at once; a single larger block may still pass, alone.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._waiting = trio.lowlevel.ParkingLot()

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold `size_bytes` of the budget while the block is in memory."""
        size_bytes = min(size_bytes, self._limit_bytes)
        while self._held_bytes + size_bytes > self._limit_bytes:
            await self._waiting.park()
        self._held_bytes += size_bytes
        try:
            yield
        finally:
            self._held_bytes -= size_bytes
            self._waiting.unpark_all()
