"""The jobs of a daemon's service in memory."""

from collections.abc import AsyncIterator
from dataclasses import replace

from node.errors import Failed, NotFound, RefusedByPolicy
from node.ingest.crawl.request import CrawlRequest
from node.job_rows import JobEvent, JobRow, PageShown, UploadPut, UploadRow
from node.job_service import Act, AddUrl, FileJob, JobQuery, NewUpload
from node.rows import Page

AT = "2026-05-31T12:00:00Z"
ROOT = "bafybeidrmy6vl7vxlcwbxbs4osqoj464a6zmdqzt4fdumgtbvif3bkm2ga"
ADDED = {
    "path": "https://example.org/a.png", "root": ROOT, "original": "bafkreia", "new": True, "size_bytes": 6, "copies": 1,
    "error": None, "exit_code": 0,
}  # fmt: skip

CRAWLED = {
    "pages": 12, "pages_refused": 1, "pages_left": 3, "images": 40, "stored": 25, "known": 5, "small": 8, "refused": 1,
    "failed": 1, "disallowed": 4, "seconds": 7.5,
    "problems": [{"url": "https://example.org/b.png", "reason": "not an image: text"}],
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
        self.uploads: dict[str, tuple[NewUpload, bytes]] = {}
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

    async def crawl(self, request: CrawlRequest) -> JobRow:
        request.check()
        number = len(self.queue) + 1
        found = ["https://example.org/a.png"] if request.dry_run else []
        row = job(number, "done", request.urls[0], kind="crawl", progress=1.0, result={**CRAWLED, "found": found})
        if "gone" in request.urls[0]:
            row = job(number, "failed", request.urls[0], kind="crawl", error="the server answered 404", error_code=1)
        self.queue[number] = row
        return row

    async def pages(self, ref: str, flow: str | None) -> Page[PageShown]:
        at = "https://example.org"
        shown = [PageShown(flow="default", image=f"{at}/a.png", page=f"{at}/{page}") for page in ("", "about")]
        return Page(rows=tuple(shown), next=None)

    async def file_job(self, request: FileJob) -> JobRow:
        number = len(self.queue) + 1
        self.queue[number] = job(number, "queued", request.path, kind="file")
        return self.queue[number]

    async def open_upload(self, request: NewUpload) -> UploadRow:
        if request.size_bytes > 1000:
            raise Failed("too large: 2 KiB, at most 1000 B")
        upload_id = f"up{len(self.uploads)}"
        self.uploads[upload_id] = (request, b"")
        path = f"/v1/uploads/{upload_id}/bytes?token=secret"
        return UploadRow(
            id=upload_id, method="PUT", url=path, headers={}, presigned=False, path=path,
            complete=f"/v1/uploads/{upload_id}/complete", size_bytes=request.size_bytes, expires_at=AT,
        )  # fmt: skip

    async def expected_upload(self, upload_id: str, token: str) -> UploadPut:
        if upload_id not in self.uploads or token != "secret":
            raise NotFound(f"upload {upload_id!r}: no such upload, or it has expired")
        return UploadPut(id=upload_id, size_bytes=self.uploads[upload_id][0].size_bytes)

    async def put_upload(self, upload_id: str, token: str, body: AsyncIterator[bytes]) -> UploadPut:
        if upload_id not in self.uploads or token != "secret":
            raise NotFound(f"upload {upload_id!r}: no such upload, or it has expired")
        content = b"".join([part async for part in body])
        self.uploads[upload_id] = (self.uploads[upload_id][0], content)
        return UploadPut(id=upload_id, size_bytes=len(content))

    async def complete_upload(self, upload_id: str, wait_s: float) -> JobRow:
        request, content = self.uploads[upload_id]
        number, name = len(self.queue) + 1, request.options.name or "upload"
        row = job(number, "done", name, kind="upload", root=ROOT, progress=1.0)
        if not content.startswith(b"IMAGE"):
            row = replace(row, state="failed", error="not an image", error_code=1, root=None)
        self.queue[number] = replace(row, result={**ADDED, "path": name})
        return self.queue[number]
