"""The rows that jobs are told in; as `node.rows`, fields are only ever added."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job.

    Attributes:
        kind: such as `extern`.
        state: queued, running, paused, done, failed or cancelled.
        progress: 0 to 1.
        error: why it failed, or why the last try did; None where nothing went wrong.
        name: what it is about.
        step: the last one finished.
        done, total, unit: how far it says that it is; `total` None where nobody knows.
        attempts: runs begun since the last finished step.
        retry_at: when a job that waits after a failed try is tried again.
        root: the image that it made.
        result: of a job that is done; of one that takes an image in, as `add` answers. Of one that was paused or cancelled
            how it left things, where its kind says so (`told` for people). In a listing None where it is above 4 KiB:
            ask for that job.
        error_code: the exit code that the command line has for `error`; 0 without one.
    """

    id: int
    kind: str
    state: str
    progress: float
    error: str | None
    name: str
    step: str | None
    done: int
    total: int | None
    unit: str
    priority: int
    attempts: int
    retry_at: str | None
    root: str | None
    result: dict[str, Any] | None
    created_at: str
    changed_at: str
    error_code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageShown:
    """A page that shows an image, as a crawl of this peer saw it. `image`: the image's URL there."""

    flow: str
    image: str
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Something that happened to a job. `seq` counts over all starts of the daemon.

    Attributes:
        kind: queued, started, a step's name (such as fetched, checked, variants, stored, pinned), retrying, paused,
            resumed, cancelled, done or failed.
        id, job, name: the job's id, its kind, and what it is about.
        detail: the reason of `failed` and `retrying`; how `paused` and `cancelled` left things, where the kind says so.
    """

    seq: int
    at: str
    kind: str
    id: int
    job: str
    name: str
    root: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRow:
    """A place for an upload: send `method` with `headers` to `url`, once, then complete it.

    Attributes:
        url: presigned, in a backend; or of this peer's gateway; or, without one, a path of the control socket.
        path: the same on the control socket; None where the place is in a backend.
        complete: path on the control socket to be asked (POST) when the bytes are there.
    """

    id: str
    method: str
    url: str
    headers: dict[str, str]
    presigned: bool
    path: str | None
    complete: str
    size_bytes: int
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPut:
    """The bytes of an upload are here, durably; nothing is made of them before it is completed."""

    id: str
    size_bytes: int
