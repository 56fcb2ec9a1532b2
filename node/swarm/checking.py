"""Read signed records and check their signatures; so many signatures at once that it is worth it in other processes.

Half of taking in a record is its signature. A thread does not help: it holds the interpreter for these 40 µs, or waits
far longer for its turn after them.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import TypeVar

import trio

from protocol.errors import Reason, Refused
from protocol.identity import Claim, verify
from protocol.records import Record, Signed, read_record

log = logging.getLogger("pinakothek.records")

T = TypeVar("T")

Verify = Callable[[list[Claim]], Awaitable[list[bool]]]
"""Tells of each claim whether it is true."""

Parsed = tuple[list[Signed[Record]], list[Reason]]
"""The records in some bytes, and why others of these are none."""

INLINE_RECORDS = 4
"""So few are read on the event loop: 80 µs each, less than a thread's round trip is worth."""
PAGES_AT_ONCE = 3
"""While one is read here, the signatures of others are checked elsewhere."""


async def verify_in_thread(claims: list[Claim]) -> list[bool]:
    """Check signatures in a thread of this process."""
    return await trio.to_thread.run_sync(_verify_all, claims)


async def parse_all(raws: Sequence[bytes], verify_many: Verify = verify_in_thread) -> Parsed:
    """Return the records in these bytes, and why others of them are none."""
    if len(raws) <= INLINE_RECORDS:
        signed, claims, bad = _read_all(raws)
        return _sifted(signed, _verify_all(claims), bad)
    signed, claims, bad = await trio.to_thread.run_sync(_read_all, list(raws))
    return _sifted(signed, await verify_many(claims), bad)


async def parse_kept(raws: Sequence[bytes], checked: Collection[bytes], verify_many: Verify) -> Parsed:
    """`parse_all` for what lies here, in the same order; the signatures of those `checked` before are not looked at."""
    signed, claims, bad = await trio.to_thread.run_sync(_read_all, list(raws))
    new = [number for number, one in enumerate(signed) if one.raw not in checked]
    verdicts = [True] * len(signed)
    if new:
        for number, right in zip(new, await verify_many([claims[number] for number in new]), strict=True):
            verdicts[number] = right
    return _sifted(signed, verdicts, bad)


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


def _read_all(raws: Sequence[bytes]) -> tuple[list[Signed[Record]], list[Claim], list[Reason]]:
    """The records in these bytes, what must be true of each for it to count, and why others are none."""
    signed: list[Signed[Record]] = []
    claims: list[Claim] = []
    bad: list[Reason] = []
    for raw in raws:
        try:
            read = read_record(raw)
        except Refused as error:
            bad.append(error.reason)
            log.info("a record was refused: %s", error)
            continue
        if read is not None:
            signed.append(read[0])
            claims.append(read[1])
    return signed, claims, bad


def _verify_all(claims: list[Claim]) -> list[bool]:
    return [verify(*claim) for claim in claims]


def _sifted(signed: list[Signed[Record]], verdicts: list[bool], bad: list[Reason]) -> Parsed:
    """Leave out what its author did not sign."""
    assert len(signed) == len(verdicts)
    if all(verdicts):
        return signed, bad
    for one, right in zip(signed, verdicts, strict=True):
        if not right:
            log.info("a record was refused: %s that %s did not sign", one.record.KIND, one.author)
            bad.append(Reason.BAD_SIGNATURE)
    return [one for one, right in zip(signed, verdicts, strict=True) if right], bad
