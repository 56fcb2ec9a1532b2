"""Find out how another peer's set differs from ours, by comparing fingerprints of ever smaller ranges.

The asker fingerprints ranges of its set; the answerer passes over those that agree, lists the places in small ones that
do not, and gives fingerprints of the parts of large ones. The asker goes on with the parts that differ from its own.
Only the asker learns, and the answerer keeps nothing between asks. Ranges are cut by rank, so that each holds as many
values as the next whatever their places are.

With n values on either side and d differences far apart that costs about 2 √n fingerprints, then for each difference
n/(2 √n · 32) fingerprints, then 32 places: two round trips and 110 kB for a million and a hundred. What is found is
fetched in a third (`protocol.sync`).

Source: A. Meyer, Range-Based Set Reconciliation (2022); Negentropy, version 1, for ranges that lie side by side.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt
from typing import Final, Generic, NamedTuple, TypeVar

from protocol.errors import Reason, Refused
from protocol.limits import (
    PAGE_BYTES,
    RECORD_BYTES,
    SYNC_FRONTIER,
    SYNC_ITEMS,
    SYNC_LISTED,
    SYNC_PARTS,
    SYNC_RANGES_PER_ASK,
)
from protocol.ordered import NOTHING, OrderedSet, Weight
from protocol.places import END, SHORT_BYTES, START
from protocol.ranges import Part, packed_bytes

V = TypeVar("V")

PART: Final = 32
"""Values in the parts of a range: below it their places cost less than another round trip. Best for 100 of a million
among 16, 24, 32 and 48."""
PIECES: Final = 64
"""Parts of one range in an ask at most: enough for those of a set of ten million."""
_ENVELOPE_BYTES: Final = RECORD_BYTES + 1024
"""What an answer holds besides its ranges, a signed statement included."""
_ROOM_BYTES: Final = PAGE_BYTES - _ENVELOPE_BYTES


class Range(NamedTuple):
    """From `low` on, below `high`."""

    low: bytes
    high: bytes


def compare(ours: OrderedSet[V], asked: Sequence[Part]) -> list[Part]:
    """Answer what a peer asks about ranges of its set: as many of them, from the first on, as fit a page."""
    answer: list[Part] = []
    low, below, room = START, ours.before(START), _ROOM_BYTES
    for part in asked:
        up_to = ours.before(part.high)
        said = _answered(ours, Range(low, part.high), up_to - below, part)
        room -= sum(map(packed_bytes, said))
        if room < 0 or (answer and len(answer) + len(said) > SYNC_PARTS):
            return answer
        if answer and said == [Part(part.high)] and answer[-1] == Part(answer[-1].high):
            answer.pop()  # two that agree side by side are one
        answer += said
        low, below = part.high, up_to
    return answer


def _answered(ours: OrderedSet[V], within: Range, weight: Weight, asked: Part) -> list[Part]:
    """What there is to say of one range."""
    if asked.fingerprint is None or asked.fingerprint == weight.fingerprint:
        return [Part(within.high)]
    if weight.size <= SYNC_LISTED:
        return [Part(within.high, places=shortened(ours, within))]
    return fingerprints(ours, within, min(SYNC_PARTS, 2 * isqrt(weight.size)))


def shortened(ours: OrderedSet[V], within: Range) -> tuple[bytes, ...]:
    """Return the places of the values in a range, as they are listed."""
    return tuple(ours.place_of(value)[:SHORT_BYTES] for value in ours.between(*within))


def fingerprints(ours: OrderedSet[V], within: Range, parts: int) -> list[Part]:
    """Cut a range into parts with equally many of our values, and fingerprint each."""
    highs = ours.divide(within.low, within.high, parts)
    weights = [ours.before(bound) for bound in (within.low, *highs)]
    return [
        Part(high, fingerprint=(after - before).fingerprint)
        for high, (before, after) in zip(highs, pairwise(weights), strict=True)
    ]


class Comparison(Generic[V]):
    """The asker's side of one comparison: `ask`, give the answer to `take`, until `ask` has nothing more.

    Differences are found in ascending order, and taken away by whoever fetches them, so that a peer that lies can make
    this neither go on forever nor hold more than `SYNC_FRONTIER` ranges.

    Args:
        ours: read only; it may change between an answer and the next ask.
        drops: whether to note what is here and not there.

    Attributes:
        missing: shortened places that are there and not here.
        empty: ranges where something is there and nothing here.
        surplus: values that are here and not there, outside of `empty`, if `drops`.
        found: how many ranges and places the other has told of so far.
    """

    def __init__(self, ours: OrderedSet[V], *, drops: bool = False) -> None:
        self._ours = ours
        self._drops = drops
        self._frontier: list[Range] = [Range(START, END)]  # differing, the lowest last
        self._asked: list[Range] = []
        self._weighed = (START, NOTHING)
        self.missing: list[bytes] = []
        self.empty: list[Range] = []
        self.surplus: list[V] = []
        self.found = 0

    def ask(self) -> list[Part]:
        """Return the ranges to ask about next; none once all differences are found."""
        parts: list[Part] = []
        asked: list[Range] = []
        end = START
        while self._frontier and len(parts) + PIECES < SYNC_RANGES_PER_ASK:
            low, high = self._frontier.pop()
            if low != end:
                parts.append(Part(low))
            count = self._ours.before(high).size - self._ours.before(low).size
            # The whole set begins as one range: where nothing differs, that is all that crosses the wire.
            pieces = 1 if (low, high) == (START, END) else min(PIECES, -(-count // PART))
            for part in fingerprints(self._ours, Range(low, high), max(1, pieces)):
                asked.append(Range(low, part.high))
                parts.append(part)
                low = part.high
            end = high
        self._asked = asked
        return parts

    def take(self, answer: Sequence[Part]) -> None:
        """Act on the answer to the last ask.

        Raises:
            Refused: it does not answer that, or does not come to an end.
        """
        asked, self._asked = self._asked[::-1], []  # the lowest last
        differing: list[Range] = []
        low, done = START, 0
        self._weighed = (START, self._ours.before(START))
        for part in answer:
            self.found += 1 + len(part.places or ())
            while asked and asked[-1].high <= low:
                asked.pop()
                done += 1
            if part.fingerprint is not None or part.places is not None:
                if not asked or low < asked[-1].low or part.high > asked[-1].high:
                    raise Refused(Reason.MALFORMED, "sync about a range that was not asked for")
                if Range(low, part.high) == asked[-1] and part.fingerprint is not None:
                    raise Refused(Reason.MALFORMED, "sync that does not go on")
                self._compare(Range(low, part.high), part, differing)
            low = part.high
        while asked and asked[-1].high <= low:
            asked.pop()
            done += 1
        if not done:
            raise Refused(Reason.MALFORMED, "sync that does not go on")
        if asked:  # the rest did not fit the answer
            differing += asked[::-1]
        self._frontier += differing[::-1]
        if self.found > SYNC_ITEMS or len(self._frontier) > SYNC_FRONTIER:
            raise Refused(Reason.TOO_LARGE, f"sync that differs in {self.found} ranges and places")

    def _compare(self, within: Range, part: Part, differing: list[Range]) -> None:
        if part.places is not None:
            self._take_places(within, part.places)
            return
        bound, below = self._weighed  # ranges lie side by side as a rule
        up_to = self._ours.before(within.high)
        weight = up_to - (below if bound == within.low else self._ours.before(within.low))
        self._weighed = (within.high, up_to)
        if weight.fingerprint == part.fingerprint:
            return
        (differing if weight.size else self.empty).append(within)

    def _take_places(self, within: Range, places: Sequence[bytes]) -> None:
        """All that the other has in a range."""
        if any(not within.low <= place + b"\xff" or place >= within.high for place in places):
            raise Refused(Reason.MALFORMED, "sync listing of what was not asked for")
        theirs = set(places)
        ours = {self._ours.place_of(value)[:SHORT_BYTES]: value for value in self._ours.between(*within)}
        self.missing += (place for place in places if place not in ours)
        if self._drops:
            self.surplus += (value for place, value in ours.items() if place not in theirs)
