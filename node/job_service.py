"""What jobs need of the daemon, a part of `node.service`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

from msgspec import Meta

from node.add_options import AddOptions
from node.ingest.crawl.request import CrawlRequest
from node.job_rows import JobEvent, JobRow, PageShown, UploadPut, UploadRow
from node.jobs.job import MAX_TRIES
from node.rows import Page

Act = Literal["pause", "resume", "cancel", "retry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddUrl:
    """Take in what a URL names; where that fails for the moment, it is tried so many times, ever less often."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    options: AddOptions = field(default_factory=AddOptions)
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    tries: Annotated[int, Meta(ge=1, le=20)] = MAX_TRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class FileJob:
    """Take in a file of this machine, later. `path` is absolute; see `escape_path` for odd names."""

    path: str
    options: AddOptions = field(default_factory=AddOptions)
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpload:
    """Ask for a place to upload an image to.

    Attributes:
        size_bytes: exactly what will come.
        media_type: what it will be, such as `image/png`; a presigned place needs it; None: any image.
        sha256: of the bytes, hexadecimal; None: whatever comes.
        expires_s: how long the place is there.
    """

    size_bytes: Annotated[int, Meta(ge=1)]
    media_type: Annotated[str, Meta(pattern="^(image|video)/[a-z0-9.+-]{1,60}$")] | None = None
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None
    options: AddOptions = field(default_factory=AddOptions)
    expires_s: Annotated[float, Meta(gt=0, le=86_400)] = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs a listing has; None: all.

    Attributes:
        limit, after: as of any listing.
    """

    state: Literal["queued", "running", "paused", "done", "failed", "cancelled"] | None = None
    kind: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 500
    after: str | None = None


class JobService(Protocol):
    """The daemon, as those see it who have it do something later."""

    async def jobs(self, query: JobQuery) -> Page[JobRow]:
        """A page of jobs, the oldest first."""

    async def job(self, job_id: int, wait_s: float) -> JobRow:
        """One job, once it has ended or `wait_s` are over. Raises `NotFound`."""

    async def job_act(self, job_id: int, act: Act) -> JobRow:
        """Pause, resume, cancel or retry a job. Raises `NotFound`, and `Failed` where its state does not allow it."""

    def job_events(self, after: int | None) -> AsyncIterator[JobEvent]:
        """What happens to jobs, from after `seq` where that is still kept."""

    async def extern(self, request: AddUrl) -> JobRow:
        """Queue a job that takes in what a URL names."""

    async def file_job(self, request: FileJob) -> JobRow:
        """Queue a job that takes in a file of this machine, which must still be there when it runs."""

    async def open_upload(self, request: NewUpload) -> UploadRow:
        """A place for an upload."""

    async def expected_upload(self, upload_id: str, token: str) -> UploadPut:
        """An upload whose place is here and free. Raises `NotFound`, also where the token is another's."""

    async def put_upload(self, upload_id: str, token: str, body: AsyncIterator[bytes]) -> UploadPut:
        """The bytes of an upload whose place is here. Raises `NotFound`, also where the token is another's."""

    async def complete_upload(self, upload_id: str, wait_s: float) -> JobRow:
        """Have a job take in what was uploaded; the job once it has ended or `wait_s` are over."""

    async def crawl(self, request: CrawlRequest) -> JobRow:
        """Queue a job that takes in the images of web pages."""

    async def pages(self, ref: str, flow: str | None) -> Page[PageShown]:
        """The pages that crawls of this peer saw an image on. Raises `NotFound`, `Ambiguous`."""
