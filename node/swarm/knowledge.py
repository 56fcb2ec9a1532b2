"""What this peer knows of the swarm: who is there, who holds what, and what it holds itself.

Everything here is in memory and answers look-ups; it changes by what arrives (`listening`), by silence (`tick`), by the
records, and by what the store has taken or let go. Whoever plans is told which roots to look at again.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

import trio

from node.events import Events, wall_ms
from node.swarm.own_holdings import OwnHoldings
from node.swarm.records import SharedRecords
from node.swarm.refusals import CLONE, MISSING_ROLE, REPLAY
from protocol.beat import HoldingsSummary, SignedBeat
from protocol.errors import Refused
from protocol.holdings import ElementSet, HoldingsBook
from protocol.holdings_messages import Change, Element, HoldingsDelta, LastHeardAnswer, LastHeardAsk
from protocol.identity import KeyPair, PeerId
from protocol.membership import Event, Froze, Membership, Seen
from protocol.twins import Twins
from store.cid import cid_text
from store.store import Holding

log = logging.getLogger("pinakothek.swarm")

Replan = Callable[[Iterable[bytes] | None], None]
"""Roots to plan anew; None is all of them."""


class Knowledge:
    """One peer's knowledge of its swarm.

    Args:
        replan: told what changed.
    """

    def __init__(
        self,
        key: KeyPair,
        records: SharedRecords,
        membership: Membership,
        own: OwnHoldings,
        events: Events,
        *,
        replan: Replan,
    ) -> None:
        self.key = key
        self.records = records
        self.membership = membership
        self.own = own
        self.book = HoldingsBook()
        self._twins = Twins()
        self.events = events
        self._replan = replan
        self._statements: dict[str, tuple[tuple[int, int], bytes]] = {}
        self._cloned_before: dict[PeerId, int] = {}  # by epoch, of those that are no members yet
        self._awaited: dict[Element, trio.Event] = {}

    @property
    def me(self) -> str:
        """This peer's id."""
        return self.key.peer_id

    # what arrives

    def look_at_beat(self, signed: SignedBeat) -> bool:
        """Look at any heartbeat for signs of a second daemon; tell whether it counts."""
        if self.membership.is_new(signed):
            new = True
        else:
            new = False
            peer = self.membership.get(signed.sender)
            self.records.refusals.count(REPLAY if peer is not None and peer.standing.member else MISSING_ROLE)
        if signed.sender != self.me and self.records.counting.is_member(signed.sender) and self._twins.on_beat(signed):
            self._take_for_cloned(signed.sender)
        return new

    def _take_for_cloned(self, peer: PeerId) -> None:
        was_cloned = self.book.of(peer).cloned
        self._look_at(self.book.mark_cloned(peer))
        self._note_clone(peer, was_cloned)

    def _note_clone(self, peer: PeerId, was_cloned: bool) -> None:
        if self.book.of(peer).cloned and not was_cloned:
            self.records.refusals.count(CLONE)
            self.events.tell("clone", peer_id=peer, detail="two daemons speak for this peer")
            log.warning("%s was cloned: two daemons speak for it", peer)

    def take_beat(self, signed: SignedBeat) -> None:
        """A heartbeat, its signature checked, of the peer that gossip names as its author."""
        now_s = trio.current_time()
        self.act_on(self.membership.on_beat(signed, now_s, wall_ms()))
        if signed.beat.holdings is not None:
            self._keep_statement(signed.sender, signed.beat.holdings.order, signed.raw)
            was_cloned = self.book.of(signed.sender).cloned
            self._look_at(self.book.on_summary(signed.sender, signed.beat.holdings, now_s))
            self._note_clone(signed.sender, was_cloned)

    def recall(
        self,
        signed: SignedBeat,
        silent_before_s: float,
        stated: tuple[HoldingsSummary, bytes, ElementSet] | None,
        *,
        was_down: bool,
    ) -> None:
        """What a peer said before this peer's start, and what it then held; all of it signed by that peer, and checked.

        Args:
            silent_before_s: how long ago its heartbeat came.
            stated: of its holdings: summary, signed statement, and the set.
            was_down: this peer saw it so.
        """
        now_s = trio.current_time()
        events = self.membership.recall(signed, silent_before_s, now_s, was_down=was_down)
        if not events:
            return
        self.act_on(events)
        if signed.beat.holdings is not None:
            self._keep_statement(signed.sender, signed.beat.holdings.order, signed.raw)
            self._look_at(self.book.on_summary(signed.sender, signed.beat.holdings, now_s))
        if stated is not None and len(stated[2].elements) <= self.records.most_held:
            summary, raw, held = stated
            try:
                self._look_at(self.book.on_snapshot(signed.sender, summary, held, now_s))
            except Refused as error:
                log.info("what %s held before is not taken in: %s", signed.sender, error)
            else:
                self._keep_statement(signed.sender, summary.order, raw)

    def recall_clones(self, epochs: Mapping[PeerId, int]) -> None:
        """These were cloned before this peer's start, by their epoch: they are until a higher one.

        Whose admission is not known, as where the catalogue was lost, is so from when it comes.
        """
        self._cloned_before = dict(epochs)
        self._mark_recalled()

    def _mark_recalled(self) -> None:
        for peer in [peer for peer in self._cloned_before if self.records.counting.is_member(peer)]:
            self.book.of(peer).cloned_epoch = self._cloned_before.pop(peer)

    def cloned_epochs(self) -> dict[PeerId, int]:
        """Who was cloned, by the epoch: to be kept over a restart."""
        found = {peer: one.cloned_epoch for peer, one in self.book.peers().items() if one.cloned_epoch is not None}
        return {**self._cloned_before, **found}

    def take_delta(self, peer: str, delta: HoldingsDelta, raw: bytes) -> None:
        """A change of a member's holdings that it signed."""
        member = self.membership.get(peer)
        if member is None or delta.after.count > self.records.most_held:
            return
        self._keep_statement(peer, delta.after.order, raw)
        was_cloned = self.book.of(member.peer_id).cloned
        self._look_at(self.book.on_delta(member.peer_id, delta, trio.current_time()))
        self._note_clone(member.peer_id, was_cloned)

    def stated_of(self, owner: str) -> tuple[tuple[int, int], bytes, ElementSet] | None:
        """A peer's signed statement of its holdings with the set that it is about, where both are known.

        The set is as it is kept here: to be read before anything else happens.
        """
        kept = self._statements.get(owner)
        if kept is None:
            return None
        if owner == self.me:
            return (*kept, self.own.told) if kept[0] == self.own.summary().order else None
        member = self.membership.get(owner)
        holdings = None if member is None else self.book.of(member.peer_id)
        if holdings is None or holdings.known is None or holdings.known.order != kept[0]:
            return None
        return (*kept, holdings.held)

    def _keep_statement(self, peer: str, order: tuple[int, int], raw: bytes) -> None:
        """Replayed gossip must not take the place of what is newer."""
        kept = self._statements.get(peer)
        if kept is None or order >= kept[0]:
            self._statements[peer] = (order, raw)

    def stated(self, order: tuple[int, int], raw: bytes) -> None:
        """This peer has signed a statement of its own holdings."""
        self._statements[self.me] = (order, raw)

    def last_heard(self, peer: str, ask: LastHeardAsk) -> LastHeardAnswer:
        """What this peer has last heard of another, which asks after a start and now and then."""
        member = self.membership.get(peer)
        if (
            member
            and ask.incarnation is not None
            and ask.clock_ms is not None
            and self._twins.on_word(member.peer_id, ask.incarnation, ask.clock_ms, ask.start)
        ):
            self._take_for_cloned(member.peer_id)
        heard, _ = self.membership.orders().get(PeerId(peer), (None, None))
        asked = self._twins.newest_start(PeerId(peer))
        incarnation = max((number for number in (heard, asked) if number is not None), default=None)
        newest = None if member is None else self.book.of(member.peer_id).newest
        cloned = member is not None and self.book.of(member.peer_id).cloned
        if newest is None:
            return LastHeardAnswer(incarnation=incarnation, cloned=cloned)
        return LastHeardAnswer(incarnation=incarnation, epoch=newest.epoch, seq=newest.seq, cloned=cloned)

    # what silence and records do

    def tick(self) -> None:
        """Let silence act; call it every second."""
        self.act_on(self.membership.tick(trio.current_time()))

    def standings_changed(self) -> None:
        """The records say anew who belongs."""
        self._mark_recalled()  # before anything that they say counts
        self.act_on(self.membership.set_standings(self.records.counting.standings(), trio.current_time()))

    def act_on(self, events: Iterable[Event]) -> None:
        """Tell of what membership noticed, and have everything planned anew."""
        events = tuple(events)
        for event in events:
            if isinstance(event, Seen):
                self.events.tell(f"peer_{event.sees}", peer_id=event.peer, detail=event.reason)
                log.info("%s is %s: %s", event.peer, event.sees, event.reason)
            elif isinstance(event, Froze):
                log.warning("this process stood still for %.1f s; every silence begins anew", event.stood_s)
        if events:
            self._replan(None)

    # what this peer holds

    def holding_changed(self, holding: Holding, held: bool) -> None:
        """The store has taken a root, or let it go, durably."""
        if holding.changed:
            self.own.note(holding.epoch, holding.seq, Change(holding.root, holding.kind, held))
        awaited = self._awaited.pop(Element(holding.root, holding.kind), None) if held else None
        if awaited is not None:
            awaited.set()
        self._look_at([holding.root])
        log.debug("%s %s", "holds" if held else "let go", cid_text(holding.root))

    async def until_held(self, root: bytes, kind: str) -> None:
        """Wait until this peer holds the root."""
        element = Element(root, kind)
        while element not in self.own.here:
            held = self._awaited.setdefault(element, trio.Event())
            try:
                await held.wait()
            finally:
                if not held.is_set() and not held.statistics().tasks_waiting and self._awaited.get(element) is held:
                    del self._awaited[element]

    def holders(self, root: bytes, kind: str) -> frozenset[str]:
        """Everyone who says that it holds the root, this peer by what its store has."""
        others = frozenset(str(peer) for peer in self.book.holders(root, kind)) - {self.me}
        return others | {self.me} if self.own.holds(root, kind) else others

    def holders_of_any(self, root: bytes) -> frozenset[str]:
        """Everyone who says that it holds the root, on whatever kind."""
        kinds = {*self.book.kinds(root), *self.own.kinds_of(root)}
        return frozenset[str]().union(*(self.holders(root, kind) for kind in kinds))

    def _look_at(self, roots: Iterable[bytes]) -> None:
        roots = frozenset(roots)
        if roots:
            self._replan(roots)
