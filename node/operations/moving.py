"""One move of a flow to the backend that it names now: what it looks at, signs and waits for.

What is left to do is read from pins and holdings, so a move that was ended at any instant goes on where it was. Nothing
is counted on a belief: a copy that was made and lost again is waited for again.
"""

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import trio

from node.errors import NotFound, UserError
from node.operations import policy
from node.operations.standing import measure
from node.operator_rows import MigrationRow
from node.parts import Parts
from node.quantities import plural
from node.replication.audited import read_whole
from node.replication.view import RootKey
from protocol.pin import Pin
from protocol.records import Signed
from store.cid import cid_text
from store.errors import StoreError

log = logging.getLogger("pinakothek.migrate")

WINDOW = 256
"""Roots of a move that may be short of copies at a time: enough to keep every keeper busy, few for whoever counts what is
degraded. Guess."""
STUCK_S = 5.0
"""Without progress for so long somebody may want to know why."""
LEAVING_SPACING = 4
"""Looking for old copies takes at most a fifth of the time, however large the flow."""
LEAVE_S = 60.0
"""Old copies that nobody has let go for so long stay for now: their holders are away, or bound by leases."""


class Move:
    """A move under way. It looks at the whole flow once; what has moved already is found so when it is looked at.

    Attributes:
        sizes: all its roots, with their bytes.
        unsigned: pins that still name another backend.
        open: roots whose pins name the new one and that lack copies there.
        leaving: roots that have moved and whose old copies may still be somewhere; looked at from `look_after_s` on.
        over: there is nothing left to do.
    """

    def __init__(self, parts: Parts, flow: str) -> None:
        self._parts = parts
        self._records = parts.records.counting
        self.flow = flow
        self.backend = policy.backend_of(parts, flow)
        self.sizes: dict[bytes, int] = {}
        self.unsigned: deque[Signed[Pin]] = deque()
        self.open: deque[bytes] = deque()
        self.leaving: deque[bytes] = deque()
        self.moved: set[bytes] = set()
        self.old_copies = 0
        self.progress_s = trio.current_time()
        self.look_after_s = 0.0
        self.waiting: str | None = None
        self.over = False
        self._take_stock()

    def row(self, job: int, *, state: str | None = None, waiting: str | None = None) -> MigrationRow:
        """How it stands. `state`, `waiting`: of a job that does not run."""
        return MigrationRow(
            flow=self.flow,
            backend=self.backend,
            state=state or ("done" if self.over else "moving" if self.unsigned or self.open else "leaving"),
            images=len(self.sizes),
            moved=len(self.moved),
            bytes=sum(self.sizes.values()),
            bytes_moved=sum(self.sizes[root] for root in self.moved),
            old_copies=self.old_copies,
            waiting=waiting or self.waiting,
            job=job,
        )

    def left(self) -> Mapping[str, Any]:
        """How it would leave things if nobody went on with it: for people, in `told`, and for programs."""
        there = len(self.moved)
        stay = len({signed.record.root for signed in self.unsigned})
        on_the_way = len(self.sizes) - there - stay
        parts = [f"of {plural(len(self.sizes), 'image')} {there} moved to {self.backend}"]
        if on_the_way:
            parts.append(f"{on_the_way} on the way, which replication finishes")
        if stay:
            parts.append(f"{stay} where they were")
        told = f"{', '.join(parts)}; every image can be read, and no old copy goes before the new ones are proven"
        return {"backend": self.backend, "moved": there, "on_the_way": on_the_way, "stay": stay, "told": told}

    def _take_stock(self) -> None:
        self.unsigned.clear()
        self.open.clear()
        self.leaving.clear()
        self.moved.clear()
        self.sizes = {}
        waiting: dict[bytes, None] = {}
        for signed in self._records.pins_by_flow(self.flow):
            pin = signed.record
            self.sizes[pin.root] = max(pin.size_bytes or 0, self.sizes.get(pin.root, 0))
            if pin.backend != self.backend:
                self.unsigned.append(signed)
                waiting.pop(pin.root, None)
            else:
                waiting[pin.root] = None
        unsigned = {signed.record.root for signed in self.unsigned}
        self.open.extend(root for root in waiting if root not in unsigned)

    async def go_on(self) -> None:
        """Do what can be done now; what stands in the way is said in `waiting`."""
        try:
            backend = policy.backend_of(self._parts, self.flow)
            if backend != self.backend:  # the flow was set anew meanwhile
                self.backend = backend
                self._take_stock()
            if self.unsigned:
                check_target(self._parts, self.flow)
            before = self._counts()
            await self._sign_some()
            await self._see_what_moved()
            if not self.unsigned and not self.open:
                await self._see_what_left()
            if before != self._counts():
                self.progress_s, self.waiting = trio.current_time(), None
            elif trio.current_time() - self.progress_s > STUCK_S:
                self.waiting = self._why_stuck()
        except (UserError, StoreError) as error:
            if str(error) != self.waiting:
                log.warning("flow %s does not move on: %s", self.flow, error)
            self.waiting = str(error)

    def _counts(self) -> tuple[int, ...]:
        return len(self.unsigned), len(self.moved), len(self.leaving), self.old_copies

    async def _sign_some(self) -> None:
        room = WINDOW - len(self.open)
        batch = [self.unsigned.popleft() for _ in range(min(max(0, room), len(self.unsigned)))]
        current = [signed for signed in (self._records.get(old.key) for old in batch) if signed is not None]
        pins = [s.record for s in current if isinstance(s.record, Pin) and not s.record.deleted]
        stale = [pin for pin in pins if pin.backend != self.backend]
        if stale:
            try:
                await self._parts.records.write(*(replace(pin, backend=self.backend) for pin in stale))
            except BaseException:
                self.unsigned.extendleft(reversed(batch))
                raise
        known = set(self.open)
        for pin in pins:
            if pin.root not in known and pin.root not in self.moved:
                known.add(pin.root)
                self.open.append(pin.root)

    async def _see_what_moved(self) -> None:
        roots = [self.open.popleft() for _ in range(min(WINDOW, len(self.open)))]
        if not roots:
            return
        try:
            able = policy.live_keepers(self._parts, self.backend)
            measured = await measure(self._parts, [RootKey(root, self.backend) for root in roots])
            for root in roots:
                wanted = self._records.wanted(root)
                if wanted is None or self.backend not in wanted.kinds:
                    self.sizes.pop(root, None)  # removed, or pinned elsewhere meanwhile
                elif measured[RootKey(root, self.backend)].copies >= max(1, min(wanted.max, able)):
                    await self._take_for_moved(root)
        finally:
            self.open.extend(root for root in roots if root in self.sizes and root not in self.moved)

    async def _take_for_moved(self, root: bytes) -> None:
        if self._parts.knowledge.own.holds(root, self.backend):
            try:
                await trio.to_thread.run_sync(read_whole, self._parts.store, root, self.backend)
            except StoreError as error:
                log.warning("%s has not moved to %s: %s", cid_text(root), self.backend, error)
                self._parts.auditing.unreadable()
                return
        self.moved.add(root)
        self.leaving.append(root)

    async def _see_what_left(self) -> None:
        """Count the old copies of alive peers; over where there are none, or none has gone for a while."""
        began_s = trio.current_time()
        if began_s < self.look_after_s:
            return
        able = policy.live_keepers(self._parts, self.backend)
        old = 0
        staying = True
        for _ in range(len(self.leaving)):
            root = self.leaving.popleft()
            copies = len(self._old_holders(root))
            if copies:
                old += copies
                self.leaving.append(root)
                wanted = self._records.wanted(root)
                staying &= wanted is not None and wanted.max > able
            await trio.lowlevel.checkpoint()
        now_s = trio.current_time()
        self.old_copies, self.look_after_s = old, now_s + LEAVING_SPACING * (now_s - began_s)
        patient = now_s - self.progress_s < LEAVE_S
        if old and not staying and patient:
            return
        more = elsewhere(self._parts, self.flow, self.backend)
        if more:  # added by somebody who did not know of the new backend yet
            self.unsigned.extend(more)
            self.sizes |= {signed.record.root: signed.record.size_bytes or 0 for signed in more}
            return
        self.over = True
        kept = (
            f"; {plural(old, 'old copy stays', 'old copies stay')}: too few others can keep the new ones" if old else ""
        )
        self._parts.events.tell(
            "migration", detail=f"{self.flow}: {plural(len(self.moved), 'image')} on {self.backend}{kept}"
        )

    def _old_holders(self, root: bytes) -> list[str]:
        """Peers that are here and hold the root on a kind that no pin wants."""
        knowledge = self._parts.knowledge
        wanted = self._records.wanted(root)
        kinds = {*knowledge.book.kinds(root), *knowledge.own.kinds_of(root)} - set(wanted.kinds if wanted else ())
        return [peer for kind in kinds for peer in knowledge.holders(root, kind) if self._is_here(peer)]

    def _is_here(self, peer_id: str) -> bool:
        peer = self._parts.knowledge.membership.get(peer_id)
        return peer_id == self._parts.key.peer_id or (peer is not None and peer.sees == "alive")

    def _why_stuck(self) -> str | None:
        if self.open:
            return self._parts.controller.assess(RootKey(self.open[0], self.backend)).why
        for root in self.leaving:
            for kind in self._parts.knowledge.own.kinds_of(root):
                if kind != self.backend:
                    return self._parts.controller.assess(RootKey(root, kind)).why
        return "old copies of other peers have yet to go" if self.leaving else None


def elsewhere(parts: Parts, flow: str, backend: str) -> list[Signed[Pin]]:
    """A flow's pins that name another backend."""
    return [signed for signed in parts.records.counting.pins_by_flow(flow) if signed.record.backend != backend]


def check_target(parts: Parts, flow: str) -> str:
    """The backend that a flow's images would move to.

    Raises:
        NotFound: no such flow.
        RefusedByPolicy: they may not be moved there, or nobody could keep them.
    """
    policy.check_flow_name(flow)
    counting = parts.records.counting
    if flow not in counting.flows and not counting.pins_by_flow(flow):
        raise NotFound(f"flow {flow}: no such flow")
    policy.check_may_write(parts)
    backend = policy.backend_of(parts, flow)
    policy.check_backend(parts, backend)
    policy.check_offered(parts, backend)
    return backend
