"""The queue: runs jobs by their handlers, writes down what becomes of them, and does what an operator asks.

Every decision is one of `rules` or `choosing`; here they are carried out. A change is durable before anybody hears of it.
"""

import json
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from node.errors import RefusedByPolicy, TimedOut, UserError
from node.events import Events, wall_ms
from node.jobs import rules
from node.jobs.choosing import choose
from node.jobs.errors import Trouble
from node.jobs.handler import Handler, Run
from node.jobs.job import MAX_TRIES, Change, Job, State
from node.jobs.ledger import Ledger, Rule, Told
from node.jobs.workplace import Workplace
from store.errors import StoreError

log = logging.getLogger("pinakothek.jobs")

TOTAL_AT_ONCE = 24
"""Jobs of all kinds that run together. Guess: each is mostly waiting, for a network or a decoder."""
LONGEST_END_S = 30.0
"""What a running job may take to end once it is paused or cancelled, before its asker is told that it still runs."""
DISK_RETRY_S = 5.0
READ_AT_ONCE = 256


@dataclass(slots=True)
class _Running:
    """A job that runs, or is about to. `wish`: the rule that an operator wants applied once it has ended."""

    kind: str
    run: Run | None = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)
    wish: Rule | None = None


class Jobs:
    """The jobs of one daemon.

    Args:
        ledger: theirs alone.
        workplace: where their folders are.
        events: hears how jobs end; None: nobody does.
        now_ms: the wall clock.
    """

    def __init__(
        self,
        ledger: Ledger,
        workplace: Workplace,
        events: Events | None = None,
        *,
        now_ms: Callable[[], int] = wall_ms,
        luck: Callable[[], float] = random.random,
        total: int = TOTAL_AT_ONCE,
    ) -> None:
        self.ledger = ledger
        self.workplace = workplace
        self.handlers: dict[str, Handler] = {}
        self._events = events
        self._now_ms = now_ms
        self._luck = luck
        self._total = total
        self._running: dict[int, _Running] = {}
        self._turn = trio.Lock()
        self._wake = trio.Event()
        self._news = trio.Event()

    def register(self, handler: Handler) -> None:
        """Have jobs of a kind done by a handler. Jobs of a kind without one wait."""
        self.handlers[handler.kind] = handler
        self._wake.set()

    # what is asked of it

    async def submit(
        self,
        kind: str,
        request: Mapping[str, Any],
        *,
        name: str,
        key: str | None = None,
        priority: int = 0,
        tries: int = MAX_TRIES,
    ) -> Job:
        """Queue a job; durable when this returns. With a `key` that is known, the job that has it.

        Raises:
            RefusedByPolicy: nobody does such jobs here, or too many wait.
        """
        job = Job(kind=kind, name=name, request=request, key=key, priority=priority, tries=tries)
        return (await self.submit_all([job]))[0]

    async def submit_all(self, jobs: Sequence[Job]) -> list[Job]:
        """Queue several jobs, in one commit. Raises: as `submit`."""
        for job in jobs:
            if job.kind not in self.handlers:
                raise RefusedByPolicy(f"nobody does jobs of the kind {job.kind!r} here")
        now_ms = self._now_ms()
        changes = [rules.submitted(job, now_ms) for job in jobs]
        added = await trio.to_thread.run_sync(self.ledger.submit, changes)
        self._announce()
        return added

    async def counts(self) -> dict[State, int]:
        """How many jobs are in which state."""
        return await trio.to_thread.run_sync(self.ledger.counts)

    async def get(self, job_id: int) -> Job:
        """One job. Raises: NotFound."""
        return await trio.to_thread.run_sync(self.ledger.get, job_id)

    async def page(self, *, after: int, limit: int, state: str | None = None, kind: str | None = None) -> list[Job]:
        """Jobs with ids above `after`, the oldest first."""
        ask = partial(self.ledger.page, after=after, limit=limit, state=state, kind=kind)
        return await trio.to_thread.run_sync(ask)

    def run_of(self, job_id: int) -> Run | None:
        """The run of a job that runs."""
        running = self._running.get(job_id)
        return None if running is None else running.run

    async def ended(self, job_id: int) -> Job:
        """Wait until a job has ended; the job. Raises: NotFound."""
        while True:
            news = self._news
            job = await self.get(job_id)
            if job.has_ended and job_id not in self._running:
                return job
            await news.wait()

    async def pause(self, job_id: int) -> Job:
        """Have a job wait. Raises: NotFound, Failed where it has ended."""
        return await self._wish(job_id, lambda job: rules.paused(job, self._now_ms()))

    async def cancel(self, job_id: int) -> Job:
        """Have a job given up. Raises: NotFound, Failed where it is done."""
        return await self._wish(job_id, lambda job: rules.cancelled(job, self._now_ms()))

    async def resume(self, job_id: int) -> Job:
        """Have a paused job go on. Raises: NotFound, Failed where it has ended."""
        return await self._change(job_id, lambda job: rules.resumed(job, self._now_ms()))

    async def retry(self, job_id: int) -> Job:
        """Have a failed or cancelled job tried again. Raises: NotFound, Failed where it is neither."""
        return await self._change(job_id, self._retried)

    async def since(self, after: int | None) -> AsyncIterator[Told]:
        """What is told of jobs after number `after`, what is still kept first; from now on where that is None."""
        last = await trio.to_thread.run_sync(self.ledger.last_seq) if after is None else after
        while True:
            news = self._news
            told = await trio.to_thread.run_sync(self.ledger.told, last, READ_AT_ONCE)
            for each in told:
                last = each.seq
                yield each
            if len(told) < READ_AT_ONCE:
                await news.wait()

    # running them

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run jobs until cancelled; those in hand then go back into the queue."""
        await self._take_up()
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                self._wake = trio.Event()
                try:
                    idle_s = await self._start_some(nursery)
                except StoreError as error:
                    log.warning("no jobs are started: %s; next try in %.0f s", error, DISK_RETRY_S)
                    idle_s = DISK_RETRY_S
                with trio.move_on_after(idle_s):
                    await self._wake.wait()

    async def _take_up(self) -> None:
        """What an earlier daemon had in hand goes back into the queue; folders of nobody go."""
        for job in await trio.to_thread.run_sync(self.ledger.with_state, State.RUNNING):
            await self._change(job.id, lambda job: rules.found_running(job, self._now_ms()))
        live = [State.QUEUED, State.PAUSED, State.FAILED]
        found = [await trio.to_thread.run_sync(self.ledger.with_state, state) for state in live]
        kept = {job.id for jobs in found for job in jobs if not job.has_ended or self.keeps(job)}
        await trio.to_thread.run_sync(self.workplace.scrub_jobs, kept)

    async def _start_some(self, nursery: trio.Nursery) -> float:
        """Start what may run now; the seconds until there may be more."""
        running: dict[str, int] = {}
        for each in self._running.values():
            running[each.kind] = running.get(each.kind, 0) + 1
        at_once = {kind: handler.at_once for kind, handler in self.handlers.items()}
        room = {kind: most - running.get(kind, 0) for kind, most in at_once.items() if most > running.get(kind, 0)}
        now_ms = self._now_ms()
        found = await trio.to_thread.run_sync(self.ledger.due, now_ms, room)
        # One may be queued again before its last run is over: that says so, and is waited for.
        waiting = [job for job in found if job.id not in self._running]
        kinds = {job.id: job.kind for job in waiting}
        for job_id in choose(waiting, running, at_once, self._total):
            # Known as running before it is: who pauses it meanwhile ends this run, not only what the ledger says.
            started = self._running[job_id] = _Running(kinds[job_id])
            try:
                job = await self._change(job_id, lambda job: rules.started(job, self._now_ms()))
            except rules.NotRunning:  # paused or cancelled a moment ago
                self._over(job_id)
            except BaseException:
                self._over(job_id)
                raise
            else:
                started.run = Run(job, partial(self._folder, job_id), partial(self._stepped, job_id))
                nursery.start_soon(self._run_one, job_id, started.run, started, self.handlers[job.kind])
        next_ms = await trio.to_thread.run_sync(self.ledger.next_due_ms, now_ms)
        return float("inf") if next_ms is None else max(0.0, (next_ms - self._now_ms()) / 1000)

    async def _run_one(self, job_id: int, run: Run, running: _Running, handler: Handler) -> None:
        outcome: Rule | None = None
        try:
            with running.scope:
                outcome = await self._outcome(run, handler)
        except Exception as error:  # noqa: BLE001 - one job's end, told as such, and never the daemon's
            outcome = self._wrong(run, error)
        finally:
            with trio.CancelScope(shield=True):
                await self._conclude(job_id, running, outcome)
            self._over(job_id)

    def _over(self, job_id: int) -> None:
        self._running.pop(job_id).ended.set()
        self._announce()

    async def _outcome(self, run: Run, handler: Handler) -> Rule:
        """Do the work; the rule for how it came out."""
        result = await handler.run(run)
        json.dumps(result)  # what cannot be written down is the handler's fault, and is told as such
        return lambda job: rules.finished(job, result, self._now_ms())

    def _wrong(self, run: Run, error: Exception) -> Rule:
        """The rule for a run that raised: whatever a stranger's bytes do to a handler, it is one job's end."""
        wrong = wrong_of(error)
        if wrong is None:
            log.error("job %d (%s) failed in a way it should not", run.job.id, run.job.kind, exc_info=error)
            wrong = rules.Wrong(f"internal error: {type(error).__name__}: {error}")
        return lambda job: rules.went_wrong(job, wrong, self._now_ms(), self._luck())

    async def _conclude(self, job_id: int, running: _Running, outcome: Rule | None) -> None:
        """Write down how a run ended: what came of it, else what was wished, else that the daemon stopped."""

        def rule(job: Job) -> Change:
            ended = None if outcome is None else outcome(job)
            if ended is not None and (ended.job.state is State.DONE or running.wish is None):
                return ended
            if running.wish is not None:
                return rules.leaving(running.wish(job), running.run.left if running.run else None)
            return rules.stopped(job, self._now_ms())

        try:
            await self._change(job_id, rule)
        except StoreError as error:  # it will be found as running, by the next start
            log.error("job %d: how it ended is not written down: %s", job_id, error)

    async def _wish(self, job_id: int, rule: Rule) -> Job:
        """Apply a rule that ends a run: at once to a job that waits, else as soon as its run has ended."""
        running = self._running.get(job_id)
        if running is None:
            return await self._change(job_id, rule)
        running.wish = rule
        running.scope.cancel()
        with trio.move_on_after(LONGEST_END_S) as limit:
            await running.ended.wait()
        if limit.cancelled_caught:
            raise TimedOut(f"job {job_id} still runs after {LONGEST_END_S:g} s", hint="it ends with the step in hand")
        return await self._change(job_id, rule)  # changes nothing, or says what it came to instead

    async def _change(self, job_id: int, rule: Rule) -> Job:
        with trio.CancelScope(shield=True):  # a change that is durable is told
            async with self._turn:  # so that a folder is gone before a retry makes it anew
                before, after = await trio.to_thread.run_sync(self.ledger.change, job_id, rule)
                had_folder = not before.has_ended or self.keeps(before)
                if had_folder and after.has_ended and not self.keeps(after):
                    await trio.to_thread.run_sync(self.workplace.remove_job, job_id)
        if before.state is not after.state:
            self._tell(before, after)
        self._announce()
        return after

    def _retried(self, job: Job) -> Change:
        return rules.retried(job, self._now_ms(), keep_steps=self.keeps(job))

    def keeps(self, job: Job) -> bool:
        """Whether a job's folder and steps stay although it has failed."""
        handler = self.handlers.get(job.kind)
        if handler is None or job.state is not State.FAILED:
            return False
        return job.attempts >= job.tries if handler.keeps_failed == "worn out" else handler.keeps_failed

    async def _folder(self, job_id: int) -> Any:
        return await trio.to_thread.run_sync(self.workplace.make_job, job_id)

    async def _stepped(self, job_id: int, steps: Mapping[str, Any]) -> None:
        try:
            await self._change(job_id, lambda job: rules.stepped(job, steps, self._now_ms()))
        except rules.NotRunning:
            await trio.sleep_forever()  # whoever changed that cancels this run

    def _tell(self, before: Job, job: Job) -> None:
        """Let `events` show what people want to hear of a job: how it ended, and what an operator did to it."""
        by_hand = State.PAUSED in (before.state, job.state)
        if self._events is None or not (job.has_ended or by_hand):
            return
        why = f": {job.error}" if job.state is State.FAILED else ""
        word = "resumed" if before.state is State.PAUSED and job.state is State.QUEUED else str(job.state)
        root = (job.result or {}).get("root")
        self._events.tell("job", root=root, detail=f"{job.id} {job.kind} {word}: {job.name}{why}")

    def _announce(self) -> None:
        self._news.set()
        self._news = trio.Event()
        self._wake.set()


def wrong_of(error: BaseException) -> rules.Wrong | None:
    """How a run failed that raised this; None where it is a bug."""
    if isinstance(error, BaseExceptionGroup):
        found = [wrong_of(each) for each in error.exceptions]
        return None if None in found else found[0]
    if isinstance(error, Trouble):
        return rules.Wrong(error.message, error.exit_code, retry=True, retry_after_s=error.retry_after_s)
    if isinstance(error, UserError):
        return rules.Wrong(error.message, error.exit_code, retry=isinstance(error, TimedOut))
    if isinstance(error, StoreError):
        return rules.Wrong(str(error), retry=error.retryable)
    if isinstance(error, OSError):
        return rules.Wrong(f"the workspace: {(error.strerror or str(error)).lower()}", retry=True)
    return None
