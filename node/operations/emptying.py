"""`drain`: whether it can be done, what it would copy where, and how far it is."""

from collections.abc import Sequence

import trio

from node.errors import RefusedByPolicy
from node.operations.naming import destination, name_of_root
from node.operator_rows import DrainPlanRow, DrainRow
from node.parts import Parts
from node.replication.emptying import as_draining, copies_elsewhere, wanted_elsewhere
from node.replication.explain import assess_all
from node.replication.planner import Planner
from node.replication.view import RootKey, SwarmView
from node.rows import Page
from node.standing_orders import DrainTo
from store.cid import cid_text, parse_cid

LOOK_S = 0.2
PROMISED = "others let copies go because of those here: it leaves when that promise ends, within an hour"
READY_TIMEOUT_S = 30.0
"""Right after a start the other keepers are not heard yet: who can hold what is known once planning begins."""


class Emptying:
    """Answers about this peer's drain, and begins or ends it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._planner = Planner()

    async def drain(self) -> DrainRow:
        """See `OperatorService.drain`."""
        parts = self._parts
        progress = parts.draining.progress()
        speed = progress.bytes_per_s
        is_promised = not progress.roots_left and parts.releasing.is_bound
        to = parts.orders.drain_to
        if to is None:
            state = "left" if parts.draining.has_left else parts.about.state
            return DrainRow(state=state, to=None, roots=0, roots_left=0, bytes_left=0, bytes_per_s=None, eta_s=None)
        return DrainRow(
            state=parts.about.state,
            to=to,
            roots=progress.roots,
            roots_left=progress.roots_left,
            bytes_left=progress.bytes_left,
            bytes_per_s=None if speed is None else round(speed, 1),
            eta_s=None if not speed or progress.shortage else round(progress.bytes_left / speed, 1),
            waiting=progress.shortage.told() if progress.shortage else PROMISED if is_promised else None,
        )

    async def start_drain(self, *, to_min: bool) -> DrainRow:
        """See `OperatorService.start_drain`."""
        to: DrainTo = "min" if to_min else "max"
        await self._check(to)
        if self._parts.orders.drain_to != to:
            await self._parts.draining.start(to)
            await self._parts.speaking.told()
        return await self.drain()

    async def cancel_drain(self) -> DrainRow:
        """See `OperatorService.cancel_drain`."""
        if self._parts.draining.has_left:
            raise _has_left()
        if self._parts.orders.drain_to is not None:
            await self._parts.draining.cancel()
            await self._parts.speaking.told()
        return await self.drain()

    async def _check(self, to: DrainTo) -> None:
        """Raises: RefusedByPolicy: it could not end."""
        parts = self._parts
        if parts.draining.has_left:
            raise _has_left()
        if not parts.records.counting.is_member(parts.key.peer_id):
            raise RefusedByPolicy("this peer is no member: nothing here counts", hint="stop it whenever you like")
        if parts.store.rebuilt:
            raise RefusedByPolicy("this peer is recovering: it does not know yet what it holds")
        with trio.move_on_after(READY_TIMEOUT_S):
            await self._until_planning()
        others = [p for p in parts.knowledge.membership.peers().values() if p.standing.member]
        if not others:
            raise RefusedByPolicy("this peer is alone: nobody is there to leave anything to", hint="invite a peer")
        shortage = await parts.draining.shortage(to)
        if shortage is not None:
            hint = "invite more keepers" + (", or leave fewer copies with --to-min" if to == "max" else "")
            raise RefusedByPolicy(shortage.told(), hint=hint)

    async def _until_planning(self) -> None:
        while self._parts.controller.beliefs.view(()).planning_blocked:  # noqa: ASYNC110 - time alone may end it
            await trio.sleep(LOOK_S)

    async def drain_plan(self, *, to_min: bool, limit: int, after: str | None) -> Page[DrainPlanRow]:
        """See `OperatorService.drain_plan`."""
        to: DrainTo = "min" if to_min else "max"
        if after is None:
            await self._check(to)
        last = b"" if after is None else parse_cid(after)
        here = self._parts.knowledge.own.here
        keys = sorted(RootKey(each.root, each.kind) for each in here if each.root > last)[:limit]
        view = as_draining(self._parts.controller.beliefs.view(keys))
        rows = await trio.to_thread.run_sync(self._rows, view, keys, to)
        return Page(rows=rows, next=cid_text(keys[-1].root) if len(keys) == limit else None)

    def _rows(self, view: SwarmView, keys: Sequence[RootKey], to: DrainTo) -> tuple[DrainPlanRow, ...]:
        """What is to be copied of these (in a thread: the view is a value)."""
        rows = []
        assessed = assess_all(view, keys, self._planner)
        for key in keys:
            root = view.roots[key]
            copies, wanted = copies_elsewhere(view, root), wanted_elsewhere(root, to)
            if copies >= wanted:
                continue
            fetchers = assessed[key].fetchers[: wanted - copies]
            rows.append(
                DrainPlanRow(
                    root=cid_text(key.root), kind=key.kind, name=name_of_root(self._parts, key.root),
                    size_bytes=root.size_bytes, copies=copies, wanted=wanted,
                    to=tuple(destination(self._parts, view, peer) for peer in fetchers),
                )
            )  # fmt: skip
        return tuple(rows)


def _has_left() -> RefusedByPolicy:
    return RefusedByPolicy("this peer has left the swarm", hint="`init --join` with a new invite brings it back")
