"""`repair` and `rebalance`: what is planned and why, and trying it all now."""

from collections.abc import Mapping, Sequence
from heapq import nsmallest

import trio

from node.errors import Usage
from node.events import wall_ms
from node.operations.naming import destination, name_of_root
from node.operator_rows import PlanRow, RepairRow
from node.parts import Parts
from node.quantities import plural
from node.replication.explain import Assessment, assess_all
from node.replication.planner import Action, Fetch, Planner, Release, Urgency
from node.replication.view import RootKey, SwarmView
from node.replication.weighing import Standing
from node.rows import Page
from store.cid import cid_text, parse_cid
from store.errors import BadCid

DEGRADED: tuple[Standing, ...] = ("lost", "sought", "below_min")
REPAIRED: tuple[Standing, ...] = (*DEGRADED, "below_target", "above_target")
"""In the order in which they are listed: the worst first."""
PLAN_TIMEOUT_S = 10.0


class Repairing:
    """Answers what is planned for roots."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._planner = Planner()

    async def repair(self, *, now: bool) -> RepairRow:
        """See `OperatorService.repair`."""
        parts = self._parts
        retried: set[bytes] = set()
        gone: tuple[str, ...] = ()
        if now:
            if parts.storm.mass_loss():
                gone = await parts.storm.repair_now(wall_ms())
                parts.speaking.beat_soon()
            retried = parts.executor.work.forget_failures()
            parts.events.tell(
                "repair_now", detail=f"{plural(len(retried), 'root')} retried, {plural(len(gone), 'peer')} written off"
            )
        await self._plan_anew(retried)
        outlook = parts.controller.outlook
        view = parts.controller.beliefs.view(())
        actions = list(outlook.actions.values())
        return RepairRow(
            fetches=outlook.fetch_count,
            bytes_left=outlook.fetch_bytes,
            releases=sum(isinstance(action, Release) for action in actions),
            degraded=sum(outlook.counts[standing] for standing in DEGRADED),
            retried=len(retried),
            written_off=tuple(destination(parts, view, peer) for peer in gone),
        )

    async def _plan_anew(self, roots: set[bytes]) -> None:
        planned = trio.Event()
        outlook = self._parts.controller.outlook

        def heard(_: object) -> None:
            planned.set()

        outlook.listeners.append(heard)
        try:
            self._parts.controller.replan(roots)
            self._parts.controller.replan(None)
            with trio.move_on_after(PLAN_TIMEOUT_S):
                await planned.wait()
        finally:
            outlook.listeners.remove(heard)

    async def repair_plan(self, *, limit: int, after: str | None) -> Page[PlanRow]:
        """See `OperatorService.repair_plan`."""
        place, last = _cursor(after)
        keys: list[RootKey] = []
        for number in range(place, len(REPAIRED)):
            found = self._parts.controller.outlook.keys_of(REPAIRED[number])
            keys = nsmallest(limit, (key for key in found if last is None or key > last))
            if keys:
                place = number
                break
            last = None
        view = self._parts.controller.beliefs.view(keys)
        rows = await trio.to_thread.run_sync(self._rows, view, keys, trio.current_time())
        if not keys:
            return Page(rows=())
        return Page(rows=rows, next=f"{place}.{keys[-1].kind}.{cid_text(keys[-1].root)}")

    async def rebalance_plan(self) -> tuple[PlanRow, ...]:
        """See `OperatorService.rebalance_plan`."""
        moves = {key: act for key, act in self._parts.controller.outlook.actions.items() if _is_move(act)}
        view = self._parts.controller.beliefs.view(moves)
        return await trio.to_thread.run_sync(self._rows, view, list(moves), trio.current_time(), moves)

    def _rows(
        self, view: SwarmView, keys: Sequence[RootKey], now_s: float, planned: Mapping[RootKey, Action] | None = None
    ) -> tuple[PlanRow, ...]:
        """What is planned of these (in a thread: the view is a value); moves are as `planned`, which saw all roots."""
        assessed = assess_all(view, keys, self._planner)
        return tuple(self._row(view, key, assessed[key], (planned or {}).get(key), now_s) for key in keys)

    def _row(
        self, view: SwarmView, key: RootKey, assessed: Assessment, planned: Action | None, now_s: float
    ) -> PlanRow:
        parts, root = self._parts, view.roots[key]
        action = planned or assessed.action
        by = assessed.fetchers or assessed.surplus
        if planned is not None and isinstance(planned, Fetch):
            by = (view.me,)
        attempt = parts.executor.work.failed.get(key)
        return PlanRow(
            root=cid_text(key.root),
            kind=key.kind,
            name=name_of_root(parts, key.root),
            state=assessed.standing,
            copies=assessed.copies,
            min=root.min,
            max=root.max,
            size_bytes=root.size_bytes,
            action=None if action is None else "fetch" if isinstance(action, Fetch) else "release",
            by=tuple(destination(parts, view, peer) for peer in by),
            sources=action.sources if isinstance(action, Fetch) else (),
            ask=action.ask if isinstance(action, Release) else (),
            reason=action.reason if action is not None else assessed.why,
            tries=attempt.failures if attempt is not None else 0,
            retry_in_s=None if attempt is None else round(max(0.0, attempt.due_s - now_s), 1),
            error=attempt.reason if attempt is not None else None,
        )


def _is_move(action: Action) -> bool:
    return isinstance(action, Release) or action.urgency >= Urgency.SPREAD


def _cursor(after: str | None) -> tuple[int, RootKey | None]:
    """Which standing a page begins in, and after which root. Raises: Usage: no cursor of ours."""
    if after is None:
        return 0, None
    try:
        place, kind, root = after.split(".")
        number = int(place)
        if not 0 <= number < len(REPAIRED):
            raise ValueError(place)
        return number, RootKey(parse_cid(root), kind)
    except (ValueError, BadCid) as error:
        raise Usage(f"after {after[:64]!r}: no cursor of a listing") from error
