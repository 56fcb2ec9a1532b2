"""The clocks: by the wall, which tests replace, and one that never jumps."""

import time


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def steady_s() -> float:
    """Seconds of a clock that never jumps and goes on while the machine sleeps.

    For what others wait for meanwhile: their clocks go on.
    """
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux only; elsewhere the monotonic clock counts sleep itself
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)
