"""What this peer holds, as it tells the others: every step in the order in which the store fsynced it.

Concurrent holds and releases finish in any order, but each carries the `seq` of its transaction. Steps are told in that
order and only without gaps, so that what is signed at a `seq` is exactly what the store held then.
"""

import heapq
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from node.kinds import EMBEDDED, KINDS
from protocol.beat import HoldingsSummary
from protocol.holdings import ElementSet
from protocol.holdings_messages import Change, Element, HoldingsDelta
from protocol.limits import HOLDINGS_PER_DELTA


class OwnHoldings:
    """This peer's set: `here` is what the store has, `told` what was signed last.

    Args:
        epoch, seq: of the store, for `elements`.
        on_step: called when there is something to tell.
    """

    def __init__(self, epoch: int, seq: int, elements: Iterable[Element], on_step: Callable[[], None]) -> None:
        self._on_step = on_step
        self._ahead: list[tuple[int, int, Change]] = []
        self.begin(epoch, seq, elements)

    def begin(self, epoch: int, seq: int, elements: Iterable[Element]) -> None:
        """The store has begun a new epoch, and held `elements` at its `seq`: what was not told before never will be."""
        self.here = set(elements)
        self._beside: dict[str, set[bytes]] = {}
        for element in self.here:
            self._put_beside(element, held=True)
        self.epoch = epoch
        self._told = ElementSet(self.here)
        self._told_seq = seq
        self._next_seq = seq + 1
        self._early: list[tuple[int, Change]] = []
        self._latest: dict[Element, int] = {}  # of elements with a step in `_early`
        self._ready: list[Change] = []
        ahead, self._ahead = self._ahead, []
        for step in ahead:
            self.note(*step)

    def note(self, epoch: int, seq: int, change: Change) -> None:
        """The store has made this change durable as its step `seq`; one that is known already changes nothing."""
        if (epoch, seq) < (self.epoch, self._next_seq):
            return
        element = Element(change.root, change.kind)
        if epoch > self.epoch:  # the store has begun one and `begin` is on its way
            self._ahead.append((epoch, seq, change))
            self._set(element, held=change.held)
            return
        if seq > self._latest.get(element, 0):
            self._latest[element] = seq
            self._set(element, held=change.held)
        heapq.heappush(self._early, (seq, change))
        while self._early and self._early[0][0] <= self._next_seq:
            step, ready = heapq.heappop(self._early)
            if step == self._next_seq:
                self._ready.append(ready)
                self._next_seq += 1
        if not self._early:
            self._latest.clear()
        if self._ready:
            self._on_step()

    def _set(self, element: Element, *, held: bool) -> None:
        (self.here.add if held else self.here.discard)(element)
        self._put_beside(element, held=held)

    def _put_beside(self, element: Element, *, held: bool) -> None:
        if element.kind != EMBEDDED:
            roots = self._beside.setdefault(element.kind, set())
            (roots.add if held else roots.discard)(element.root)

    def beside(self, kind: str) -> AbstractSet[bytes]:
        """The roots that are here complete on a kind beside the embedded store; read only."""
        return self._beside.get(kind, frozenset())

    def holds(self, root: bytes, kind: str) -> bool:
        """Whether the root is here complete."""
        return Element(root, kind) in self.here

    def kinds_of(self, root: bytes) -> tuple[str, ...]:
        """The kinds on which the root is here complete."""
        return tuple(kind for kind in KINDS if Element(root, kind) in self.here)

    @property
    def order(self) -> tuple[int, int]:
        """The (epoch, seq) of the latest step that is known without a gap."""
        return self.epoch, self._next_seq - 1

    def summary(self) -> HoldingsSummary:
        """What to sign of the set as it was last told."""
        return self._told.summary(self.epoch, self._told_seq)

    @property
    def told(self) -> ElementSet:
        """The set as it was last told; read only."""
        return self._told

    def next_delta(self) -> HoldingsDelta | None:
        """The steps not told yet, as many as fit a message; they count as told from now on."""
        if not self._ready:
            return None
        taken = HOLDINGS_PER_DELTA
        changes, self._ready = self._ready[:taken], self._ready[taken:]
        for change in changes:
            self._told.apply(change)
        self._told_seq += len(changes)
        return HoldingsDelta(after=self.summary(), changes=tuple(changes))
