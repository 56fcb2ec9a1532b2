"""When to plan what: gather changes for a moment, take in the roots that changed, hand the plan to the executor.

A change of a pin or of holders is taken in by itself; what a change of peers touches, `Survey` knows. Nothing is planned
on a timer but a failed try that is due, and moves that had to wait.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import trio

from node.replication.beliefs import Beliefs
from node.replication.calling import UnderWay
from node.replication.executor import Executor
from node.replication.explain import Assessment, assess
from node.replication.moves import MoveBudget
from node.replication.outlook import Outlook
from node.replication.planner import Fetch, Plan, Planner, Urgency
from node.replication.survey import Survey
from node.replication.view import RootKey
from node.replication.weighing import Standing

LINGER_S = 0.05
SPACING_S = 0.2
"""Changes come in bursts: an `add` of many files, the first heartbeats of a swarm. The first of them is planned after
`LINGER_S`, the next ones together."""
SPACING = 4
"""Plans take at most a fifth of the time, however much changes."""
ACTIONS_AT_ONCE = 256
"""Fetches, and releases, that a plan writes out: what the executor starts in a few seconds. Each costs 0.1 ms a plan."""
TAKEN_IN_AT_ONCE = 200
"""Roots taken in between two turns of the event loop: some milliseconds."""
INLINE_ROOTS = 2000
"""So few are planned on the event loop: no more than a thread's round trip is worth."""


class Controller:
    """Plans and has the plan carried out.

    Args:
        wait: whether so much is arriving that it is better planned together, in a moment.
    """

    def __init__(self, beliefs: Beliefs, executor: Executor, *, wait: Callable[[], bool] = lambda: False) -> None:
        self.beliefs = beliefs
        self._wait = wait
        self._executor = executor
        self._assessor = Planner()
        self._survey = Survey()
        self._budget = MoveBudget(trio.current_time())
        self._dirty: set[bytes] = set()
        self._begun = False
        self._peers_moved = True
        self._signs: object = None
        self._news = trio.Event()
        self.outlook = Outlook(self._survey)
        self.last_plan = Plan()

    def replan(self, roots: Iterable[bytes] | None) -> None:
        """Look at these roots anew, soon; None where only the peers, or what holds for all roots, changed."""
        if roots is None:
            self._peers_moved = True
        else:
            self._dirty.update(roots)
        self._news.set()

    def tick(self) -> None:
        """Notice what changes without news; call it every second."""
        signs = self.beliefs.signs()
        if signs != self._signs:
            self._signs = signs
            self.replan(None)

    @property
    def standings(self) -> Counter[Standing]:
        """How many roots stand how."""
        return self.outlook.counts

    def standing_of(self, key: RootKey) -> Standing | None:
        """How a root stood in the last plan."""
        return self.outlook.standing_of(key)

    def assess(self, key: RootKey) -> Assessment:
        """How a root stands now, and what this peer does about it."""
        return assess(self.beliefs.view([key]), key, self._assessor)

    def owners_of(self, root: bytes, kind: str) -> list[str]:
        """Who is to hold a root: placement's owners, then whoever else makes a copy now."""
        assessment = self.assess(RootKey(root, kind))
        return list(dict.fromkeys([*assessment.owners, *assessment.fetchers]))

    async def run(self) -> None:
        """Plan until cancelled."""
        while True:
            await self._until_due()
            await trio.sleep(LINGER_S)
            if self._wait():
                await trio.sleep(SPACING_S)
                continue
            self._news = trio.Event()
            started_s = trio.current_time()
            await self._plan()
            await trio.sleep(max(SPACING_S - LINGER_S, SPACING * (trio.current_time() - started_s)))

    async def _until_due(self) -> None:
        """Wait for news, for a failed try that is due, or for moves that may go on."""
        work = self._executor.work
        due = work.due_roots(trio.current_time())
        if not (due or self._dirty or self._peers_moved):
            due_s = work.next_due_s(trio.current_time()) or math.inf
            if self.last_plan.moves_put_off:
                due_s = min(due_s, max(self._budget.due_s(), trio.current_time() + 1))
            with trio.move_on_at(due_s):
                await self._news.wait()
            due = work.due_roots(trio.current_time())
        self._dirty |= due

    async def _plan(self) -> None:
        self._peers_moved = False
        gone = await self._take_in()
        now_s = trio.current_time()
        view = replace(self.beliefs.view(()), moving=self._budget.moving)
        capacity_bytes = view.peers[view.me].capacity_bytes
        view = replace(view, moves_left_bytes=self._budget.left_bytes(capacity_bytes, now_s))
        plan_now = partial(self._survey.plan, view, limit=ACTIONS_AT_ONCE, work=self._under_way(now_s))
        # Many roots are planned in a thread: nothing else writes what it reads, and heartbeats must not wait for it.
        plan = await trio.to_thread.run_sync(plan_now) if len(self._survey) > INLINE_ROOTS else plan_now()
        work = self._executor.work
        self.last_plan = plan
        self.outlook.take(plan)
        moves = {
            RootKey(action.root, action.kind): action.size_bytes
            for action in plan.actions
            if isinstance(action, Fetch) and action.urgency >= Urgency.SPREAD
        }
        self._budget.follow(moves, work.fetching, capacity_bytes)
        worked_on = work.keys()
        self._executor.follow(plan, {key for key in worked_on if not self._survey.leaves_out(key)})
        self.outlook.announce(self._survey.touched.and_also(gone))

    async def _take_in(self) -> list[RootKey]:
        """Write down the roots that changed; those that are not wanted or here any more are returned."""
        dirty, self._dirty = self._dirty, set()
        if not self._begun:
            self._begun = True
            dirty.update(self.beliefs.all_roots())
        gone: list[RootKey] = []
        for number, root in enumerate(dirty, 1):
            keys = self.beliefs.keys_of([root])
            for key in keys:
                self._survey.put(self.beliefs.root(key))
            for kind in self._survey.kinds_of(root):
                if (key := RootKey(root, kind)) not in keys:
                    self._survey.drop(key)
                    gone.append(key)
            if number % TAKEN_IN_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return gone

    def _under_way(self, now_s: float) -> UnderWay:
        work = self._executor.work
        failed = [(key, attempt) for key, attempt in work.failed.items() if attempt.due_s > now_s]
        return UnderWay(
            begun={*work.fetching, *work.releasing, *work.fetches.keys(), *work.releases.keys()},
            waiting={key for key, attempt in failed if not attempt.in_vain},
            in_vain={key for key, attempt in failed if attempt.in_vain},
        )
