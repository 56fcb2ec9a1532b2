"""Read signed records and check their signatures, in threads: libsodium lets others run meanwhile."""

import logging
from collections.abc import Callable, Iterator, Sequence

import trio

from protocol.errors import Reason, Refused
from protocol.records import Record, Signed, parse_record

log = logging.getLogger("pinakothek.records")

THREADS = 3
"""Two thirds of reading a record are its signature, for which a thread needs no interpreter: with three, one reads
while the others check."""


def parse_all(raws: Sequence[bytes]) -> tuple[list[Signed[Record]], list[Reason]]:
    """Return the records in these bytes, and why others of them are none."""
    parsed: list[Signed[Record]] = []
    bad: list[Reason] = []
    for raw in raws:
        try:
            signed = parse_record(raw)
        except Refused as error:
            bad.append(error.reason)
            log.info("a record was refused: %s", error)
            continue
        if signed is not None:
            parsed.append(signed)
    return parsed, bad


async def parse_pages(pages: Iterator[list[bytes]], take: Callable[[list[Signed[Record]]], object]) -> list[Reason]:
    """Read pages of records, several at a time, and hand on each page's in order.

    Args:
        pages: iterated in threads, one at a time.
        take: called on the event loop.

    Returns:
        Why some are malformed or forged, one for each.
    """
    reading = trio.Lock()
    done: dict[int, list[Signed[Record]]] = {}
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
            done[number], wrong = await trio.to_thread.run_sync(parse_all, page)
            bad.extend(wrong)
            while handed in done:
                take(done.pop(handed))
                handed += 1

    async with trio.open_nursery() as nursery:
        for _ in range(THREADS):
            nursery.start_soon(work)
    return bad
