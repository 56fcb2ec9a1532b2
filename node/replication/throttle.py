"""The bytes a second that fetches may take together: what an operator allows, or what the storm guard leaves."""

from collections.abc import Callable

import trio

from protocol.net.bitswap import WINDOW_BYTES
from protocol.net.bitswap_budget import TokenBucket

LEAST_WINDOW_BYTES = 2 << 20
"""One block of the largest kind must fit."""


class Throttle:
    """Shared by all fetches of a peer.

    Args:
        bytes_per_s: the cap as of now, None for none; asked anew before each block.
    """

    def __init__(self, bytes_per_s: Callable[[], float | None]) -> None:
        self._bytes_per_s = bytes_per_s
        self._rate: float | None = None
        self._bucket: TokenBucket | None = None

    @property
    def window_bytes(self) -> int:
        """What one fetch may ask for ahead of itself: a second's worth, so that the cap holds on the wire as well."""
        rate = self._bytes_per_s()
        return WINDOW_BYTES if rate is None else min(WINDOW_BYTES, max(LEAST_WINDOW_BYTES, int(rate)))

    async def spend(self, size_bytes: int) -> None:
        """Wait until these bytes, which have come in, are within the cap."""
        rate = self._bytes_per_s()
        if rate != self._rate:
            self._rate = rate
            self._bucket = None if rate is None else TokenBucket(rate, max(LEAST_WINDOW_BYTES, int(rate)))
        if self._bucket is not None:
            wait_s = self._bucket.reserve(size_bytes, trio.current_time())
            if wait_s:
                await trio.sleep(wait_s)
