"""The jobs of a daemon's service in memory."""

from collections.abc import AsyncIterator
from dataclasses import replace

from node.errors import Failed, NotFound, RefusedByPolicy
from node.job_rows import JobEvent, JobRow
from node.job_service import Act, AddUrl, FileJob, JobQuery
from node.rows import Page

AT = "2026-05-31T12:00:00Z"
ROOT = "bafybeidrmy6vl7vxlcwbxbs4osqoj464a6zmdqzt4fdumgtbvif3bkm2ga"
ADDED = {
    "path": "https://example.org/a.png", "root": ROOT, "original": "bafkreia", "new": True, "size_bytes": 6, "copies": 1,
    "error": None, "exit_code": 0,
}  # fmt: skip


def job(number: int, state: str, name: str, **fields: object) -> JobRow:
    """A job as the daemon would tell it."""
    row = JobRow(
        id=number, kind="extern", state=state, progress=0.0, error=None, name=name, step=None, done=0, total=None,
        unit="", priority=0, attempts=0, retry_at=None, root=None, result=None, created_at=AT, changed_at=AT,
    )  # fmt: skip
    return replace(row, **fields)  # type: ignore[arg-type]


class FakeJobs:
    """A few jobs; a URL with `slow` in it is never done, one with `gone` in it fails."""

    def __init__(self) -> None:
        self.queue: dict[int, JobRow] = {
            1: job(1, "done", "https://example.org/old.png", progress=1.0, step="pinned", root=ROOT),
            2: job(
                2, "failed", "https://example.org/gone.png", error="the server answered 404", attempts=1, error_code=1
            ),
            3: job(
                3, "running", "https://example.org/feed", kind="crawl", progress=0.4, done=20, total=50, unit="pages"
            ),
            4: job(
                4, "queued", "https://example.org/busy.png", error="the server answered 503", retry_at=AT, attempts=2
            ),
        }

    async def jobs(self, query: JobQuery) -> Page[JobRow]:
        rows = [
            row
            for row in self.queue.values()
            if query.state in (None, row.state) and query.kind in (None, row.kind) and row.id > int(query.after or 0)
        ]
        return Page(
            rows=tuple(rows[: query.limit]), next=str(rows[query.limit - 1].id) if rows[query.limit :] else None
        )

    async def job(self, job_id: int, wait_s: float) -> JobRow:
        if job_id not in self.queue:
            raise NotFound(f"job {job_id}: no such job")
        return self.queue[job_id]

    async def job_act(self, job_id: int, act: Act) -> JobRow:
        row = await self.job(job_id, 0)
        if act == "resume" and row.state in ("done", "failed"):
            raise Failed(f"job {job_id} is {row.state}: only paused ones are resumed")
        state = {"pause": "paused", "resume": "queued", "cancel": "cancelled", "retry": "queued"}[act]
        self.queue[job_id] = replace(row, state=state, error=None, retry_at=None)
        return self.queue[job_id]

    async def job_events(self, after: int | None) -> AsyncIterator[JobEvent]:
        for seq, kind in enumerate(("queued", "started", "fetched"), start=1):
            yield JobEvent(seq=seq, at=AT, kind=kind, id=5, job="extern", name="https://example.org/a.png")
        yield JobEvent(
            seq=4, at=AT, kind="failed", id=5, job="extern", name="https://example.org/a.png", detail="not an image"
        )

    async def extern(self, request: AddUrl) -> JobRow:
        if "10.0.0.1" in request.url:
            raise RefusedByPolicy("10.0.0.1: not fetched from: a private network")
        number = len(self.queue) + 1
        if "gone" in request.url:
            row = job(number, "failed", request.url, error="the server answered 404", error_code=1)
        elif "slow" in request.url:
            row = job(number, "queued", request.url)
        else:
            row = job(number, "done", request.url, root=ROOT, result={**ADDED, "path": request.url}, progress=1.0)
        self.queue[number] = row
        return row

    async def file_job(self, request: FileJob) -> JobRow:
        number = len(self.queue) + 1
        self.queue[number] = job(number, "queued", request.path, kind="file")
        return self.queue[number]
