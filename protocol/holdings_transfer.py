"""One's own holdings as deltas to publish, and anyone's as pages to send and to put together."""

from collections.abc import Iterable, Sequence
from typing import Final

from protocol.beat import HoldingsSummary
from protocol.errors import Reason, Refused
from protocol.holdings import ElementSet
from protocol.holdings_messages import Change, Element, HoldingsAsk, HoldingsDelta, HoldingsPage
from protocol.identity import PeerId
from protocol.limits import HOLDINGS_PER_DELTA, PAGE_BYTES, RECORD_BYTES

_ELEMENT_OVERHEAD_BYTES: Final = 16
_PAGE_ROOM_BYTES: Final = PAGE_BYTES - RECORD_BYTES - 256
ELEMENTS_MAX: Final = 4_000_000
"""Elements that one peer may make us put together: 0.5 GB, far beyond what it can hold."""


class OwnHoldings:
    """This peer's set, and the changes not yet published.

    Args:
        epoch, seq: of the set, as the store has fsynced them.
        elements: the set.
    """

    def __init__(self, epoch: int, seq: int, elements: Iterable[Element]) -> None:
        self._held = ElementSet(elements)
        self.epoch = epoch
        self.seq = seq
        self._unpublished: list[Change] = []
        self._closed: list[HoldingsDelta] = []

    @property
    def elements(self) -> set[Element]:
        """The set; read only."""
        return self._held.elements

    @property
    def summary(self) -> HoldingsSummary:
        """What the next heartbeat says."""
        return self._held.summary(self.epoch, self.seq)

    def change(self, change: Change, *, epoch: int, seq: int) -> None:
        """Take note of a change under the (epoch, seq) that the store has fsynced for it.

        Raises:
            ValueError: the pair does not follow on the last.
        """
        if (epoch, seq) != (self.epoch, self.seq + 1):
            raise ValueError(f"holdings change {epoch, seq} after {self.epoch, self.seq}")
        self.seq = seq
        self._held.apply(change)
        self._unpublished.append(change)
        if len(self._unpublished) == HOLDINGS_PER_DELTA:
            self._close()

    def take_deltas(self) -> tuple[HoldingsDelta, ...]:
        """Return deltas of everything not yet published, oldest first, and count it as published."""
        if self._unpublished:
            self._close()
        closed, self._closed = self._closed, []
        return tuple(closed)

    def _close(self) -> None:
        self._closed.append(HoldingsDelta(after=self.summary, changes=tuple(self._unpublished)))
        self._unpublished = []


def page_of(elements: Sequence[Element], statement: bytes, ask: HoldingsAsk) -> HoldingsPage:
    """Answer an ask with a page of a sorted set.

    Args:
        elements: the whole set that `statement` speaks of, sorted, the same list for every page.
        statement: the owner's signed heartbeat or delta with the set's digest.
        ask: whose `cursor` counts elements.
    """
    taken: list[Element] = []
    room = _PAGE_ROOM_BYTES
    for element in elements[ask.cursor :]:
        room -= len(element.root) + len(element.kind.encode()) + _ELEMENT_OVERHEAD_BYTES
        if room < 0:
            break
        taken.append(element)
    end = ask.cursor + len(taken)
    return HoldingsPage(statement=statement, elements=tuple(taken), next_cursor=end if end < len(elements) else None)


class SnapshotAsker:
    """Put one member's set together from somebody's pages: send `first()`, then what each `handle` returns.

    Attributes:
        statement: the owner's signed statement that came with the pages, once the last has come (`open_summary`).
        elements: the set, to be given to `HoldingsBook.on_snapshot`.
    """

    def __init__(self, owner: PeerId) -> None:
        self._owner = owner
        self.statement: bytes | None = None
        self.elements: list[Element] = []

    def first(self) -> HoldingsAsk:
        """Begin."""
        return HoldingsAsk(owner=self._owner)

    def handle(self, page: HoldingsPage) -> HoldingsAsk | None:
        """Take a page; return the next ask, or None when all have come.

        Raises:
            Refused: the other does not know the set, has changed it meanwhile, or would never end.
        """
        if page.statement is None:
            raise Refused(Reason.NOT_ALLOWED, f"the holdings of {self._owner} are not known there")
        if self.statement is not None and page.statement != self.statement:
            raise Refused(Reason.STALE, f"the holdings of {self._owner} changed between two pages")
        self.statement = page.statement
        self.elements.extend(page.elements)
        if page.next_cursor is None:
            return None
        if page.next_cursor != len(self.elements) or not page.elements or len(self.elements) > ELEMENTS_MAX:
            raise Refused(Reason.MALFORMED, f"pages of holdings of {self._owner} that do not go on")
        return HoldingsAsk(owner=self._owner, cursor=page.next_cursor)
