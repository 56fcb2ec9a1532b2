"""Hybrid logical clock: stamps that follow wall time, never repeat on one peer, and come after what it has seen.

Source: Kulkarni et al., "Logical Physical Clocks", 2014.
"""

from typing import NamedTuple

from protocol.errors import Reason, Refused
from protocol.limits import COUNTER_MAX, TIME_MS_MAX


class Stamp(NamedTuple):
    """When a record was written; ordered by time, then by counter.

    Attributes:
        ms: wall-clock milliseconds since 1970 as its author saw them.
        counter: tells apart what was written within one millisecond.
    """

    ms: int
    counter: int

    def to_wire(self) -> list[int]:
        return [self.ms, self.counter]


ZERO = Stamp(0, 0)


def stamp_from_wire(found: object) -> Stamp:
    """Read a stamp as `Stamp.to_wire` wrote it.

    Raises:
        Refused: it is no pair of whole numbers within bounds.
    """
    if isinstance(found, list) and len(found) == 2:
        ms, counter = found
        if type(ms) is int and type(counter) is int and 0 <= ms <= TIME_MS_MAX and 0 <= counter <= COUNTER_MAX:
            return Stamp(ms, counter)
    raise Refused(Reason.MALFORMED, f"no stamp: {str(found)[:64]}")


class Clock:
    """The stamps of one author. Pure: the wall clock is an argument."""

    def __init__(self, last: Stamp = ZERO) -> None:
        self.last = last

    def next(self, now_ms: int) -> Stamp:
        """Return a stamp after every one returned or seen before; `now_ms` where that is enough."""
        if now_ms > self.last.ms:
            self.last = Stamp(now_ms, 0)
        elif self.last.counter < COUNTER_MAX:
            self.last = Stamp(self.last.ms, self.last.counter + 1)
        else:
            self.last = Stamp(self.last.ms + 1, 0)
        return self.last

    def saw(self, stamp: Stamp) -> None:
        """Take note of another's stamp, so that ours come after it.

        Call it for merged records only: those too far ahead are held back and must not drag this clock along.
        """
        if stamp > self.last:
            self.last = stamp
