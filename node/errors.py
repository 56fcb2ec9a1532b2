"""What can go wrong for a person, and the one place where it becomes an exit code and an HTTP status.

Raised by the daemon's service and by the command line; the control socket carries them as JSON, so that an error looks
the same on both sides. Imports nothing: the command line starts in a moment because of it.

| exit | meaning            | class               | HTTP |
|------|--------------------|---------------------|------|
| 0    | done               |                     | 200  |
| 1    | failed             | `Failed`            | 422  |
| 2    | usage              | `Usage` `Ambiguous` | 400  |
| 3    | not found          | `NotFound`          | 404  |
| 4    | daemon not running | `DaemonNotRunning`  | 503  |
| 5    | refused by policy  | `RefusedByPolicy`   | 403  |
| 6    | timed out          | `TimedOut`          | 504  |
"""

from collections.abc import Sequence
from typing import ClassVar

DONE = 0
FAILED = 1
INTERRUPTED = 130
"""What a shell reports for a program ended by Ctrl-C: 128 + SIGINT."""


class UserError(Exception):
    """An expected failure: one lower-case line for a person, and perhaps what to try.

    Attributes:
        message: names the thing and the values; no capital, no final period, no line break.
        hint: what to try, or None.
        candidates: what an ambiguous name could have meant; else empty.
        partial: what was done before the failure, a row of `node.service`, or None.
    """

    exit_code: ClassVar[int] = FAILED
    http_status: ClassVar[int] = 422

    def __init__(
        self, message: str, *, hint: str | None = None, candidates: Sequence[str] = (), partial: object = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.candidates = tuple(candidates)
        self.partial = partial


class Failed(UserError):
    """It was tried and did not work."""


class Usage(UserError):
    """The request makes no sense as written."""

    exit_code = 2
    http_status = 400


class Ambiguous(Usage):
    """A name stands for several things; `candidates` lists them."""


class NotFound(UserError):
    """Nothing of that name is known here."""

    exit_code = 3
    http_status = 404


class DaemonNotRunning(UserError):
    """No daemon answers for this data directory."""

    exit_code = 4
    http_status = 503


class RefusedByPolicy(UserError):
    """The charter, a bound or the operator's settings forbid it."""

    exit_code = 5
    http_status = 403


class TimedOut(UserError):
    """It was not done in time; `partial` says how far it came."""

    exit_code = 6
    http_status = 504


BY_EXIT_CODE: dict[int, type[UserError]] = {
    kind.exit_code: kind for kind in (Failed, Usage, NotFound, DaemonNotRunning, RefusedByPolicy, TimedOut)
}


def exit_code_of(error: BaseException) -> int:
    """The exit code that stands for `error`; a bug counts as failed."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return error.exit_code if isinstance(error, UserError) else FAILED


def combined_exit_code(codes: Sequence[int]) -> int:
    """One exit code for several inputs: 0 if all are done, the code the failed ones share, else `FAILED`."""
    bad = {code for code in codes if code != DONE}
    return DONE if not bad else bad.pop() if len(bad) == 1 else FAILED
