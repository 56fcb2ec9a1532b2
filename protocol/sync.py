"""Bring a set to what another peer's is: the asker's machine and the answerer's functions.

Only the asker learns; the other asks in its turn when it sees another digest. State is compared as current sets, never
as history, and the answerer keeps nothing between asks, so an asker that vanishes costs nothing. Small differences are
wanted place by place; ranges where the asker has nothing, all of them when it joins, are fetched whole and never listed.

The set is that of the records that count, or one member's holdings (`HoldingsAsker`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, TypeVar

from protocol.beat import HoldingsSummary
from protocol.errors import Reason, Refused
from protocol.holdings_messages import Element, open_summary
from protocol.identity import PeerId
from protocol.limits import PAGE_BYTES, SYNC_ITEMS, SYNC_PARTS, SYNC_RANGES_PER_ASK, SYNC_VALUES_PER_PAGE
from protocol.ordered import OrderedSet
from protocol.places import PINS, PLACE_BYTES, SHORT_BYTES
from protocol.ranges import join_places, pack, split_places, unpack
from protocol.reconciling import Comparison, Range, compare
from protocol.records import Record, Signed
from protocol.sync_messages import (
    HoldingsAt,
    SyncCompare,
    SyncElements,
    SyncFetch,
    SyncRanges,
    SyncRecords,
    SyncWant,
)

V = TypeVar("V")
SyncAsk = SyncCompare | SyncWant | SyncFetch
SyncAnswer = SyncRanges | SyncRecords | SyncElements

PLACES_AT_ONCE: Final = 512
"""In one want: some half a page of records, so that several can be on their way."""
FETCHES: Final = 16
"""Ranges fetched at a time: what is missing is shared out among so many."""
LISTED_AT_ONCE: Final = 65_536
"""Places found missing before they are fetched: a bound on what a liar can have us remember."""
_VALUE_OVERHEAD_BYTES: Final = 8
_ENVELOPE_BYTES: Final = 128


# -- answering --------------------------------------------------------------------------------------------------------


def answer_compare(ours: OrderedSet[V], ask: SyncCompare, statement: bytes | None = None) -> SyncRanges:
    """Say how a peer's ranges differ from ours.

    Raises:
        Refused: the ranges are malformed.
    """
    return SyncRanges(ranges=pack(compare(ours, unpack(ask.ranges, SYNC_RANGES_PER_ASK))), statement=statement)


def answer_records(ours: OrderedSet[Signed[Record]], ask: SyncWant | SyncFetch) -> SyncRecords:
    """Give records that a peer lacks."""
    values, taken, following = _page(ours, ask, lambda signed: len(signed.raw))
    return SyncRecords(records=tuple(signed.raw for signed in values), taken=taken, next=following)


def answer_elements(ours: OrderedSet[Element], ask: SyncWant | SyncFetch) -> SyncElements:
    """Give elements of somebody's holdings that a peer lacks."""
    values, taken, following = _page(ours, ask, lambda element: len(element.root) + len(element.kind))
    return SyncElements(elements=tuple(values), taken=taken, next=following)


def _page(
    ours: OrderedSet[V], ask: SyncWant | SyncFetch, size_of: Callable[[V], int]
) -> tuple[list[V], int, bytes | None]:
    """The values asked for that fit a page; of how many places they are, and where the range goes on."""
    found: list[V] = []
    room = PAGE_BYTES - _ENVELOPE_BYTES
    for number, values in enumerate(_asked_for(ours, ask)):
        for value in values:
            room -= size_of(value) + _VALUE_OVERHEAD_BYTES
            if room < 0 or len(found) == SYNC_VALUES_PER_PAGE:
                return (found, number, None) if isinstance(ask, SyncWant) else (found, 0, ours.place_of(value))
            found.append(value)
    return found, len(ask.places) // SHORT_BYTES if isinstance(ask, SyncWant) else 0, None


def _asked_for(ours: OrderedSet[V], ask: SyncWant | SyncFetch) -> Iterator[Iterable[V]]:
    """One value at a time; of each place wanted, the value there or nothing."""
    if isinstance(ask, SyncFetch):
        return ([value] for value in ours.between(ask.low, ask.high))
    ends = ((place, place.ljust(PLACE_BYTES, b"\xff")) for place in split_places(ask.places))
    return (islice(ours.between(low, high), 1) for low, high in ends)


# -- asking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an answer has brought.

    Attributes:
        records: signed bytes to parse and merge, in this order; the other peer may have sent anything.
        elements: of the holdings that are fetched.
        again: what to ask for the rest of that answer.
    """

    records: tuple[bytes, ...] = ()
    elements: tuple[Element, ...] = ()
    again: SyncAsk | None = None


class SyncAsker(Generic[V]):
    """One catching-up with one peer: send what `next_asks` says, side by side, and give each answer to `handle`.

    Args:
        ours: our own; read only. What the answers bring may be put in as they come.
        of: whose holdings; None for the records.
        drops: whether `comparison.surplus` is wanted, what is here and not there; of holdings it always is.
    """

    def __init__(self, ours: OrderedSet[V], of: HoldingsAt | None = None, *, drops: bool = False) -> None:
        self.of = of
        self.comparison = Comparison(ours, drops=drops or of is not None)
        self._in_order: deque[SyncAsk] = deque()
        self._any_order: list[SyncAsk] = []
        self._came = 0

    def next_asks(self) -> tuple[SyncAsk, ...]:
        """Return what to ask next, all at once if there are several; nothing at the end.

        Call it when every ask before, and every `Step.again`, has been handled.
        """
        if not self._in_order and not self._any_order:
            found = self.comparison
            if len(found.missing) < LISTED_AT_ONCE and (parts := found.ask()):
                return (SyncCompare(ranges=pack(parts), of=self.of),)
            self._plan_fetches()
        if self._in_order:
            return (self._in_order.popleft(),)
        asks, self._any_order = tuple(self._any_order), []
        return asks

    def _plan_fetches(self) -> None:
        found = self.comparison
        places, found.missing = sorted(found.missing), []
        ranges, found.empty = _shared_out(found.empty), []
        for at in range(0, len(places), PLACES_AT_ONCE):
            ask = SyncWant(places=join_places(places[at : at + PLACES_AT_ONCE]), of=self.of)
            (self._in_order if places[at] < PINS else self._any_order).append(ask)
        for low, high in ranges:
            (self._in_order if low < PINS else self._any_order).append(SyncFetch(low=low, high=high, of=self.of))

    def handle(self, ask: SyncAsk, answer: SyncAnswer) -> Step:
        """Act on the answer to an ask.

        Raises:
            Refused: it is none, or it would never end.
        """
        if isinstance(ask, SyncCompare):
            if not isinstance(answer, SyncRanges):
                raise Refused(Reason.MALFORMED, f"{answer.KIND} out of turn")
            self._on_ranges(answer)
            return Step()
        if isinstance(answer, SyncRanges) or isinstance(answer, SyncElements) != (self.of is not None):
            raise Refused(Reason.MALFORMED, f"{answer.KIND} out of turn")
        again = _rest_of_want(ask, answer) if isinstance(ask, SyncWant) else _rest_of_fetch(ask, answer)
        if isinstance(answer, SyncElements):
            step = Step(elements=answer.elements, again=again)
        else:
            step = Step(records=answer.records, again=again)
        self._came += len(step.records) + len(step.elements)
        if self._came > SYNC_ITEMS:
            raise Refused(Reason.TOO_LARGE, f"sync of more than {SYNC_ITEMS} items")
        return step

    def _on_ranges(self, answer: SyncRanges) -> None:
        self.comparison.take(unpack(answer.ranges, 2 * SYNC_PARTS))


def _shared_out(ranges: Sequence[Range]) -> list[Range]:
    """Join ranges that lie side by side into some `FETCHES`, none across what comes in order and what does not."""
    most = -(-len(ranges) // FETCHES)
    joined: list[tuple[Range, int]] = []
    for low, high in sorted(ranges):
        if joined and joined[-1][0].high == low and joined[-1][1] < most:
            joined[-1] = (Range(joined[-1][0].low, high), joined[-1][1] + 1)
        else:
            joined.append((Range(low, high), 1))
    shared: list[Range] = []
    for (low, high), _ in joined:
        shared += [Range(low, PINS), Range(PINS, high)] if low < PINS < high else [Range(low, high)]
    return shared


def _rest_of_want(ask: SyncWant, answer: SyncRecords | SyncElements) -> SyncWant | None:
    wanted = len(ask.places) // SHORT_BYTES
    came = len(answer.elements if isinstance(answer, SyncElements) else answer.records)
    if not 0 < answer.taken <= wanted or came > answer.taken or answer.next is not None:
        raise Refused(Reason.MALFORMED, "more than was wanted, or nothing")
    rest = ask.places[answer.taken * SHORT_BYTES :]
    return SyncWant(places=rest, of=ask.of) if rest else None


def _rest_of_fetch(ask: SyncFetch, answer: SyncRecords | SyncElements) -> SyncFetch | None:
    came = len(answer.elements if isinstance(answer, SyncElements) else answer.records)
    if answer.next is None:
        return None
    if not came or not ask.low < answer.next < ask.high:
        raise Refused(Reason.MALFORMED, "sync that does not go on")
    return SyncFetch(low=answer.next, high=ask.high, of=ask.of)


class HoldingsAsker(SyncAsker[Element]):
    """Fetches one member's holdings from anybody who knows them.

    Args:
        ours: that member's set as it is known here, which may be empty.
        most: elements that nobody can hold more of.

    Attributes:
        summary: what the owner has signed of the set that is fetched, after the first answer.
    """

    def __init__(self, ours: OrderedSet[Element], owner: PeerId, *, most: int) -> None:
        super().__init__(ours, HoldingsAt(owner, None))
        self._owner = owner
        self._most = most
        self._count = len(ours)
        self.summary: HoldingsSummary | None = None
        self.added: list[Element] = []

    def _on_ranges(self, answer: SyncRanges) -> None:
        if self.summary is None:
            self._begin(answer.statement)
        super()._on_ranges(answer)

    def _begin(self, statement: bytes | None) -> None:
        if statement is None:
            raise Refused(Reason.STALE, f"the holdings of {self._owner} are not known there")
        summary, signer = open_summary(statement)
        if signer != self._owner:
            raise Refused(Reason.BAD_SIGNATURE, f"holdings of {self._owner} signed by {signer}")
        if summary.count > self._most:
            raise Refused(Reason.TOO_LARGE, f"{self._owner} says that it holds {summary.count} roots")
        self.summary = summary
        self.of = HoldingsAt(self._owner, summary.order)

    def handle(self, ask: SyncAsk, answer: SyncAnswer) -> Step:
        """See `SyncAsker.handle`; what comes is kept in `added`."""
        step = super().handle(ask, answer)
        self.added += step.elements
        if self.summary is not None and len(self.added) > self.summary.count:
            raise Refused(Reason.TOO_LARGE, f"more than the {self.summary.count} roots that {self._owner} holds")
        return step
