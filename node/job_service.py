"""What jobs need of the daemon, a part of `node.service`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

from msgspec import Meta

from node.add_options import AddOptions
from node.job_rows import JobEvent, JobRow
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
