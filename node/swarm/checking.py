"""Read signed records and check their signatures; so many at once that it is worth it in other processes.

Of the time that a record takes, half is its signature and an eighth the reading of it. A thread does not help with
either: it holds the interpreter meanwhile, or waits far longer for its turn after them.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from functools import partial
from typing import TypeVar

import trio

from protocol.errors import Reason, Refused
from protocol.identity import verify
from protocol.records import Record, Signed, read_record

log = logging.getLogger("pinakothek.records")

T = TypeVar("T")

Found = list[Signed[Record] | None]
"""Of each of some bytes the record that they are; None where they are none, or nobody has looked."""

Elsewhere = Callable[[Sequence[bytes]], Awaitable[Found]]
"""Reads and checks somewhere else what can be; what it leaves out is looked at here."""

Parsed = tuple[list[Signed[Record]], list[Reason]]
"""The records in some bytes, and why others of these are none."""

INLINE_RECORDS = 4
"""So few are read on the event loop: 80 µs each, less than a thread's round trip is worth."""
PAGES_AT_ONCE = 3
"""While one is read here, the signatures of others are checked elsewhere."""


async def nowhere_else(raws: Sequence[bytes]) -> Found:
    """Leave all to a thread of this process."""
    return [None] * len(raws)


async def parse_all(raws: Sequence[bytes], elsewhere: Elsewhere = nowhere_else) -> Parsed:
    """Return the records in these bytes, and why others of them are none."""
    if len(raws) <= INLINE_RECORDS:
        return _found(*_read_all(raws))
    return await _fill_in(raws, await elsewhere(raws))


async def parse_kept(raws: Sequence[bytes], checked: Collection[bytes], elsewhere: Elsewhere) -> Parsed:
    """`parse_all` for what lies here, in the same order; the signatures of those `checked` before are not looked at."""
    new = [number for number, raw in enumerate(raws) if raw not in checked]
    found: Found = [None] * len(raws)
    if new:
        for number, one in zip(new, await elsewhere([raws[number] for number in new]), strict=True):
            found[number] = one
    return await _fill_in(raws, found, checked)


async def _fill_in(raws: Sequence[bytes], found: Found, checked: Collection[bytes] = ()) -> Parsed:
    """Look in a thread at what nobody has."""
    left = [number for number, one in enumerate(found) if one is None]
    bad: list[Reason] = []
    if left:
        here, bad = await trio.to_thread.run_sync(partial(_read_all, [raws[number] for number in left], checked))
        for number, one in zip(left, here, strict=True):
            found[number] = one
    return _found(found, bad)


async def in_order(pages: Iterator[T], parse: Callable[[T], Awaitable[Parsed]]) -> Parsed:
    """Read pages of records, several at a time.

    Args:
        pages: iterated in threads, one at a time.

    Returns:
        The records in the order of the pages, and why others are malformed or forged.
    """
    reading = trio.Lock()
    done: dict[int, list[Signed[Record]]] = {}
    found: list[Signed[Record]] = []
    bad: list[Reason] = []
    begun = handed = 0

    async def work() -> None:
        nonlocal begun, handed
        while True:
            async with reading:
                page = await trio.to_thread.run_sync(next, pages, None)
                if page is None:
                    return
                number, begun = begun, begun + 1
            done[number], wrong = await parse(page)
            bad.extend(wrong)
            while handed in done:
                found.extend(done.pop(handed))
                handed += 1

    async with trio.open_nursery() as nursery:
        for _ in range(PAGES_AT_ONCE):
            nursery.start_soon(work)
    return found, bad


def _read_all(raws: Sequence[bytes], checked: Collection[bytes] = ()) -> tuple[Found, list[Reason]]:
    """The record in each of these bytes, and why others are none; that of a newer version's kind is none either."""
    found: Found = []
    bad: list[Reason] = []
    for raw in raws:
        try:
            found.append(_read(raw, is_checked=raw in checked))
        except Refused as error:
            found.append(None)
            bad.append(error.reason)
            log.info("a record was refused: %s", error)
    return found, bad


def _read(raw: bytes, *, is_checked: bool) -> Signed[Record] | None:
    read = read_record(raw)
    if read is None:
        return None
    signed, claim = read
    if not is_checked and not verify(*claim):
        raise Refused(Reason.BAD_SIGNATURE, f"{signed.record.KIND} that {signed.author} did not sign")
    return signed


def _found(found: Found, bad: list[Reason]) -> Parsed:
    return [one for one in found if one is not None], bad
