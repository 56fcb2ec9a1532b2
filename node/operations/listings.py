"""Long listings in pages: sorted once for all of a listing's pages, and a cursor that outlives that.

A cursor is the place of the last row in the order, not a number: what comes or goes meanwhile neither repeats nor hides
other rows.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
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
WALKED_AT_ONCE = 256
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
    rank, key = place_of(cursor)
    return bisect_left(entries, (rank, key + b"\0"))


def place_of(cursor: str) -> tuple[bytes, bytes]:
    """Rank and key that a cursor stands for. Raises: Usage: no cursor of ours."""
    try:
        rank, key = map(bytes.fromhex, cursor.split("."))
    except ValueError as error:
        raise Usage(f"after {cursor[:64]!r}: no cursor of a listing") from error
    return rank, key


def walk(
    roots_after: Callable[[bytes], Iterator[bytes]], pins_of: Callable[[bytes], Iterable[SignedPin]], cursor: str | None
) -> Iterator[Entry]:
    """Every pin by root, from after `cursor`, without sorting them all: the roots are in order already.

    They are taken some at a time, so that roots may come and go between two entries.

    Raises:
        Usage: no cursor of ours.
    """
    last = b""
    if cursor is not None:
        last, key = place_of(cursor)
        yield from (entry for entry in _entries(last, pins_of(last)) if entry.key > key)
    while some := list(islice(roots_after(last), WALKED_AT_ONCE)):
        for root in some:
            yield from _entries(root, pins_of(root))
        last = some[-1]


def _entries(root: bytes, pins: Iterable[SignedPin]) -> list[Entry]:
    return sorted(Entry(root, pin.key, pin) for pin in pins)


class Listings:
    """Remembers the orders of listings under way, and of the last ones for as long as no pin changes."""

    def __init__(self) -> None:
        self._fresh: set[Hashable] = set()
        self._changes = 0
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
            name: of the listing, with all that decides its order; a first page is made anew where a pin has changed.
            pins: all there may be in it, as of now.

        Raises:
            Usage: no cursor of ours.
        """
        entries = self._known(name) if cursor is not None or name in self._fresh else None
        if entries is None:
            changes = self._changes
            found = pins()
            if len(found) <= INLINE_PINS:
                entries = ordered(found, order, fits)
            else:
                entries = await trio.to_thread.run_sync(ordered, found, order, fits)
            if changes == self._changes:
                self._fresh.add(name)
            self._keep(name, entries)
        start = start_after(entries, cursor)
        return (entries[place] for place in range(start, len(entries)))

    def changed(self) -> None:
        """Pins came, went or changed: what was remembered serves only the listings under way."""
        self._fresh.clear()
        self._changes += 1

    def _known(self, name: Hashable) -> list[Entry] | None:
        kept = self._kept.get(name)
        return kept[1] if kept is not None and trio.current_time() - kept[0] < KEPT_S else None

    def _keep(self, name: Hashable, entries: list[Entry]) -> None:
        self._kept[name] = trio.current_time(), entries
        self._kept.move_to_end(name)
        while len(self._kept) > KEPT:
            gone, _ = self._kept.popitem(last=False)
            self._fresh.discard(gone)
