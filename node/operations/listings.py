"""Long listings in pages: sorted once for all of a listing's pages, and a cursor that outlives that.

A cursor is the place of the last row in the order, not a number: what comes or goes meanwhile neither repeats nor hides
other rows.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import trio

from node.errors import Usage
from protocol.pin import Pin
from protocol.pin_index import SignedPin

KEPT = 4
"""Listings under way whose order is remembered: some pages of a few readers. Guess."""
KEPT_S = 120.0
INLINE_PINS = 2000
"""So many are sorted on the event loop: about two milliseconds."""
_TIME_OFFSET = 1 << 63

Order = Callable[[Pin], bytes]


class Entry(NamedTuple):
    """A pin in an order: entries compare by `rank`, then by the record's key."""

    rank: bytes
    key: bytes
    pin: SignedPin

    @property
    def cursor(self) -> str:
        """The place of this entry."""
        return f"{self.rank.hex()}.{self.key.hex()}"


def by_root(pin: Pin) -> bytes:
    """Orders pins by their roots."""
    return pin.root


def by_added(pin: Pin) -> bytes:
    """Orders pins by when they were added, oldest first."""
    return time_rank(pin.stamp.ms if pin.added_at_ms is None else pin.added_at_ms)


def by_taken(pin: Pin) -> bytes:
    """Orders pins by when the picture was taken, oldest first; where that is unknown, by when it was added."""
    return by_added(pin) if pin.taken_at_ms is None else time_rank(pin.taken_at_ms)


def by_trashed(pin: Pin) -> bytes:
    """Orders pins by when they went to the trash."""
    return time_rank(pin.trashed_ms or 0)


def time_rank(ms: int) -> bytes:
    """Bytes that compare as the times do, those before 1970 too."""
    return (ms + _TIME_OFFSET).to_bytes(8, "big")


def ordered(pins: Sequence[SignedPin], order: Order, fits: Callable[[Pin], bool]) -> list[Entry]:
    """Those of `pins` that fit, in order."""
    return sorted(Entry(order(pin.record), pin.key, pin) for pin in pins if fits(pin.record))


def start_after(entries: Sequence[Entry], cursor: str | None) -> int:
    """Where the page after `cursor` begins.

    Raises:
        Usage: no cursor of ours.
    """
    if cursor is None:
        return 0
    try:
        rank, key = map(bytes.fromhex, cursor.split("."))
    except ValueError as error:
        raise Usage(f"after {cursor[:64]!r}: no cursor of a listing") from error
    return bisect_left(entries, (rank, key + b"\0"))


class Listings:
    """Remembers the orders of listings under way."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, list[Entry]]] = OrderedDict()

    async def after(
        self,
        name: Hashable,
        cursor: str | None,
        pins: Callable[[], Sequence[SignedPin]],
        order: Order,
        fits: Callable[[Pin], bool],
    ) -> Iterator[Entry]:
        """The rest of a listing, from after `cursor`.

        Args:
            name: of the listing, with all that decides its order; a first page is always made anew.
            pins: all there may be in it, as of now.

        Raises:
            Usage: no cursor of ours.
        """
        entries = self._known(name) if cursor is not None else None
        if entries is None:
            found = pins()
            if len(found) <= INLINE_PINS:
                entries = ordered(found, order, fits)
            else:
                entries = await trio.to_thread.run_sync(ordered, found, order, fits)
            self._keep(name, entries)
        start = start_after(entries, cursor)
        return (entries[place] for place in range(start, len(entries)))

    def _known(self, name: Hashable) -> list[Entry] | None:
        kept = self._kept.get(name)
        return kept[1] if kept is not None and trio.current_time() - kept[0] < KEPT_S else None

    def _keep(self, name: Hashable, entries: list[Entry]) -> None:
        self._kept[name] = trio.current_time(), entries
        self._kept.move_to_end(name)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
