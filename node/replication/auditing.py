"""Challenge the other holders of what this peer holds, at random times, and act on what `protocol.audit` makes of it.

Each root held here is challenged once in about `PERIOD_S`, all its other live holders at once, in an order and at
times that nobody can foresee: the pauses are exponentially distributed. A copy that failed is challenged again at the
machine's pace. A challenger checks against its own bytes, so it finds its own bad blocks first.
"""

import logging
import math
import random
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import trio

from node.replication.proofs import Proofs
from node.replication.proving import blocks_of, proofs
from node.replication.turns import Turns
from node.swarm.knowledge import Knowledge
from node.swarm.names import AUDIT, REPLICA
from protocol.audit import Audits, Copy, Effect, Judged, Outcome, Publish
from protocol.audit_messages import AuditAnswer, AuditAsk
from protocol.errors import Reason, Refused
from protocol.holdings_messages import Element
from protocol.identity import PeerId
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError
from protocol.net.rpc import Rpc
from protocol.receipt_messages import Doubt, DoubtNotice, open_doubt, sign_doubt
from store.cid import cid_text
from store.errors import StoreError
from store.store import Store

log = logging.getLogger("pinakothek.audit")

PERIOD_S = 14 * 86_400.0
"""From one challenge of a root's holders to the next, on average. Guess: a fortnight of 100,000 roots is a read of a
whole image every twelve seconds."""
LEAST_GAP_S = 2.0
"""Between two random challenges, whatever is held: above 600,000 roots the period grows instead."""
LOOK_S = 30.0
CALL_TIMEOUT_S = 30.0
NOTICE_TIMEOUT_S = 10.0
NOTICES_AT_ONCE = 4
NOTICES_WAITING = 1000
RECHECKS_AT_ONCE = 8
ROOTS_AT_ONCE = 4
"""Of an audit that the operator asked for."""
AUDITED_STATES = frozenset({"alive", "draining"})


@dataclass(slots=True)
class AuditCounts:
    """Challenges since the start, by what came of them; `wrong`: answered without the right proof."""

    challenges: int = 0
    proven: int = 0
    wrong: int = 0
    silent: int = 0
    doubts_published: int = 0
    doubts_heard: int = 0

    def take(self, outcome: Outcome) -> None:
        """Count one."""
        self.challenges += 1
        match outcome:
            case "proven":
                self.proven += 1
            case "wrong" | "unable":
                self.wrong += 1
            case "silent":
                self.silent += 1


class Auditing:
    """The challenging side of one peer; what it doubts is what `Beliefs` asks it.

    Args:
        now_ms: the wall clock at the start plus what a clock that never jumps has counted since.
        blocked: why nothing may be concluded from silence now, or None.
        owners_of: who is to hold a root on a kind, those that make a copy now included.
        on_unreadable: a block of this peer's own copy cannot be read.
        on_doubted: somebody doubts this peer's own copy of a root.
        on_judged: the roots of these copies are to be planned anew.

    Attributes:
        counts: since the start.
        unreadable: `on_unreadable`, for whoever else finds a block so.
    """

    def __init__(
        self,
        rpc: Rpc,
        store: Store,
        knowledge: Knowledge,
        *,
        now_ms: Callable[[], int],
        blocked: Callable[[], str | None],
        owners_of: Callable[[bytes, str], Sequence[str]],
        on_unreadable: Callable[[], None],
        on_doubted: Callable[[bytes, str], None],
        on_judged: Callable[[list[bytes]], None],
        chance: random.Random | None = None,
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._knowledge = knowledge
        self._now_ms = now_ms
        self._blocked = blocked
        self._owners_of = owners_of
        self.unreadable = on_unreadable
        self._on_doubted = on_doubted
        self._on_judged = on_judged
        self._chance = chance or random.SystemRandom()
        self._reading = Turns(2)
        self._left: list[Element] = []
        self._random_at_ms: float | None = None
        self._notices, self._outbox = trio.open_memory_channel[tuple[str, bytes]](NOTICES_WAITING)
        self.proofs = Proofs(store)
        self.audits = Audits(self.proofs.doubtful(), now_ms=now_ms())
        self.counts = AuditCounts()

    # what Beliefs asks

    def unproven(self, root: bytes, kind: str) -> frozenset[str]:
        """See `node.replication.beliefs.Doubts`."""
        return self.audits.unproven(root, kind)

    def absent(self, root: bytes, kind: str) -> frozenset[str]:
        """See `node.replication.beliefs.Doubts`."""
        return self.audits.absent(root, kind, holds=self._knowledge.own.holds(root, kind))

    # the schedule

    async def work(self) -> float:
        """Challenge what is due; the seconds until more may be. Raises: StoreError: the disk refuses what is to be kept."""
        now_ms = self._now_ms()
        self._apply(self.audits.tick(now_ms))
        if self._blocked() is None:
            await self._challenge_due(now_ms)
            await self._challenge_at_random()
        await trio.to_thread.run_sync(self.proofs.save)
        return self._until_next_s()

    async def _challenge_due(self, now_ms: int) -> None:
        for copy in self.audits.heard_of():
            if self._knowledge.own.holds(copy.root, copy.kind):  # since it was heard of: now this peer can tell
                self.audits.suspect(copy, now_ms, spread=self._chance.random())
        async with trio.open_nursery() as nursery:
            for copy in self.audits.due(now_ms, RECHECKS_AT_ONCE):
                nursery.start_soon(self._recheck, copy)

    async def _recheck(self, copy: Copy) -> None:
        holders = self._knowledge.holders(copy.root, copy.kind)
        if copy.holder not in holders or self._knowledge.me not in holders:
            self._apply(self.audits.gone(copy))
            self.proofs.doubts_changed(copy, None)
        elif copy.holder not in self._audited(holders):
            self.audits.out_of_reach(copy, self._now_ms())
            self._on_judged([copy.root])  # whether its copy is to be replaced depends on whether it is there
        else:
            await self.challenge(copy.root, copy.kind, [copy.holder])

    async def _challenge_at_random(self) -> None:
        if self._random_at_ms is None or self._now_ms() < self._random_at_ms:
            return
        self._random_at_ms = None
        element = await self._pick()
        if element is not None:
            await self.challenge(*element, sorted(self._audited(self._knowledge.holders(*element))))

    async def _pick(self) -> Element | None:
        """A root held here: all of them in turn, in an order drawn as it goes."""
        if not self._left:
            self._left = list(self._knowledge.own.here)
            await trio.to_thread.run_sync(self.proofs.forget_all_but, list(self._left))
        while self._left:
            at = self._chance.randrange(len(self._left))
            self._left[at], self._left[-1] = self._left[-1], self._left[at]
            element = self._left.pop()
            if element in self._knowledge.own.here:
                return element
        return None

    def _until_next_s(self) -> float:
        """The pauses are memoryless, so one that is longer than the next look is drawn anew then."""
        now_ms = self._now_ms()
        if self._random_at_ms is None and self._knowledge.own.here:
            gap_s = self._chance.expovariate(1.0) * max(LEAST_GAP_S, PERIOD_S / len(self._knowledge.own.here))
            self._random_at_ms = now_ms + gap_s * 1000 if gap_s <= LOOK_S else None
        due_ms = self.audits.next_due_ms()
        following_ms = min(self._random_at_ms or math.inf, math.inf if due_ms is None else due_ms)
        return max(1.0, min(LOOK_S, (following_ms - now_ms) / 1000))

    def _audited(self, holders: Iterable[str]) -> set[str]:
        """Those of `holders` that ought to answer now."""
        now_s = trio.current_time()
        found = set()
        for holder in holders:
            peer = self._knowledge.membership.get(holder)
            if peer is not None and peer.standing.member and peer.state(now_s) in AUDITED_STATES:
                found.add(holder)
        return found

    # one challenge

    async def challenge(self, root: bytes, kind: str, holders: Sequence[str]) -> dict[str, Outcome]:
        """Have these holders prove a root that is held here; what came of it, nothing where it cannot be read here."""
        if not holders:
            return {}
        nonce = secrets.token_bytes(32)
        try:
            turns = self._reading.of(kind)
            expected = await trio.to_thread.run_sync(self._expected, nonce, root, kind, holders, limiter=turns)
        except StoreError as error:
            log.warning("%s is not audited: %s", cid_text(root), error)
            self.unreadable()
            return {}
        self.proofs.note(Copy(root, kind, self._knowledge.me), self._now_ms())
        outcomes: dict[str, Outcome] = {}

        async def ask(holder: str) -> None:
            copy = Copy(root, kind, holder)
            outcome = await self._ask(copy, nonce, expected[holder])
            if self._conclude(copy, outcome):
                outcomes[holder] = outcome

        async with trio.open_nursery() as nursery:
            for holder in holders:
                nursery.start_soon(ask, holder)
        return outcomes

    def _expected(self, nonce: bytes, root: bytes, kind: str, holders: Sequence[str]) -> dict[str, bytes]:
        get = self._store.reader(kind)
        return proofs(nonce, holders, blocks_of(root, get), get)

    async def _ask(self, copy: Copy, nonce: bytes, expected: bytes) -> Outcome:
        doubted = self.audits.verdict_on(copy) != "trusted"
        ask = AuditAsk(nonce=nonce, root=copy.root, kind=copy.kind, recheck=doubted)
        try:
            raw = await self._rpc.call(copy.holder, AUDIT, write_message(ask), CALL_TIMEOUT_S)
            answer = read_message(raw, (AuditAnswer,))
        except NetError as error:
            log.debug("%s does not prove %s: %s", copy.holder, cid_text(copy.root), error)
            return "silent"
        except Refused as error:
            log.info("%s answers a challenge with what is no answer: %s", copy.holder, error)
            return "unable"
        if answer is None or answer.proof is None:
            log.info("%s does not prove %s: %s", copy.holder, cid_text(copy.root), answer.reason if answer else "")
            return "unable"
        return "proven" if answer.proof == expected else "wrong"

    def _conclude(self, copy: Copy, outcome: Outcome) -> bool:
        """Take an outcome in, unless it says nothing any more."""
        holders = self._knowledge.holders(copy.root, copy.kind)
        gone = copy.holder not in holders or self._knowledge.me not in holders
        if gone and outcome == "silent":
            return False
        self.counts.take(outcome)
        now_ms = self._now_ms()
        if gone:  # retracted, perhaps because of this challenge
            self._apply(self.audits.gone(copy))
            self.proofs.doubts_changed(copy, None)
            return True
        if outcome == "proven":
            self.proofs.note(copy, now_ms)
        elif outcome == "silent" and copy.holder not in self._audited([copy.holder]):
            self.audits.out_of_reach(copy, now_ms)
            return True
        doubted = self.audits.entry(copy) is not None
        self._apply(self.audits.answered(copy, outcome, now_ms, spread=self._chance.random()))
        if doubted or outcome != "proven":
            self.proofs.doubts_changed(copy, self.audits.entry(copy))
        return True

    # doubts

    def _apply(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Publish):
                self._publish(effect)
            else:
                self._tell(effect)
        judged = [effect.copy.root for effect in effects if isinstance(effect, Judged)]
        if judged:
            self._on_judged(judged)

    def _tell(self, judged: Judged) -> None:
        root, _, holder = judged.copy
        kind = "proven" if judged.verdict == "trusted" else "proven_wrong" if judged.verdict == "lost" else "doubt"
        detail = f"{judged.verdict}: {judged.reason}"
        self._knowledge.events.tell(kind, root=cid_text(root), peer_id=holder, detail=detail)
        log.info("the copy of %s on %s is %s: %s", cid_text(root), holder, judged.verdict, judged.reason)

    def _publish(self, publish: Publish) -> None:
        root, kind, holder = publish.copy
        me = self._knowledge.me
        told = set(self._knowledge.holders(root, kind)) | {holder}
        if publish.widely:
            told |= set(self._owners_of(root, kind))
        doubt = Doubt(root=root, kind=kind, holder=PeerId(holder), challenger=PeerId(me), at_ms=max(0, self._now_ms()))
        message = write_message(DoubtNotice(doubt=sign_doubt(doubt, self._knowledge.key)))
        self.counts.doubts_published += 1
        for peer in sorted(self._audited(told - {me})):
            try:
                self._notices.send_nowait((peer, message))
            except trio.WouldBlock:  # it is told anew when the doubt is renewed
                log.info("a doubt of %s is not told to %s: too many wait", cid_text(root), peer)

    async def run(self) -> None:
        """Send doubts to whom they concern, until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(NOTICES_AT_ONCE):
                nursery.start_soon(self._send_notices)

    async def _send_notices(self) -> None:
        async for peer, message in self._outbox:
            try:
                await self._rpc.call(peer, REPLICA, message, NOTICE_TIMEOUT_S)
            except NetError as error:
                log.debug("%s was not told of a doubt: %s", peer, error)

    def heard(self, peer_id: str, notice: DoubtNotice) -> None:
        """Another member publishes a doubt. Raises: Refused: it is not its own."""
        doubt = open_doubt(notice.doubt)
        if doubt.challenger != peer_id:
            raise Refused(Reason.NOT_ALLOWED, f"{peer_id} passes on a doubt of {doubt.challenger}")
        if doubt.holder == self._knowledge.me:
            if self._knowledge.own.holds(doubt.root, doubt.kind):
                self._on_doubted(doubt.root, doubt.kind)
            return
        if doubt.holder not in self._knowledge.holders(doubt.root, doubt.kind) or doubt.holder == peer_id:
            return
        self.counts.doubts_heard += 1
        holds = self._knowledge.own.holds(doubt.root, doubt.kind)
        copy = Copy(doubt.root, doubt.kind, doubt.holder)
        self._apply(self.audits.doubted(copy, peer_id, self._now_ms(), holds=holds, spread=self._chance.random()))

    # on demand

    async def audit_all(self, elements: Iterable[Element] | None = None) -> AuditCounts:
        """Challenge every live holder of these roots, or of all that are held here, and return when that is done."""
        counts = AuditCounts()
        queue = iter(list(self._knowledge.own.here if elements is None else elements))

        async def worker() -> None:
            for element in queue:
                if not self._knowledge.own.holds(*element):
                    continue
                holders = sorted(self._audited(self._knowledge.holders(*element)))
                for outcome in (await self.challenge(*element, holders)).values():
                    counts.take(outcome)

        async with trio.open_nursery() as nursery:
            for _ in range(ROOTS_AT_ONCE):
                nursery.start_soon(worker)
        await trio.to_thread.run_sync(self.proofs.save)
        return counts
