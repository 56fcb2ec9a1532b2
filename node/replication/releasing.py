"""Letting a copy go, and letting others do so: the lease protocol of `protocol.leases` over the wire.

Asker: 1. begin a round; 2. ask every named holder; 3. check lease and proof; 4. release, in one durable transaction;
5. give the leases back.
Owner: 1. merge and store the asker's pins; 2. decide; 3. fsync the lease; 4. answer with lease and proof.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

import trio

from node.events import wall_ms
from node.replication.planner import Release
from node.replication.proving import blocks_of, proofs, prove
from node.replication.turns import Turns
from node.swarm.names import REPLICA
from node.swarm.records import SharedRecords
from protocol.errors import Reason
from protocol.errors import Refused as WireRefused
from protocol.identity import KeyPair
from protocol.lease_messages import LeaseAnswer, LeaseAsk, LeaseReturn, LeasesOver, open_lease, sign_lease
from protocol.leases import LEASE_MS, Cancel, Lease, Leases, Proceed, Refused
from protocol.limits import LEASE_PINS, PAGE_BYTES
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError, RpcRefused
from protocol.net.rpc import Rpc
from store.clock import steady_s
from store.dag import walk
from store.errors import StoreError
from store.store import Holding, Store

log = logging.getLogger("pinakothek.replication")

FACT = "lease/"
ASK_TIMEOUT_S = 20.0
RETURN_TIMEOUT_S = 5.0
PINS_BYTES = PAGE_BYTES - 4096
"""Of an ask or an answer; the rest of `PAGE_BYTES` is for what is beside them."""
PIN_OVERHEAD_BYTES = 8
PROOFS_AT_ONCE = 4
"""Of each kind. A proof reads a whole root: whoever asks for many must not keep every thread from its work."""

SLOW_READ_S = 10.0
READ_HOLDS_S = 900.0
"""A copy that took longer than the former to read whole counts as read for the latter: an asker gives up before, and asks
again; else a root of many gigabytes would be read over and over, and never let go. Guesses."""


class SteadyClock:
    """Wall-clock milliseconds at the start plus what a clock that never jumps counted since, sleep of the machine included.

    Leases go on ending while their asker's machine is suspended.
    """

    def __init__(self) -> None:
        self._start_ms = wall_ms()
        self._start_s = steady_s()

    def now_ms(self) -> int:
        """Milliseconds since 1970, as this clock has it."""
        return self._start_ms + int((steady_s() - self._start_s) * 1000)


class Releasing:
    """Both sides of the lease protocol for one peer; `counts` says what came of leases since the start.

    Args:
        max_of: the `max` that live pins want of a root on a kind, 0 where none does.
        holds: whether this peer advertises the root complete on the kind.
        blocked: why this peer neither grants nor asks for a lease, or "".
        on_release: called when a root was let go, after that is durable.
    """

    def __init__(
        self,
        store: Store,
        rpc: Rpc,
        records: SharedRecords,
        key: KeyPair,
        *,
        max_of: Callable[[bytes, str], int],
        holds: Callable[[bytes, str], bool],
        blocked: Callable[[], str],
        on_release: Callable[[Holding], None],
    ) -> None:
        self._store = store
        self._rpc = rpc
        self._records = records
        self._key = key
        self._max_of = max_of
        self._holds = holds
        self._blocked = blocked
        self._on_release = on_release
        self._clock = SteadyClock()
        self._proofs = Turns(PROOFS_AT_ONCE)
        kept = map(Lease.from_bytes, store.facts(FACT).values())
        self._leases = Leases(key.peer_id, kept, now_ms=self._clock.now_ms())
        self._told_of_start: set[str] = set()
        self._read_until_s: dict[tuple[bytes, str], float] = {}
        self.counts: Counter[str] = Counter()

    # the asker's side

    async def release(self, release: Release) -> str | None:
        """Let a root go under leases; returns None when it is gone, else why it was kept.

        Raises:
            StoreError: the disk refused; the copy is still here.
        """
        root, kind, kept_on = release.root, release.kind, release.kept_on
        if reason := self._blocked():
            return reason
        nonce = secrets.token_bytes(32)
        if refusal := self._not_here(release):
            return refusal
        begun = self._leases.begin(
            root, kind, release.ask, release.max, nonce=nonce, now_ms=self._clock.now_ms(), kept_on=kept_on
        )
        if isinstance(begun, Refused):
            return begun.detail
        try:
            if kept_on != kind and self._key.peer_id in release.ask:
                await trio.to_thread.run_sync(self._read_all, root, kept_on, limiter=self._proofs.of(kept_on))
            if begun.needed:
                refusal = await self._collect(release, nonce, begun.needed)
                if refusal is not None:
                    return refusal
            # Nothing may happen between these looks and the transaction that depends on them but the thread's start.
            if reason := self._blocked():
                return reason
            if not self._leases.may_release_now(nonce, self._clock.now_ms()):
                return "the leases were too old when it came to releasing"
            if self._max_of(root, kept_on) > release.max or (kept_on != kind and self._max_of(root, kind)):
                return "a pin wants more copies than the leases are for"
            if not release.max and self._records.counting.wanted(root) is not None:
                return "a pin wants it again, on another kind"
            if not release.max and self._records.is_replacing:
                return "pins that were cut short are being put aside"
            if refusal := self._not_here(release):
                return refusal
            holding = await trio.to_thread.run_sync(self._store.release, root, kind)
            if holding is not None:
                self._on_release(holding)
            return None
        finally:
            # Whatever ended the round, everyone who was asked may have granted.
            self._leases.finish(nonce)
            await self._give_back(Cancel(root=root, kind=kept_on, nonce=nonce, reason="over", give_back=begun.needed))

    def _not_here(self, release: Release) -> str | None:
        """Why this peer's own copy on the kind that the root has moved to does not count as one of those that stay."""
        counted = release.kept_on != release.kind and self._key.peer_id in release.ask
        if counted and not self._holds(release.root, release.kept_on):
            return f"this peer does not hold it on {release.kept_on}"
        return None

    async def _collect(self, release: Release, nonce: bytes, needed: frozenset[str]) -> str | None:
        expected = await trio.to_thread.run_sync(
            self._expected, nonce, release.root, release.kind, needed, limiter=self._proofs.of(release.kind)
        )
        refusals: list[str] = []
        proceed = False

        async def ask(owner: str) -> None:
            nonlocal proceed
            outcome = await self._ask(release, nonce, owner, expected[owner])
            self.counts["asked"] += 1
            self.counts["got"] += not isinstance(outcome, Cancel)
            if isinstance(outcome, Proceed):
                proceed = True
            elif isinstance(outcome, Cancel):
                refusals.append(outcome.reason)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for owner in needed:
                nursery.start_soon(ask, owner)
        if proceed:
            return None
        return refusals[0] if refusals else "the round was over before all had answered"

    async def _ask(self, release: Release, nonce: bytes, owner: str, expected: bytes) -> Proceed | Cancel | None:
        pins = self._records.counting.live_pins(release.root)
        ask = LeaseAsk(
            nonce=nonce,
            root=release.root,
            kind=release.kept_on,
            to=self._key.peer_id,
            max=release.max,
            pins=_that_fit(pin.raw for pin in pins),
            until_ms=self._clock.now_ms() + LEASE_MS,
        )
        try:
            await self._tell_of_start(owner)
            raw = await self._rpc.call(owner, REPLICA, write_message(ask), ASK_TIMEOUT_S)
            answer = read_message(raw, (LeaseAnswer,))
            if answer is None:
                return self._leases.refused(nonce, owner, "no answer to what was asked")
            if answer.pins:
                await self._records.accept(answer.pins)
            if not answer.granted or answer.lease is None:
                return self._leases.refused(nonce, owner, answer.reason or "no reason given")
            lease = open_lease(answer.lease)
        except (NetError, WireRefused) as error:
            return self._leases.refused(nonce, owner, str(error))
        if lease.owner != owner or lease.nonce != nonce:
            return self._leases.refused(nonce, owner, "sent a lease that is not its own")
        return self._leases.granted(lease, proven=answer.proof == expected, now_ms=self._clock.now_ms())

    async def _give_back(self, ended: Cancel) -> None:
        """Tell the owners that their leases are no longer needed; who does not hear it is bound for the full hour."""
        message = write_message(LeaseReturn(nonce=ended.nonce, root=ended.root, kind=ended.kind))

        async def tell(owner: str) -> None:
            with suppress(NetError):
                await self._rpc.call(owner, REPLICA, message, RETURN_TIMEOUT_S)

        with trio.CancelScope(shield=True, deadline=trio.current_time() + RETURN_TIMEOUT_S):
            async with trio.open_nursery() as nursery:
                for owner in ended.give_back:
                    nursery.start_soon(tell, owner)

    async def tell_of_start(self, owners: Iterable[str]) -> None:
        """Tell others, once each, that what an earlier start of this peer was leased is over: it may have been killed."""
        for owner in owners:
            with suppress(NetError):
                await self._tell_of_start(owner)

    async def _tell_of_start(self, owner: str) -> None:
        if owner in self._told_of_start:
            return
        try:
            await self._rpc.call(owner, REPLICA, write_message(LeasesOver()), RETURN_TIMEOUT_S)
        except RpcRefused as error:
            if error.code == "busy":
                raise
            log.debug("%s does not end former leases: %s", owner, error)  # an older version; they end within the hour
        self._told_of_start.add(owner)

    # the owner's side

    async def answer(self, asker: str, ask: LeaseAsk) -> LeaseAnswer:
        """Answer an ask for a lease.

        Raises:
            WireRefused: it speaks for somebody else.
        """
        if ask.to != asker:
            raise WireRefused(Reason.NOT_ALLOWED, f"{asker} asks for a lease to {ask.to}")
        await self._records.accept(ask.pins)
        if not await self._records.are_durable():
            return LeaseAnswer(granted=False, reason="the disk refuses the pins")
        return await self._decide(ask)

    async def take_back(self, asker: str, returned: LeaseReturn) -> None:
        """The asker needs its lease no more."""
        lease = self._leases.given_back(returned.root, returned.kind, asker, returned.nonce)
        if lease is not None:
            await trio.to_thread.run_sync(self._store.set_fact, _fact(lease), None)

    async def asker_started(self, asker: str) -> None:
        """The asker has started anew, and uses none of the leases that it was given before."""
        ended = self._leases.over(asker)
        if ended:
            await trio.to_thread.run_sync(self._store.set_facts, dict.fromkeys(map(_fact, ended)))

    async def _decide(self, ask: LeaseAsk) -> LeaseAnswer:
        granted = self._leases.ask(
            ask.root,
            ask.kind,
            ask.to,
            ask.max,
            nonce=ask.nonce,
            now_ms=self._clock.now_ms(),
            complete=self._holds(ask.root, ask.kind),
            known_max=self._max_of(ask.root, ask.kind),
            blocked=self._blocked(),
        )
        self.counts["refused" if isinstance(granted, Refused) else "given"] += 1
        if isinstance(granted, Refused):
            known = self._records.counting.live_pins(ask.root) if granted.reason == "higher_max" else ()
            raws = _that_fit(pin.raw for pin in known if pin.raw not in ask.pins)
            return LeaseAnswer(granted=False, reason=granted.detail, pins=raws)
        lease = granted.lease
        try:
            fact = _fact(lease)
            await trio.to_thread.run_sync(self._store.set_fact, fact, lease.to_bytes())
            turns = self._proofs.of(ask.kind)
            proof = await trio.to_thread.run_sync(self._proof, ask.nonce, ask.root, ask.kind, limiter=turns)
        except StoreError as error:
            return LeaseAnswer(granted=False, reason=f"cannot prove the root: {error}")
        return LeaseAnswer(granted=True, lease=sign_lease(lease, self._key), proof=proof)

    def _proof(self, nonce: bytes, root: bytes, kind: str) -> bytes:
        """The proof, after every block was read: somebody is about to let its own copy go for this one (in a thread)."""
        get = self._store.reader(kind)
        self._read_all(root, kind)
        return prove(nonce, self._key.peer_id, root, get)

    def _read_all(self, root: bytes, kind: str) -> None:
        """Hash every block of a copy here, unless that took long and is not long ago (in a thread)."""
        began_s = steady_s()
        if began_s < self._read_until_s.get((root, kind), began_s):
            return
        for _ in walk(root, self._store.reader(kind)):
            pass
        now_s = steady_s()
        if now_s - began_s > SLOW_READ_S:
            still = {copy: until_s for copy, until_s in self._read_until_s.items() if until_s > now_s}
            self._read_until_s = {**still, (root, kind): now_s + READ_HOLDS_S}

    def _expected(self, nonce: bytes, root: bytes, kind: str, owners: frozenset[str]) -> dict[str, bytes]:
        """What each owner has to prove the root with (in a thread)."""
        get = self._store.reader(kind)
        return proofs(nonce, sorted(owners), blocks_of(root, get), get)

    def bound(self, root: bytes, kind: str) -> bool:
        """Whether this peer has promised to keep the root."""
        return self._leases.bound(root, kind, self._clock.now_ms())

    @property
    def is_bound(self) -> bool:
        """Whether there is any root that this peer has promised to keep."""
        now_ms = self._clock.now_ms()
        return any(lease.until_ms > now_ms for lease in self._leases.leases())

    async def tick(self) -> None:
        """Forget what has ended."""
        now_ms = self._clock.now_ms()
        self._leases.tick(now_ms)
        for lease in self._leases.expire(now_ms):
            await trio.to_thread.run_sync(partial(self._store.set_fact, _fact(lease), None))


def _that_fit(raws: Iterable[bytes]) -> tuple[bytes, ...]:
    """As many pins as one message takes."""
    fitting: list[bytes] = []
    room = PINS_BYTES
    for raw in raws:
        room -= len(raw) + PIN_OVERHEAD_BYTES
        if room < 0 or len(fitting) == LEASE_PINS:
            break
        fitting.append(raw)
    return tuple(fitting)


def _fact(lease: Lease) -> str:
    return f"{FACT}{lease.root.hex()}/{lease.kind}/{lease.to}/{lease.nonce.hex()}"
