"""Who holds what: every peer's holdings as this one knows them, kept whole and in order.

Each peer is the only writer of its own set, ordered by (epoch, seq). Deltas that follow on one another are applied as
they come; a gap, or a delta that does not lead to the digest its owner signed, wants a snapshot, and a snapshot counts
only if it matches such a digest, whoever sent it. Two different statements of a peer under one (epoch, seq) mean that
its identity was copied: it counts as no replica until a higher epoch.

The digest of a set is the sum of its elements' hashes modulo 2^256, so that it can be kept up to date.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from protocol.beat import HoldingsSummary
from protocol.errors import Reason, Refused
from protocol.holdings_messages import Change, Element, HoldingsDelta
from protocol.identity import PeerId
from protocol.limits import DIGEST_BYTES
from protocol.places import element_digest

SNAPSHOT_AFTER_S: Final = 3.0
"""How long a set may lag behind a heartbeat before a snapshot is asked for: gossip brings the delta first as a rule."""
STATEMENTS: Final = 256
"""Statements of one peer remembered to find two under one (epoch, seq): guess, some twenty minutes of heartbeats."""
WAITING: Final = 64
"""Deltas of one peer kept while a snapshot is under way: guess."""
_MODULUS: Final = 1 << 256


def element_hash(element: Element) -> int:
    """Return an element's share of a set's digest."""
    return int.from_bytes(element_digest(element), "big")


class ElementSet:
    """A set of elements with its digest."""

    __slots__ = ("_sum", "elements")

    def __init__(self, elements: Iterable[Element] = ()) -> None:
        self.elements: set[Element] = set(elements)
        self._sum = sum(element_hash(element) for element in self.elements) % _MODULUS

    def apply(self, change: Change) -> bool:
        """Make one change; return whether it made a difference."""
        element = Element(change.root, change.kind)
        if change.held == (element in self.elements):
            return False
        share = element_hash(element)
        if change.held:
            self.elements.add(element)
            self._sum = (self._sum + share) % _MODULUS
        else:
            self.elements.remove(element)
            self._sum = (self._sum - share) % _MODULUS
        return True

    def copy(self) -> "ElementSet":
        """Return a set of its own, without hashing anything anew."""
        other = ElementSet()
        other.elements, other._sum = set(self.elements), self._sum
        return other

    @property
    def digest(self) -> bytes:
        return self._sum.to_bytes(DIGEST_BYTES, "big")

    def summary(self, epoch: int, seq: int) -> HoldingsSummary:
        """Return what to sign of this set at that moment of its owner's order."""
        return HoldingsSummary(epoch=epoch, seq=seq, count=len(self.elements), digest=self.digest)

    def matches(self, summary: HoldingsSummary) -> bool:
        return summary.digest == self.digest and summary.count == len(self.elements)


def digest_of(elements: Iterable[Element]) -> bytes:
    """Return the digest of a set, 32 bytes."""
    return ElementSet(elements).digest


@dataclass(slots=True)
class PeerHoldings:
    """One peer's set.

    Attributes:
        held: the last set that its owner has signed for; empty at first.
        known: the summary it matches, None before the first.
        newest: the newest summary that its owner has signed; ahead of `known` while we lag.
        behind_since_s: since when, monotonic seconds.
        cloned_epoch: the epoch under which it contradicted itself, None if it has not.
    """

    held: ElementSet = field(default_factory=ElementSet)
    known: HoldingsSummary | None = None
    newest: HoldingsSummary | None = None
    behind_since_s: float | None = None
    cloned_epoch: int | None = None
    _said: dict[tuple[int, int], tuple[int, bytes]] = field(default_factory=dict)
    _waiting: dict[tuple[int, int], HoldingsDelta] = field(default_factory=dict)

    @property
    def cloned(self) -> bool:
        return self.cloned_epoch is not None

    def on_summary(self, summary: HoldingsSummary, now_s: float) -> None:
        """Take note of what the owner signed, in a heartbeat or with a delta."""
        said = (summary.count, summary.digest)
        if self._said.setdefault(summary.order, said) != said:
            self.cloned_epoch = max(summary.epoch, self.cloned_epoch or 0)
        if len(self._said) > STATEMENTS:
            del self._said[next(iter(self._said))]
        if self.cloned_epoch is not None and summary.epoch > self.cloned_epoch:
            self.cloned_epoch = None
        if self.newest is None or summary.order > self.newest.order:
            self.newest = summary
        if self.known is None and summary.count == 0 and self.held.matches(summary):
            self.known = summary
        self._judge_lag(now_s)

    def on_delta(self, delta: HoldingsDelta, now_s: float) -> frozenset[Element]:
        """Apply a delta that the owner signed, or keep it until it fits; return the elements that changed."""
        self._waiting[delta.after.order] = delta
        if len(self._waiting) > WAITING:
            del self._waiting[min(self._waiting)]
        self.on_summary(delta.after, now_s)
        changed = self._catch_up()
        self._judge_lag(now_s)
        return changed

    def on_snapshot(
        self, summary: HoldingsSummary, elements: Collection[Element] | ElementSet, now_s: float
    ) -> frozenset[Element]:
        """Replace the set by one that somebody sent, with the owner's signed summary of it.

        An `ElementSet` is kept as it is: whoever has made it, away from where time matters, has hashed it already.

        Raises:
            Refused: the elements do not match the summary, or the set is older than ours.
        """
        if self.known is not None and summary.order < self.known.order:
            raise Refused(Reason.STALE, f"holdings of {summary.order}, {self.known.order} are known")
        replacement = elements if isinstance(elements, ElementSet) else ElementSet(elements)
        if not replacement.matches(summary):
            raise Refused(Reason.BAD_SIGNATURE, "holdings that do not match the digest their owner signed")
        changed = replacement.elements ^ self.held.elements
        self.held, self.known = replacement, summary
        self.on_summary(summary, now_s)
        changed ^= self._catch_up()
        self._judge_lag(now_s)
        return frozenset(changed)

    def wants_snapshot(self, now_s: float) -> bool:
        """Tell whether deltas have failed to bring the set up to what the owner has signed."""
        return self.behind_since_s is not None and now_s - self.behind_since_s >= SNAPSHOT_AFTER_S

    def _judge_lag(self, now_s: float) -> None:
        if self.newest == self.known:
            self.behind_since_s = None
        elif self.behind_since_s is None:
            self.behind_since_s = now_s

    def _catch_up(self) -> frozenset[Element]:
        """Apply what waits, as far as it follows on; forget what is older than the set."""
        changed: set[Element] = set()
        for order in sorted(self._waiting):
            if self.known is not None and order <= self.known.order:
                del self._waiting[order]
            elif self._follows(self._waiting[order]):
                changed ^= self._apply(self._waiting.pop(order))
        return frozenset(changed)

    def _follows(self, delta: HoldingsDelta) -> bool:
        if self.known is None or delta.after.epoch != self.known.epoch:
            return delta.first_seq == 0 and not self.held.elements
        return delta.first_seq <= self.known.seq

    def _apply(self, delta: HoldingsDelta) -> set[Element]:
        """Apply the steps that are new to us, or none of them if they do not lead to the signed digest."""
        done = self.known.seq if self.known is not None and self.known.epoch == delta.after.epoch else 0
        steps = [change for change in delta.changes[max(0, done - delta.first_seq) :] if self.held.apply(change)]
        if self.held.matches(delta.after):
            self.known = delta.after
            changed: set[Element] = set()
            for change in steps:
                changed ^= {Element(change.root, change.kind)}
            return changed
        for change in reversed(steps):
            self.held.apply(change._replace(held=not change.held))
        return set()


class HoldingsBook:
    """Everyone's holdings, and for each element who holds it; `locate` is a look-up here, never a question."""

    def __init__(self) -> None:
        self._peers: dict[PeerId, PeerHoldings] = {}
        self._holders: dict[Element, set[PeerId]] = {}
        self._kinds: dict[bytes, set[str]] = {}

    def mark_cloned(self, peer: PeerId) -> frozenset[bytes]:
        """Two daemons speak for this peer: it counts no more until a higher epoch; return the roots that concerns."""
        holdings = self.of(peer)
        was_cloned = holdings.cloned
        epoch = holdings.newest.epoch if holdings.newest is not None else 0
        holdings.cloned_epoch = max(epoch, holdings.cloned_epoch or 0)
        return frozenset() if was_cloned else frozenset(e.root for e in holdings.held.elements)

    def on_summary(self, peer: PeerId, summary: HoldingsSummary, now_s: float) -> frozenset[bytes]:
        """Take note of the summary in a heartbeat; return the roots whose holders count differently now."""
        holdings = self.of(peer)
        was_cloned = holdings.cloned
        holdings.on_summary(summary, now_s)
        return frozenset(e.root for e in holdings.held.elements) if holdings.cloned != was_cloned else frozenset()

    def on_delta(self, peer: PeerId, delta: HoldingsDelta, now_s: float) -> frozenset[bytes]:
        """Apply a delta signed by `peer`; return the roots whose holders changed."""
        holdings = self.of(peer)
        was_cloned = holdings.cloned
        changed = holdings.on_delta(delta, now_s)
        roots = self._note(peer, changed)
        return roots | (frozenset(e.root for e in holdings.held.elements) if holdings.cloned != was_cloned else roots)

    def on_snapshot(
        self,
        peer: PeerId,
        summary: HoldingsSummary,
        elements: Collection[Element] | ElementSet,
        now_s: float,
    ) -> frozenset[bytes]:
        """Take a whole set; return the roots whose holders changed.

        Raises:
            Refused: it does not match what the peer signed, or is older than what is known.
        """
        return self._note(peer, self.of(peer).on_snapshot(summary, elements, now_s))

    def forget(self, peer: PeerId) -> frozenset[bytes]:
        """Drop a peer's set; return the roots it held."""
        holdings = self._peers.pop(peer, None)
        if holdings is None:
            return frozenset()
        elements = frozenset(holdings.held.elements)
        holdings.held = ElementSet()
        return self._drop(peer, elements)

    def _note(self, peer: PeerId, changed: frozenset[Element]) -> frozenset[bytes]:
        held = self._peers[peer].held.elements
        for element in changed & held:
            self._holders.setdefault(element, set()).add(peer)
            self._kinds.setdefault(element.root, set()).add(element.kind)
        self._drop(peer, changed - held)
        return frozenset(element.root for element in changed)

    def _drop(self, peer: PeerId, elements: frozenset[Element]) -> frozenset[bytes]:
        for element in elements:
            holders = self._holders[element]
            holders.discard(peer)
            if not holders:
                del self._holders[element]
                kinds = self._kinds[element.root]
                kinds.discard(element.kind)
                if not kinds:
                    del self._kinds[element.root]
        return frozenset(element.root for element in elements)

    def of(self, peer: PeerId) -> PeerHoldings:
        """Return one peer's holdings, empty if nothing is known of it."""
        found = self._peers.get(peer)
        if found is None:
            found = self._peers[peer] = PeerHoldings()
        return found

    def peers(self) -> Mapping[PeerId, PeerHoldings]:
        return self._peers

    def holders(self, root: bytes, kind: str) -> frozenset[PeerId]:
        """Return who holds a root on a kind, cloned peers included (`PeerHoldings.cloned`)."""
        return frozenset(self._holders.get(Element(root, kind), ()))

    def kinds(self, root: bytes) -> frozenset[str]:
        """Return the kinds on which anybody holds a root."""
        return frozenset(self._kinds.get(root, ()))

    def elements(self) -> Iterator[Element]:
        """Iterate over every element that somebody holds."""
        return iter(self._holders)

    def lagging(self, now_s: float) -> tuple[PeerId, ...]:
        """Return the peers whose snapshot is wanted."""
        return tuple(sorted(peer for peer, holdings in self._peers.items() if holdings.wants_snapshot(now_s)))
