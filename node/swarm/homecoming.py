"""Coming home after 29 days or more: until its records are sorted out nobody takes them over (`protocol.touch`).

1. Heartbeats tell with whom this peer agrees, and so until when it was in touch; that is kept over restarts.
2. After too long it says that it is unsynced, answers no sync of records, gossips nothing old, and asks for no lease.
3. It compares itself with one member after another that was in touch, until they are a majority.
4. What none of them has is kept, signed anew or put aside; or, with no such majority, all stays as it is.
"""

import logging
import random
from collections.abc import Callable, Mapping, Sequence

import trio

from node.events import instant, wall_ms
from node.swarm.catching_up import CatchingUp
from node.swarm.heard import Heard
from node.swarm.knowledge import Knowledge
from node.swarm.set_aside import SetAside
from node.swarm.sparing import WantedUntil
from protocol.beat import SignedBeat
from protocol.errors import Refused
from protocol.identity import PeerId
from protocol.life import is_deleted
from protocol.net.errors import NetError
from protocol.net.redial import Backoff
from protocol.records import Pin, Record, Signed
from protocol.stamp import Stamp
from protocol.touch import MISSED_MS, Agreement, Aside, CompareWith, GoOn, SortOut, Touch, next_step, renewed, sort_out
from store.cid import cid_text
from store.store import Store

log = logging.getLogger("pinakothek.swarm")

FACT = "touch"
LOOK_S = 1.0
TOLD_EACH = 100
"""Records put aside that are an event of their own; `records/` has them all."""


def load_touch(store: Store, heard: Mapping[PeerId, Heard], newest: Stamp) -> Touch:
    """Until when this peer was in touch, as it was last written down.

    A new peer is in touch; one whose catalogue is gone was so when it last heard anybody, at the latest. Where that is not
    known either, as in what a backup was restored to, its newest record is all that says how old its records are.

    Args:
        newest: of the records that it has.
    """
    raw = store.fact(FACT)
    if raw is not None:
        try:
            return Touch.from_bytes(raw)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("when this peer was last in touch is not readable: %s", error)
    if (store.rebuilt or raw is not None) and heard:
        return Touch(max(one.at_ms for one in heard.values()))
    return Touch(min(newest.ms, wall_ms()) if store.rebuilt else wall_ms())


class Homecoming:
    """Of this peer.

    Args:
        linked: members that are connected.
        on_over: its records are sorted out; whoever plans looks at these roots again.
    """

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        catching_up: CatchingUp,
        aside: SetAside,
        touch: Touch,
        *,
        linked: Callable[[], frozenset[str]],
        on_over: Callable[[frozenset[bytes]], None],
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._records = knowledge.records
        self._catching_up = catching_up
        self._aside = aside
        self._linked = linked
        self._on_over = on_over
        self._agreement = Agreement(knowledge.me, touch)
        self._saved: Touch | None = None
        self._lacking: dict[str, list[Signed[Record]]] = {}
        self._known_there: set[bytes] = set()  # keys
        self._were_unsynced: set[str] = set()
        self._lost_some: set[str] = set()
        self._backoff = Backoff()
        self._heard_since_s: float | None = None
        self._waits_for = ""
        knowledge.records.on_learned = lambda oldest: self._agreement.learned(oldest, self._now_ms())
        self.is_unsynced = touch.unsynced(self._now_ms())

    def _now_ms(self) -> int:
        """By the others' clocks where ours is off: a clock that stood still must not make an absence short."""
        clock = self._knowledge.membership.clock()
        return wall_ms() - ((clock.ahead_ms or 0) if clock.wrong or clock.doubtful else 0)

    # what others see of it

    @property
    def unsynced_since_ms(self) -> int | None:
        """When this peer was last in touch, if that is too long ago."""
        return max(0, self._agreement.touch.at_ms) if self.is_unsynced else None

    def reason(self) -> str:
        """Why nobody may take over records of this peer, nor it ask for leases with them, or ""."""
        if not self.is_unsynced:
            return ""
        return f"this peer was last in touch {instant(self._agreement.touch.at_ms)} and sorts out its records"

    def describe(self) -> str:
        """What `doctor` says."""
        waits = f"; {self._waits_for}" if self.is_unsynced and self._waits_for else ""
        return (self.reason() or f"last in touch {instant(self._agreement.touch.at_ms)}") + waits

    def may_tell(self, records: Sequence[Signed[Record]]) -> list[Signed[Record]]:
        """Those of these records that gossip may carry: of an unsynced peer only what cannot have been forgotten."""
        if not self.is_unsynced:
            return list(records)
        since_ms = self._now_ms() - MISSED_MS
        return [signed for signed in records if signed.stamp.ms > since_ms]

    # touch

    def heard(self, signed: SignedBeat) -> None:
        """A member's heartbeat, its signature checked."""
        shared = self._records.settled
        if shared is not None and signed.beat.records_digest == self._records.counting.digest:
            self._agreement.agrees(signed.sender, self._now_ms(), shared)

    def _look(self) -> None:
        members = self._records.counting.members()
        if self._knowledge.me in members:
            touch, now_ms = self._agreement.touch, self._now_ms()
            clock = self._knowledge.membership.clock()
            is_sure = clock.peers > 0 and not clock.doubtful
            touch = self._agreement.look(members, now_ms, self._records.settled or touch.shared, is_sure=is_sure)
            self.is_unsynced = touch.unsynced(now_ms)

    async def save(self) -> None:
        """Keep it for the next start. Raises: StoreError."""
        touch = self._agreement.touch
        if touch != self._saved:
            await trio.to_thread.run_sync(self._store.set_fact, FACT, touch.to_bytes())
            self._saved = touch

    # coming home

    async def work(self) -> float:
        """Do the next step, if this peer is unsynced; the seconds until there may be another. Raises: StoreError."""
        self._look()
        if self.is_unsynced:
            await self._step()
        else:
            self._forget()
        return LOOK_S

    async def _step(self) -> None:
        now_s = trio.current_time()
        spoken = self._spoken()
        if spoken and self._heard_since_s is None:
            self._heard_since_s = now_s
        self._were_unsynced |= self.unsynced()
        self._lost_some |= self._recovering()
        step = next_step(
            self._records.counting.members(),
            [peer for peer in spoken & self._linked() if self._backoff.due(peer, now_s)],
            self._were_unsynced,
            self._lacking,
            0.0 if self._heard_since_s is None else now_s - self._heard_since_s,
            self._knew(),
        )
        if isinstance(step, CompareWith):
            await self._compare_with(step.peer)
        elif isinstance(step, SortOut):
            await self._sort_out(step.records)
        elif isinstance(step, GoOn):
            await self._go_on(f"nothing was sorted out: {step.reason}")
        else:
            self._waits_for = step.reason

    def _spoken(self) -> frozenset[str]:
        peers = self._knowledge.membership.peers().items()
        return frozenset(peer_id for peer_id, peer in peers if peer.sees == "alive" and peer.standing.member)

    def unsynced(self) -> frozenset[str]:
        """Other members that say so of themselves."""
        peers = self._knowledge.membership.peers().items()
        return frozenset(
            peer_id for peer_id, peer in peers if peer.beat is not None and peer.beat.unsynced_since_ms is not None
        )

    def _recovering(self) -> frozenset[str]:
        """Others that say that their catalogue is gone, or is an old one: what they lack they need not have let go."""
        peers = self._knowledge.membership.peers().items()
        return frozenset(
            peer_id for peer_id, peer in peers if peer.beat is not None and peer.beat.state == "recovering"
        )

    def _knew(self) -> frozenset[str] | None:
        """See `next_step`."""
        agreed_with = self._agreement.touch.agreed_with
        return frozenset(agreed_with) - {self._knowledge.me} - self._lost_some if agreed_with else None

    async def _compare_with(self, peer: str) -> None:
        try:
            self._lacking[peer], others = await self._catching_up.lacking(peer)
            self._known_there |= others
            self._backoff.reset(peer)
        except (NetError, Refused, trio.TooSlowError) as error:
            log.info("not compared with %s: %s", peer, error)
            self._backoff.failed(peer, trio.current_time(), random.random())

    async def _sort_out(self, lacking: Sequence[Signed[Record]]) -> None:
        counting, now_ms = self._records.counting, self._now_ms()
        authors = {author.peer_id: author for author in (self._records.author, self._records.steward_key) if author}
        still = [signed for signed in lacking if counting.get(signed.key) == signed]
        found = sort_out(still, authors.keys(), self._agreement.touch, now_ms, self._known_there)
        for signed in found.renew:
            await self._records.write_by(authors[signed.author], renewed(signed.record, now_ms))  # type: ignore[type-var]
        _, latest_ms = self._knowledge.membership.span_ms(wall_ms())
        await self._aside.put(found.aside, latest_ms, counting.trash_days)
        await self._records.set_aside([aside.signed for aside in found.aside])
        self._tell_of(found.aside)
        await self._go_on(f"{len(found.renew)} records were signed anew, {len(found.aside)} put aside")

    def _tell_of(self, asides: Sequence[Aside]) -> None:
        for aside in asides[:TOLD_EACH]:
            record = aside.signed.record
            root = cid_text(record.root) if isinstance(record, Pin) else None
            named = "" if isinstance(record, Pin) else f"flow {getattr(record, 'name', '')}: "
            self._knowledge.events.tell(
                "put_aside", root=root, peer_id=aside.signed.author, detail=named + aside.reason
            )

    async def _go_on(self, detail: str) -> None:
        since_ms = self._agreement.touch.at_ms
        self._agreement.resume(self._now_ms())
        self.is_unsynced = False
        self._forget()
        log.warning("back after an absence since %s: %s", instant(since_ms), detail)
        self._knowledge.events.tell("homecoming", detail=f"last in touch {instant(since_ms)}; {detail}")
        self._on_over(frozenset(self._aside.roots))
        await self.save()

    def _forget(self) -> None:
        """What was found out on the way; the next time it is another swarm."""
        self._lacking.clear()
        self._known_there.clear()
        self._were_unsynced.clear()
        self._lost_some.clear()
        self._heard_since_s, self._waits_for = None, ""

    async def accept(self) -> str:
        """The operator says that all that this peer has is to count; what to tell him. Raises: StoreError."""
        if not self.is_unsynced:
            return ""
        await self._go_on("the operator accepts all that this peer has")
        return "its records count as they are; "

    async def tidy(self) -> None:
        """Let go of what was put aside long enough ago, or is wanted again. Raises: StoreError."""
        if self.is_unsynced:
            return  # what is being put aside counts until all of it is there, and so its roots are wanted still
        if keys := self._aside.over(self._surely_ms(), WantedUntil(self._records.counting), self._is_purged):
            self._on_over(frozenset(await self._aside.drop(keys)))

    def _surely_ms(self) -> int:
        """The earliest that it may be; 0 where our clock alone says it, and there are others: nothing ends by that."""
        membership = self._knowledge.membership
        is_alone = len(self._records.counting.members()) <= 1
        return membership.span_ms(wall_ms())[0] if is_alone or membership.clock().peers else 0

    def _is_purged(self, key: bytes) -> bool:
        found = self._records.counting.get(key)
        return found is not None and is_deleted(found.record)
