"""`jobs`: what is queued, how far it is, and what an operator does about it."""

import os
from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
import trio

from node.errors import Usage
from node.events import instant
from node.ingest import extern, local_file
from node.ingest.taking import Taking
from node.ingest.web_address import WebAddress
from node.job_rows import JobEvent, JobRow
from node.job_service import Act, AddUrl, FileJob, JobQuery
from node.jobs.job import Job, State
from node.jobs.ledger import Told
from node.jobs.queue import Jobs
from node.quantities import escape_path, unescape_path
from node.rows import Page

MAX_NAME_CHARS = 300
"""Of a URL in a listing."""


class JobDesk:
    """Answers for the queue."""

    def __init__(self, jobs: Jobs, taking: Taking) -> None:
        self._jobs = jobs
        self._taking = taking

    async def jobs(self, query: JobQuery) -> Page[JobRow]:
        """See `JobService`."""
        after = query.after or "0"
        if not (after.isascii() and after.isdecimal() and len(after) < 16):
            raise Usage(f"after: {after[:32]!r}: no cursor of this listing")
        found = await self._jobs.page(after=int(after), limit=query.limit, state=query.state, kind=query.kind)
        cursor = str(found[-1].id) if len(found) == query.limit else None
        return Page(rows=tuple(self.row(job) for job in found), next=cursor)

    async def job(self, job_id: int, wait_s: float) -> JobRow:
        """See `JobService`."""
        job = await self._jobs.get(job_id)
        if wait_s:
            with trio.move_on_after(wait_s):
                job = await self._jobs.ended(job_id)
        return self.row(job if job.has_ended else await self._jobs.get(job_id))

    async def act(self, job_id: int, act: Act) -> JobRow:
        """See `JobService`."""
        todo = {
            "pause": self._jobs.pause,
            "resume": self._jobs.resume,
            "cancel": self._jobs.cancel,
            "retry": self._jobs.retry,
        }
        return self.row(await todo[act](job_id))

    async def events(self, after: int | None) -> AsyncIterator[JobEvent]:
        """See `JobService`."""
        async with aclosing(self._jobs.since(after)) as told:  # type: ignore[type-var]
            async for each in told:
                yield _event(each)

    async def extern(self, request: AddUrl) -> JobRow:
        """See `JobService`. What policy forbids is refused here, not by the job."""
        address = WebAddress.parse(request.url)
        self._taking.check(request.options.name or address.name, request.options)
        job = await self._jobs.submit(
            extern.KIND,
            {"url": request.url, "options": msgspec.to_builtins(request.options)},
            name=request.url[:MAX_NAME_CHARS],
            priority=request.priority,
            tries=request.tries,
        )
        return self.row(job)

    async def file_job(self, request: FileJob) -> JobRow:
        """See `JobService`."""
        raw = unescape_path(request.path)
        if not os.path.isabs(raw):
            raise Usage(f"path {request.path!r}: expected an absolute one")
        self._taking.check(request.options.name or escape_path(os.path.basename(raw)), request.options)
        job = await self._jobs.submit(
            local_file.KIND,
            {"path": request.path, "options": msgspec.to_builtins(request.options)},
            name=request.path[:MAX_NAME_CHARS],
            priority=request.priority,
        )
        return self.row(job)

    def row(self, job: Job) -> JobRow:
        """A job as listings have it."""
        run = self._jobs.run_of(job.id)
        done, total, unit = (0, None, "") if run is None else (run.done, run.total, run.unit)
        waits = job.state is State.QUEUED and job.error is not None
        return JobRow(
            id=job.id,
            kind=job.kind,
            state=str(job.state),
            progress=self._progress(job, done, total),
            error=job.error,
            name=job.name,
            step=list(job.steps)[-1] if job.steps else None,
            done=done,
            total=total,
            unit=unit,
            priority=job.priority,
            attempts=job.attempts,
            retry_at=instant(job.due_ms) if waits else None,
            root=root_of(job),
            result=None if job.result is None else dict(job.result),
            created_at=instant(job.created_ms),
            changed_at=instant(job.changed_ms),
            error_code=job.exit_code,
        )

    def _progress(self, job: Job, done: int, total: int | None) -> float:
        """By what it says, else by the steps that are finished; a job that is done is all of it."""
        if job.state is State.DONE:
            return 1.0
        if total:
            return round(min(done / total, 1.0), 3)
        handler = self._jobs.handlers.get(job.kind)
        steps = handler.steps if handler is not None else ()
        return round(sum(step in job.steps for step in steps) / (len(steps) + 1), 3) if steps else 0.0


def root_of(job: Job) -> str | None:
    """The image that a job has made."""
    root = (job.result or {}).get("root") or job.steps.get("stored")
    return root if isinstance(root, str) else None


def _event(told: Told) -> JobEvent:
    job = told.job
    return JobEvent(
        seq=told.seq,
        at=instant(told.at_ms),
        kind=told.happening.kind,
        id=job.id,
        job=job.kind,
        name=job.name,
        root=root_of(job) if told.happening.kind in ("stored", "pinned", "done") else None,
        detail=told.happening.detail,
    )
