"""How fast work goes: bytes done over the last minute, counted from when there was work."""

from collections import deque

WINDOW_S = 60.0


class Pace:
    """Samples of a counter that only grows. Pure: `now_s` is monotonic; sample it every second or so."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, done_bytes: int, now_s: float, *, busy: bool) -> None:
        """So many bytes are done in all; idle time is not counted."""
        if not busy:
            self._samples.clear()
            return
        self._samples.append((now_s, done_bytes))
        while self._samples[0][0] < now_s - WINDOW_S:
            self._samples.popleft()

    @property
    def bytes_per_s(self) -> float | None:
        """Over the last minute; None while nothing is known, or nothing was done."""
        if len(self._samples) < 2:
            return None
        (start_s, before), (end_s, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end_s - start_s) if after > before and end_s > start_s else None

    def eta_s(self, left_bytes: int) -> float | None:
        """When so many more will be done, at that speed; None where that cannot be told."""
        speed = self.bytes_per_s
        return left_bytes / speed if speed and left_bytes > 0 else None
