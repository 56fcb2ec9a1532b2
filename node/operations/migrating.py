"""`flow migrate`: move a flow's images to the backend that its flow names now.

1. Its pins are signed anew with that backend, some at a time: so many roots at most are short of copies there.
2. The keepers that offer it make the copies, each from its own old one where it has one: replication, as ever.
3. An image has moved once it has as many copies there as can be had, and the one here was read back and hashed.
4. Old copies go as plans let them: with leases from `max` holders on the new backend. Where there cannot be so many, they
   stay, and the move is over without them.

What is left to do is read from pins and holdings, so a move goes on after a restart where it was; that there is one is
kept as a fact. Nothing is counted on a belief: a copy that was made and lost again is waited for again.
"""

import json
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from node.errors import NotFound, UserError
from node.operations import policy
from node.operations.standing import measure
from node.operator_rows import MigrationRow, MoveRow
from node.parts import Parts
from node.replication.audited import read_whole
from node.replication.view import RootKey
from node.rows import Page
from protocol.pin import Pin
from protocol.records import Signed
from store.cid import cid_text
from store.errors import StoreError

log = logging.getLogger("pinakothek.migrate")

FACT = "migrate/"
WINDOW = 256
"""Roots of a move that may be short of copies at a time: enough to keep every keeper busy, few for whoever counts what is
degraded. Guess."""
LOOK_S = 0.5
IDLE_S = 3600.0
STUCK_S = 5.0
"""Without progress for so long somebody may want to know why."""
LEAVING_SPACING = 4
"""Looking for old copies takes at most a fifth of the time, however large the flow."""
LEAVE_S = 60.0
"""Old copies that nobody has let go for so long stay for now: their holders are away, or bound by leases."""


@dataclass(slots=True)
class _Move:
    """A move under way.

    Attributes:
        sizes: all its roots, with their bytes.
        unsigned: pins that still name another backend.
        open: roots whose pins name the new one and that lack copies there.
        leaving: roots that have moved and whose old copies may still be somewhere; looked at from `look_after_s` on.
    """

    flow: str
    backend: str
    sizes: dict[bytes, int] = field(default_factory=dict)
    unsigned: deque[Signed[Pin]] = field(default_factory=deque)
    open: deque[bytes] = field(default_factory=deque)
    leaving: deque[bytes] = field(default_factory=deque)
    moved: set[bytes] = field(default_factory=set)
    old_copies: int = 0
    progress_s: float = 0.0
    look_after_s: float = 0.0
    waiting: str | None = None
    over: bool = False

    def row(self) -> MigrationRow:
        """How it stands."""
        return MigrationRow(
            flow=self.flow,
            backend=self.backend,
            state="done" if self.over else "moving" if self.unsigned or self.open else "leaving",
            images=len(self.sizes),
            moved=len(self.moved),
            bytes=sum(self.sizes.values()),
            bytes_moved=sum(self.sizes[root] for root in self.moved),
            old_copies=self.old_copies,
            waiting=self.waiting,
        )


class Migrating:
    """Moves flows, several at once if need be."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._records = parts.records.counting
        names = parts.store.facts(FACT)
        self._moves: dict[str, _Move | None] = {json.loads(fact)["flow"]: None for fact in names.values()}
        self._news = trio.Event()

    # what the operator asks

    def check(self, flow: str) -> str:
        """The backend that a flow's images would move to.

        Raises:
            NotFound: no such flow.
            RefusedByPolicy: they may not be moved there, or nobody could keep them.
        """
        policy.check_flow_name(flow)
        if flow not in self._records.flows and not self._records.pins_by_flow(flow):
            raise NotFound(f"flow {flow}: no such flow")
        policy.check_may_write(self._parts)
        backend = policy.backend_of(self._parts, flow)
        policy.check_backend(self._parts, backend)
        policy.check_offered(self._parts, backend)
        return backend

    async def plan(self, flow: str, limit: int, after: str | None) -> Page[MoveRow]:
        """See `OperatorService.migration_plan`."""
        backend = self.check(flow)
        start = int(after or 0)
        in_order = partial(sorted, self._elsewhere(flow, backend), key=lambda pin: (pin.record.name or "", pin.key))
        pins = await trio.to_thread.run_sync(in_order)  # of a large flow for each page: heartbeats must not wait for it
        end = start + limit
        rows = tuple(self._planned(signed, backend) for signed in pins[start:end])
        return Page(rows=rows, next=str(end) if end < len(pins) else None)

    async def start(self, flow: str) -> MigrationRow:
        """See `OperatorService.migrate`."""
        self.check(flow)
        running = self._moves.get(flow)
        if flow not in self._moves or (running is not None and running.over):
            await trio.to_thread.run_sync(
                self._parts.store.set_fact, self._fact(flow), json.dumps({"flow": flow}).encode()
            )
            self._parts.events.tell("migration", detail=f"{flow}: to {policy.backend_of(self._parts, flow)}")
            self._moves[flow] = None
        move = self._moves[flow]
        if move is None:
            move = self._moves[flow] = await self._begin(flow)
        self._news.set()
        return move.row()

    async def look(self, flow: str) -> MigrationRow:
        """See `OperatorService.migration`."""
        if flow not in self._moves:
            raise NotFound(f"flow {flow}: no migration", hint=f"begin one with `pinakothek flow migrate {flow}`")
        move = self._moves[flow]
        if move is None:
            move = self._moves[flow] = await self._begin(flow)
        return move.row()

    # what goes on behind

    async def run(self) -> None:
        """Go on with every move, until cancelled."""
        while True:
            busy = False
            for flow in list(self._moves):
                move = self._moves[flow]
                if move is None:
                    move = self._moves[flow] = await self._begin(flow)
                if not move.over:
                    busy = True
                    await self._go_on(move)
            self._news = trio.Event()
            with trio.move_on_after(LOOK_S if busy else IDLE_S):
                await self._news.wait()

    async def _begin(self, flow: str) -> _Move:
        """Look at the whole flow once; what has moved already is found so when it is looked at."""
        move = _Move(flow, policy.backend_of(self._parts, flow), progress_s=trio.current_time())
        self._take_stock(move)
        return move

    def _take_stock(self, move: _Move) -> None:
        move.unsigned.clear()
        move.open.clear()
        move.leaving.clear()
        move.moved.clear()
        move.sizes = {}
        waiting: dict[bytes, None] = {}
        for signed in self._records.pins_by_flow(move.flow):
            pin = signed.record
            move.sizes[pin.root] = max(pin.size_bytes or 0, move.sizes.get(pin.root, 0))
            if pin.backend != move.backend:
                move.unsigned.append(signed)
                waiting.pop(pin.root, None)
            else:
                waiting[pin.root] = None
        unsigned = {signed.record.root for signed in move.unsigned}
        move.open.extend(root for root in waiting if root not in unsigned)

    async def _go_on(self, move: _Move) -> None:
        try:
            backend = policy.backend_of(self._parts, move.flow)
            if backend != move.backend:  # the flow was set anew meanwhile
                move.backend = backend
                self._take_stock(move)
            if move.unsigned:
                self.check(move.flow)
            before = len(move.unsigned), len(move.moved), len(move.leaving), move.old_copies
            await self._sign_some(move)
            await self._see_what_moved(move)
            if not move.unsigned and not move.open:
                await self._see_what_left(move)
            if before != (len(move.unsigned), len(move.moved), len(move.leaving), move.old_copies):
                move.progress_s, move.waiting = trio.current_time(), None
            elif trio.current_time() - move.progress_s > STUCK_S:
                move.waiting = self._why_stuck(move)
        except (UserError, StoreError) as error:
            if str(error) != move.waiting:
                log.warning("flow %s does not move on: %s", move.flow, error)
            move.waiting = str(error)

    async def _sign_some(self, move: _Move) -> None:
        room = WINDOW - len(move.open)
        batch = [move.unsigned.popleft() for _ in range(min(max(0, room), len(move.unsigned)))]
        current = [signed for signed in (self._records.get(old.key) for old in batch) if signed is not None]
        pins = [s.record for s in current if isinstance(s.record, Pin) and not s.record.deleted]
        stale = [pin for pin in pins if pin.backend != move.backend]
        if stale:
            try:
                await self._parts.records.write(*(replace(pin, backend=move.backend) for pin in stale))
            except BaseException:
                move.unsigned.extendleft(reversed(batch))
                raise
        known = set(move.open)
        for pin in pins:
            if pin.root not in known and pin.root not in move.moved:
                known.add(pin.root)
                move.open.append(pin.root)

    async def _see_what_moved(self, move: _Move) -> None:
        roots = [move.open.popleft() for _ in range(min(WINDOW, len(move.open)))]
        if not roots:
            return
        try:
            able = policy.live_keepers(self._parts, move.backend)
            measured = await measure(self._parts, [RootKey(root, move.backend) for root in roots])
            for root in roots:
                wanted = self._records.wanted(root)
                if wanted is None or move.backend not in wanted.kinds:
                    move.sizes.pop(root, None)  # removed, or pinned elsewhere meanwhile
                elif measured[RootKey(root, move.backend)].copies >= max(1, min(wanted.max, able)):
                    await self._take_for_moved(move, root)
        finally:
            move.open.extend(root for root in roots if root in move.sizes and root not in move.moved)

    async def _take_for_moved(self, move: _Move, root: bytes) -> None:
        if self._parts.knowledge.own.holds(root, move.backend):
            try:
                await trio.to_thread.run_sync(read_whole, self._parts.store, root, move.backend)
            except StoreError as error:
                log.warning("%s has not moved to %s: %s", cid_text(root), move.backend, error)
                self._parts.auditing.unreadable()
                return
        move.moved.add(root)
        move.leaving.append(root)

    async def _see_what_left(self, move: _Move) -> None:
        """Count the old copies of alive peers; over where there are none, or none has gone for a while."""
        began_s = trio.current_time()
        if began_s < move.look_after_s:
            return
        able = policy.live_keepers(self._parts, move.backend)
        old = 0
        staying = True
        for _ in range(len(move.leaving)):
            root = move.leaving.popleft()
            copies = len(self._old_holders(root))
            if copies:
                old += copies
                move.leaving.append(root)
                wanted = self._records.wanted(root)
                staying &= wanted is not None and wanted.max > able
            await trio.lowlevel.checkpoint()
        now_s = trio.current_time()
        move.old_copies, move.look_after_s = old, now_s + LEAVING_SPACING * (now_s - began_s)
        patient = now_s - move.progress_s < LEAVE_S
        if old and not staying and patient:
            return
        if more := self._elsewhere(
            move.flow, move.backend
        ):  # added by somebody who did not know of the new backend yet
            move.unsigned.extend(more)
            move.sizes |= {signed.record.root: signed.record.size_bytes or 0 for signed in more}
            return
        await trio.to_thread.run_sync(self._parts.store.set_fact, self._fact(move.flow), None)
        move.over = True
        kept = f"; {old} old copies stay: too few others can keep the new ones" if old else ""
        self._parts.events.tell("migration", detail=f"{move.flow}: {len(move.moved)} images on {move.backend}{kept}")

    def _old_holders(self, root: bytes) -> list[str]:
        """Peers that are here and hold the root on a kind that no pin wants."""
        knowledge = self._parts.knowledge
        wanted = self._records.wanted(root)
        kinds = {*knowledge.book.kinds(root), *knowledge.own.kinds_of(root)} - set(wanted.kinds if wanted else ())
        return [peer for kind in kinds for peer in knowledge.holders(root, kind) if self._is_here(peer)]

    def _is_here(self, peer_id: str) -> bool:
        peer = self._parts.knowledge.membership.get(peer_id)
        return peer_id == self._parts.key.peer_id or (peer is not None and peer.sees == "alive")

    def _why_stuck(self, move: _Move) -> str | None:
        if move.open:
            return self._parts.controller.assess(RootKey(move.open[0], move.backend)).why
        for root in move.leaving:
            for kind in self._parts.knowledge.own.kinds_of(root):
                if kind != move.backend:
                    return self._parts.controller.assess(RootKey(root, kind)).why
        return "old copies of other peers have yet to go" if move.leaving else None

    def _elsewhere(self, flow: str, backend: str) -> list[Signed[Pin]]:
        return [signed for signed in self._records.pins_by_flow(flow) if signed.record.backend != backend]

    def _planned(self, signed: Signed[Pin], backend: str) -> MoveRow:
        pin = signed.record
        return MoveRow(
            root=cid_text(pin.root),
            name=pin.name or "",
            backend=pin.backend,
            to=backend,
            size_bytes=pin.size_bytes or 0,
        )

    @staticmethod
    def _fact(flow: str) -> str:
        return FACT + flow.encode().hex()

    def moving(self) -> Iterator[str]:
        """The flows that are being moved."""
        return (flow for flow, move in self._moves.items() if move is None or not move.over)
