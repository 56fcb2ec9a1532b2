"""What may become of a job: each rule takes it as it is and returns it as it is to be, with what to tell. Pure.

    queued → running → done | failed          running → queued: a try failed, or the daemon stopped
    queued, running → paused → queued         queued, running, paused, failed → cancelled
    failed, cancelled → queued: a retry

A rule that does not fit the job's state raises; asked for what is so already, it changes nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from node.errors import DONE, FAILED, Failed
from node.jobs.job import Change, Happening, Job, State

FIRST_RETRY_S = 2.0
MAX_RETRY_S = 3600.0
JITTER = 0.25
"""Of a wait, at most: jobs that failed together are not tried again together."""

LONGEST_WAIT_MS = int(MAX_RETRY_S * (1 + JITTER) * 1000)


class Wrong(NamedTuple):
    """How a run failed. `retry`: trying again may help, but not before `retry_after_s`."""

    reason: str
    exit_code: int = FAILED
    retry: bool = False
    retry_after_s: float | None = None


class NotRunning(Exception):
    """A run tells of a job that somebody has paused or cancelled meanwhile; whoever cancels the run is on the way."""


def backoff_s(attempts: int, luck: float) -> float:
    """Seconds until the next try after `attempts` failed ones; `luck` is uniform between 0 and 1."""
    wait_s = min(FIRST_RETRY_S * 2.0 ** min(attempts - 1, 30), MAX_RETRY_S)
    return wait_s * (1 - JITTER + 2 * JITTER * luck)


def submitted(job: Job, now_ms: int) -> Change:
    """A new job enters the queue."""
    return Change(replace(job, created_ms=now_ms, changed_ms=now_ms, due_ms=now_ms), (Happening("queued"),))


def started(job: Job, now_ms: int) -> Change:
    """A run begins. Counted before it does anything, so that a job that kills the daemon is not begun for ever."""
    _expect(job, State.QUEUED)
    return Change(
        replace(job, state=State.RUNNING, attempts=job.attempts + 1, result=None, changed_ms=now_ms),
        (Happening("started"),),
    )


def stepped(job: Job, steps: Mapping[str, Any], now_ms: int) -> Change:
    """Steps are finished, in order; one that was before is not told again."""
    _expect(job, State.RUNNING)
    new = {step: left for step, left in steps.items() if step not in job.steps}
    after = replace(job, steps={**job.steps, **new}, attempts=1 if new else job.attempts, changed_ms=now_ms)
    return Change(after, tuple(Happening(step) for step in new))


def finished(job: Job, result: Mapping[str, Any], now_ms: int) -> Change:
    """The run came out well."""
    _expect(job, State.RUNNING)
    after = replace(job, state=State.DONE, result=result, error=None, exit_code=DONE, changed_ms=now_ms)
    return Change(after, (Happening("done"),))


def went_wrong(job: Job, wrong: Wrong, now_ms: int, luck: float) -> Change:
    """The run failed."""
    _expect(job, State.RUNNING)
    reason = wrong.reason
    after = replace(job, error=reason, exit_code=wrong.exit_code, changed_ms=now_ms)
    if not wrong.retry:
        return Change(replace(after, state=State.FAILED), (Happening("failed", reason),))
    if job.attempts >= job.tries:
        told = f"{reason}; tried {job.attempts} times" if job.attempts > 1 else reason
        return Change(replace(after, state=State.FAILED, error=told), (Happening("failed", told),))
    wait_s = min(max(backoff_s(job.attempts, luck), wrong.retry_after_s or 0.0), MAX_RETRY_S * (1 + JITTER))
    after = replace(after, state=State.QUEUED, due_ms=now_ms + int(wait_s * 1000))
    return Change(after, (Happening("retrying", f"{reason}; next try in {wait_s:.0f} s"),))


def stopped(job: Job, now_ms: int) -> Change:
    """The daemon stops, in good order: the run does not count."""
    _expect(job, State.RUNNING)
    return Change(replace(job, state=State.QUEUED, attempts=job.attempts - 1, due_ms=now_ms, changed_ms=now_ms))


def found_running(job: Job, now_ms: int) -> Change:
    """The daemon starts, and had ended in the middle of a run."""
    _expect(job, State.RUNNING)
    if job.attempts < job.tries:
        return Change(replace(job, state=State.QUEUED, due_ms=now_ms, changed_ms=now_ms), (Happening("queued"),))
    reason = f"the daemon ended {job.attempts} times in the middle of it"
    after = replace(job, state=State.FAILED, error=reason, exit_code=FAILED, changed_ms=now_ms)
    return Change(after, (Happening("failed", reason),))


def paused(job: Job, now_ms: int) -> Change:
    """Somebody wants it to wait."""
    if job.state is State.PAUSED:
        return Change(job)
    if job.state not in (State.QUEUED, State.RUNNING):
        raise _refused(job, "only queued and running ones are paused")
    return Change(replace(job, state=State.PAUSED, changed_ms=now_ms), (Happening("paused"),))


def resumed(job: Job, now_ms: int) -> Change:
    """Somebody wants it to go on."""
    if job.state in (State.QUEUED, State.RUNNING):
        return Change(job)
    if job.state is not State.PAUSED:
        raise _refused(job, "only paused ones are resumed")
    after = replace(job, state=State.QUEUED, attempts=0, due_ms=now_ms, changed_ms=now_ms)
    return Change(after, (Happening("resumed"),))


def cancelled(job: Job, now_ms: int) -> Change:
    """Somebody does not want it any more; a failed one is put away by it."""
    if job.state is State.CANCELLED:
        return Change(job)
    if job.state is State.DONE:
        raise _refused(job, "there is nothing to cancel")
    return Change(replace(job, state=State.CANCELLED, changed_ms=now_ms), (Happening("cancelled"),))


def leaving(change: Change, left: Mapping[str, Any] | None) -> Change:
    """A run was ended by a pause or a cancel, and says how it left things."""
    if left is None:
        return change
    told = tuple(replace(each, detail=left.get("told", "")) for each in change.happenings)
    return Change(replace(change.job, result=left), told)


def retried(job: Job, now_ms: int, *, keep_steps: bool) -> Change:
    """Somebody wants it tried again; `keep_steps`: what finished steps left is still there."""
    if job.state is State.QUEUED:  # waiting for its next try: that is now
        return Change(replace(job, attempts=0, due_ms=now_ms, changed_ms=now_ms), (Happening("queued"),))
    if job.state not in (State.FAILED, State.CANCELLED):
        raise _refused(job, "only failed and cancelled ones are retried")
    steps = job.steps if keep_steps else {}
    after = replace(
        job, state=State.QUEUED, attempts=0, due_ms=now_ms, changed_ms=now_ms, steps=steps, error=None, exit_code=DONE
    )
    return Change(after, (Happening("queued"),))


def _expect(job: Job, state: State) -> None:
    if job.state is not state:
        raise NotRunning(f"job {job.id} is {job.state}")


def _refused(job: Job, why: str) -> Failed:
    return Failed(f"job {job.id} is {job.state}: {why}")
