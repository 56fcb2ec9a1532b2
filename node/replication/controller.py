"""When to plan what: gather changes for a moment, plan the roots that they touch, hand the plan to the executor.

A change of a pin or of holders replans its roots; a change of peers replans all. Nothing is planned on a timer but a
failed try that is due.
"""

import math
from collections import Counter
from collections.abc import Iterable
from functools import partial

import trio

from node.replication.beliefs import Beliefs
from node.replication.executor import Executor
from node.replication.explain import Assessment, assess
from node.replication.moves import Balance
from node.replication.outlook import Outlook
from node.replication.planner import Plan, Planner
from node.replication.view import RootKey
from node.replication.weighing import Standing

LINGER_S = 0.05
SPACING_S = 0.2
"""Changes come in bursts: an `add` of many files, the first heartbeats of a swarm. The first of them is planned after
`LINGER_S`, the next ones together."""
FULL_SPACING = 4
"""Full passes take at most a fifth of the time, however many peers come and go."""


class Controller:
    """Plans and has the plan carried out."""

    def __init__(self, beliefs: Beliefs, executor: Executor) -> None:
        self.beliefs = beliefs
        self._executor = executor
        self._planner = Planner()
        self._assessor = Planner()
        self._dirty: set[bytes] = set()
        self._all_dirty = True
        self._balance: Balance | None = None
        self._news = trio.Event()
        self._full_after_s = -math.inf
        self.outlook = Outlook()
        self.last_plan = Plan()

    def replan(self, roots: Iterable[bytes] | None) -> None:
        """Plan these roots anew, soon; None is all of them."""
        if roots is None:
            self._all_dirty = True
        else:
            self._dirty.update(roots)
        self._news.set()

    @property
    def standings(self) -> Counter[Standing]:
        """How many roots stand how."""
        return self.outlook.counts

    def standing_of(self, key: RootKey) -> Standing | None:
        """How a root stood in the last plan that it was part of."""
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
            self._news = trio.Event()
            await self._plan()
            await trio.sleep(SPACING_S - LINGER_S)

    async def _until_due(self) -> None:
        """Wait for news, for a failed try that is due, or for the next full pass that may begin."""
        self._dirty |= self._executor.work.due_roots(trio.current_time())
        if self._dirty:
            return
        due_s = self._executor.work.next_due_s(trio.current_time()) or math.inf
        if self._all_dirty:
            due_s = min(due_s, max(self._full_after_s, trio.current_time()))
        with trio.move_on_at(due_s):
            await self._news.wait()
        self._dirty |= self._executor.work.due_roots(trio.current_time())

    async def _plan(self) -> None:
        started_s = trio.current_time()
        full = self._all_dirty and started_s >= self._full_after_s
        dirty, self._dirty = self._dirty, set()
        if full:
            self._all_dirty = False
            view = self.beliefs.view()
            keys = frozenset(view.roots)
            survey = partial(self._planner.survey, view)
        else:
            listed = self.beliefs.keys_of(dirty)
            view = self.beliefs.view(listed)
            keys = frozenset(listed)
            survey = partial(self._planner.survey, view, listed, balance=self._balance)
        # Many roots are planned in a thread: the view is a value, and heartbeats must not wait for it.
        plan = await trio.to_thread.run_sync(survey) if len(keys) > 200 else survey()
        if full:
            self._balance = plan.balance
            self._full_after_s = trio.current_time() + FULL_SPACING * (trio.current_time() - started_s)
        self.last_plan = plan
        gone = [RootKey(root, "ipfs") for root in dirty if RootKey(root, "ipfs") not in keys]
        touched = [*keys, *gone]
        if full:
            await trio.to_thread.run_sync(self.outlook.take_all, plan)
        else:
            self.outlook.take(plan, touched)
        self.outlook.announce(touched)
        for key in gone:
            self._executor.work.failed.pop(key, None)  # nobody wants it any more
        self._executor.follow(plan, keys)
