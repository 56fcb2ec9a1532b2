"""A daemon that runs: its tasks, its periodic work, and what happens when one part has news for another."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import trio

from node.events import wall_ms
from node.parts import Parts
from node.replication.claims import Claims
from node.replication.ever_held import EverHeld
from node.replication.recovering import Recovering
from node.replication.releasing import Releasing
from node.replication.vigil import Vigil
from node.self_description import SelfDescription
from node.supervisor import Worker, run_workers
from node.swarm import ports
from node.swarm.absentees import Absentees
from node.swarm.belonging_watch import BelongingWatch
from node.swarm.catching_up import CatchingUp
from node.swarm.comeback import Comeback
from node.swarm.contacts import Contacts
from node.swarm.gatekeeping import Gatekeeping, dial_anew
from node.swarm.heard import Heard, heard_lately, save_heard
from node.swarm.homecoming import Homecoming
from node.swarm.listening import Listening
from protocol.beat import SignedBeat
from protocol.changes import Changes
from protocol.identity import PeerId
from store.errors import DiskFailed, StoreError, StoreFull
from store.store import Owner

if TYPE_CHECKING:
    from node.assembly.hooks import Hooks

log = logging.getLogger("pinakothek.daemon")

TICK_S = 1.0
RECORDS_DUE_S = 5.0
HOUSEKEEPING_S = 60.0
TOLD_OF_START_S = 5.0


class InviteDoor(Protocol):
    """What the daemon needs of `operations`: when strangers may join, and that it hears of changed roots."""

    invites_open_until_ms: int

    def roots_changed(self, roots: "Sequence[bytes] | frozenset[bytes]") -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Parts that only the daemon itself has to do with."""

    contacts: Contacts
    listening: Listening
    catching_up: CatchingUp
    homecoming: Homecoming
    comeback: Comeback
    releasing: Releasing
    recovering: Recovering
    about: SelfDescription
    gatekeeping: Gatekeeping
    belonging: BelongingWatch
    vigil: Vigil
    heard_before: Mapping[PeerId, Heard]
    ever_held: EverHeld
    claims: Claims
    absentees: Absentees


class Daemon:
    """The parts, running."""

    def __init__(self, parts: Parts, inner: Inner) -> None:
        self.parts = parts
        self._inner = inner
        self._contacts = inner.contacts
        self._catching_up = inner.catching_up
        self._operations: InviteDoor | None = None
        self._start_quiet_until_s = parts.knowledge.membership.plans_blocked_until_s
        self._pass_missed = True
        self._forgot = False
        self._retraction = Worker("unreadable", parts.retracting.work)

    def connect(self, hooks: "Hooks") -> None:
        """Let the parts tell one another."""
        parts = self.parts
        hooks.change = self._records_changed
        hooks.news = lambda news: parts.speaking.tell_records(self._inner.homecoming.may_tell(news))
        hooks.replan = parts.controller.replan
        hooks.step = parts.speaking.tell_holdings
        hooks.beat = self._heard
        hooks.swarm_ms = lambda: parts.knowledge.membership.swarm_ms(wall_ms())
        hooks.invites_open = self._invites_open
        hooks.unreadable = self._retraction.nudge
        hooks.blocked = self.blocked
        hooks.offering = self._orders_changed
        hooks.lately_heard = self.lately_heard
        parts.host.on_connected.append(self._connected)
        parts.orders.listeners.append(self._orders_changed)
        self._inner.gatekeeping.moved(set())
        parts.knowledge.standings_changed()

    @property
    def is_newcomer(self) -> bool:
        """Others are members, and no pin is known here yet: they will bring all there are, as soon as one is reached."""
        counting = self.parts.records.counting
        return not counting.pin_count and len(counting.members()) > 1

    def connect_operations(self, operations: InviteDoor) -> None:
        """Let the service hear of changes, and say when invites are open."""
        self._operations = operations

    async def start(self, nursery: trio.Nursery, stop: trio.Event, *, grace_s: float) -> None:
        """Start the network, then those who act on what it brings; what faces the operator is not among them.

        Args:
            stop: ends the workers; what one has in hand then has `grace_s` to finish.

        Raises:
            ListenFailed: an address cannot be listened on.
        """
        parts = self.parts
        await nursery.start(parts.bitswap.run)
        listen, data_dir = parts.settings.config.listen, parts.settings.config.data_dir
        await nursery.start(parts.host.run, ports.usual(data_dir, listen))
        await trio.to_thread.run_sync(ports.remember, data_dir, listen, parts.host.addrs)
        await nursery.start(parts.executor.run)
        if self._belongs() and len(parts.records.counting.members()) > 1:
            self._catching_up.trigger.ask_anyone()
        for task in self.tasks():
            nursery.start_soon(task)
        nursery.start_soon(partial(run_workers, self.workers(), stop, grace_s=grace_s))

    def tasks(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What runs until the stop, beside the network, the executor and the workers."""
        return (
            self._inner.listening.run,
            self._inner.comeback.run,
            self.parts.speaking.run,
            self._catching_up.run,
            self._contacts.redial.run,
            self.parts.controller.run,
            self.parts.audited.run,
            self.parts.auditing.run,
        )

    def workers(self) -> tuple[Worker, ...]:
        """What is done every so often."""
        return (
            Worker("liveness", self._tick),
            Worker("expiry", self._let_time_act),
            Worker("housekeeping", self._keep_house),
            self._retraction,
            Worker("disk", self.parts.disk.work),
            Worker("backends", self.parts.backends.work),
            Worker("claims", self._inner.claims.work),
            Worker("audit", self.parts.auditing.work),
            Worker("scrub", self.parts.scrubbing.work),
            Worker("recovery", self._inner.recovering.work),
            Worker("leases", self._tell_of_start),
            Worker("homecoming", self._inner.homecoming.work),
            Worker("belonging", self._inner.belonging.work),
            Worker("absentees", self._inner.absentees.work),
            Worker("drain", self.parts.draining.work),
            Worker("twins", self.parts.twins.work),
        )

    async def finish(self) -> None:
        """Before the stop: give back what others have promised, keep what the next start should know."""
        with trio.move_on_after(2):
            await self.parts.executor.stop()
        with trio.move_on_after(2):
            try:
                await self._save_what_was_heard()
                await self._inner.absentees.work()
            except (StoreError, OSError) as error:
                log.warning("what was heard of members is not saved: %s", error)

    def blocked(self) -> str | None:
        """Why nothing may be planned now, or None.

        Who is no member plans nothing: an expelled peer's copies stay where they are. After a start nothing is planned until every member was heard and its holdings are known, or until the quiet time
        that membership sets is over; after a freeze always until the latter.
        """
        if not self._belongs():
            return "this peer is no member"
        if unjudged := self.parts.records.unjudged():
            self._pass_missed = True
            return unjudged
        now_s = trio.current_time()
        membership = self.parts.knowledge.membership
        self.parts.knowledge.tick()  # whoever looks first after a standstill is to notice it
        if membership.may_plan(now_s):
            return None
        if membership.plans_blocked_until_s == self._start_quiet_until_s and self._all_is_known():
            return None
        self._pass_missed = True  # whoever asked leaves it at that, so everything is planned once this is over
        return f"{membership.plans_blocked_until_s - now_s:.0f} s of quiet after start or standstill"

    def _all_is_known(self) -> bool:
        knowledge = self.parts.knowledge
        for peer_id, peer in knowledge.membership.peers().items():
            if not peer.standing.member:
                continue
            holdings = knowledge.book.of(peer_id)
            if peer.sees != "alive" or holdings.known is None or holdings.known != holdings.newest:
                return False
        return len(self.parts.records.counting.members()) <= 1 or self._catching_up.synced.is_set()

    def _records_changed(self, changes: Changes) -> None:
        parts = self.parts
        if changes.roots:
            parts.lookup.changed(changes.roots)
            parts.similarity.changed(changes.roots)
            if self._operations is not None:
                self._operations.roots_changed(changes.roots)
            parts.executor.work.ask_again(changes.roots)
            parts.controller.replan(changes.roots)
        if changes.charter:  # its bounds and its default decide the factors of all roots
            parts.controller.replan(parts.records.counting.roots())
        if changes.flows or changes.charter:
            parts.controller.replan(None)
        if changes.roles or changes.charter:
            parts.knowledge.standings_changed()
            self._rights_moved()

    def _rights_moved(self) -> None:
        """Connections of peers that may do more than before, or less, are closed and dialled anew."""
        host = self.parts.host
        for peer_id in self._inner.gatekeeping.moved(host.connected()):
            host.spawn(dial_anew, host, peer_id)

    def _belongs(self) -> bool:
        return self.parts.records.counting.is_member(self.parts.key.peer_id)

    def _heard(self, signed: SignedBeat) -> None:
        self._contacts.heard(signed)
        self.parts.storm.hear(signed.beat, wall_ms())
        ours = self.parts.records.counting.digest
        self._catching_up.trigger.on_beat(signed.sender, signed.beat.records_digest, ours, trio.current_time())
        self._inner.homecoming.heard(signed)

    def _connected(self, peer_id: str) -> None:
        if self.parts.records.counting.is_member(peer_id):
            self.parts.speaking.beat_soon()
            self._catching_up.look_soon()

    def _orders_changed(self) -> None:
        """This peer says something else of itself now: the others hear it at once, and everything is planned anew."""
        self.parts.speaking.beat_soon()
        self.parts.controller.replan(None)

    def _invites_open(self) -> bool:
        return self._operations is not None and self._operations.invites_open_until_ms > wall_ms()

    async def _tick(self) -> float:
        self.parts.knowledge.tick()
        work = self.parts.executor.work
        self.parts.pace.note(work.received_bytes, trio.current_time(), busy=work.is_fetching)
        self._inner.vigil.look()
        if self.parts.orders.look():
            self.parts.events.tell("maintenance", detail="over")
        blocked = self.blocked() is not None
        if self._pass_missed and not blocked:
            self._pass_missed = False
            self._inner.ever_held.holders_known = True
            self.parts.controller.replan(None)
        self.parts.storm.mass_loss_now(wall_ms())
        self._inner.about.crowded_out = self.parts.controller.last_plan.crowded_out
        self.parts.controller.tick()
        return TICK_S

    async def _let_time_act(self) -> float:
        if self.parts.knowledge.membership.clock().wrong:
            await self.parts.records.ripen()
        elif self._time_acts():
            await self.parts.records.due()
        else:
            await self.parts.records.make_up()
        return RECORDS_DUE_S

    def _time_acts(self) -> bool:
        """Nothing ends while it may be our clock that is wrong, nor at a start before two others were heard."""
        membership = self.parts.knowledge.membership
        clock = membership.clock()
        others = sum(1 for peer in membership.peers().values() if peer.standing.member)
        compared = clock.peers >= min(2, others) or membership.may_plan(trio.current_time())
        return compared and not clock.wrong and not self.parts.store.rebuilt

    async def _keep_house(self) -> float:
        """Each part by itself: a disk too full for one is the reason to do the one that makes room. Raises: ExceptionGroup."""
        failures: list[StoreError | OSError] = []
        for part in (self._save_what_was_heard, self._tidy, self._let_go, self._remember_what_was_held):
            try:
                await part()
            except (StoreError, OSError) as error:
                failures.append(error)
        for failure in failures:
            if isinstance(failure, StoreFull | DiskFailed):  # that is told of before somebody needs the disk
                self._inner.about.disk_refused(str(failure))
        if failures:
            raise ExceptionGroup("housekeeping", failures)
        return HOUSEKEEPING_S

    async def _tidy(self) -> None:
        await self._inner.releasing.tick()
        if self._time_acts():
            await self._inner.homecoming.tidy()

    async def _let_go(self) -> None:
        """Give up fetches that nobody has gone on with for a day, and let unowned blocks go."""
        store, now_ms = self.parts.store, wall_ms()
        stale = await trio.to_thread.run_sync(store.stale_fetches, now_ms)
        is_judged = not self.parts.records.unjudged()
        given_up = [owner for owner in stale if is_judged and not self._is_needed(owner.id)]
        await trio.to_thread.run_sync(self._clear_store, given_up, now_ms)

    async def _remember_what_was_held(self) -> None:
        ever_held, wanted = self._inner.ever_held, self.parts.records.counting.wanted
        await trio.to_thread.run_sync(ever_held.save)
        if ever_held.holders_known and not self._forgot:
            self._forgot = True  # once a start: few go between two of them
            gone = ever_held.forget(lambda root: wanted(root) is not None)
            await trio.to_thread.run_sync(ever_held.save_forgotten, gone)

    async def _save_what_was_heard(self) -> None:
        await self._inner.homecoming.save()
        await self.parts.storm.save()
        await self._contacts.save()
        await trio.to_thread.run_sync(save_heard, self.parts.settings.config.data_dir, self._all_heard())

    def _all_heard(self) -> dict[PeerId, Heard]:
        """The last heartbeat of each peer, those of earlier starts included."""
        membership, now_s, now_ms = self.parts.knowledge.membership, trio.current_time(), wall_ms()
        cloned = self.parts.knowledge.cloned_epochs()
        found = dict(self._inner.heard_before)
        for peer_id, (incarnation, seq) in membership.orders().items():
            peer, before = membership.get(peer_id), found.get(peer_id)
            at_ms = before.at_ms if before is not None else 0
            if peer is not None and peer.last is not None:
                at_ms = now_ms - int(peer.silent_s(now_s) * 1000)
            found[peer_id] = Heard(incarnation, seq, at_ms, cloned.get(peer_id))
        return found

    def lately_heard(self) -> set[str]:
        """The members heard from in the last 30 days; all of them where what was heard before is not known."""
        members = self.parts.records.counting.members()
        return heard_lately(members, self._all_heard() if self._inner.heard_before else {}, wall_ms())

    async def _tell_of_start(self) -> float:
        await self._inner.releasing.tell_of_start(self._contacts.linked())
        return TOLD_OF_START_S

    def _is_needed(self, root: bytes) -> bool:
        """Whether a fetch begun long ago is under way, or all that is left of a root."""
        if any(key.root == root for key in self.parts.executor.work.fetching):
            return True
        knowledge = self.parts.knowledge
        wanted = knowledge.records.counting.wanted(root)
        if wanted is None:  # what is kept all the same is fetched by nobody, and may be wanted again
            return root in self.parts.aside and not knowledge.holders_of_any(root)
        return not any(knowledge.holders(root, kind) for kind in wanted.kinds)

    def _clear_store(self, given_up: Sequence[Owner], now_ms: int) -> None:
        """In a thread."""
        for owner in given_up:
            self.parts.store.drop(owner)
        self.parts.store.collect(now_ms)
