"""What a kind of job brings, and what it is given."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from node.jobs.job import Job


class Handler(Protocol):
    """Does the jobs of one kind; see `node.jobs` for the contract.

    Attributes:
        kind: its name, a word.
        at_once: how many may run together.
        steps: the steps it finishes, in order: what `progress` is reckoned from.
        keeps_failed: a failed job's folder and steps stay, so that a retry goes on where it was; `worn out`: those of one
            that was tried as often as it may be, for want of something that others have to mend.
    """

    kind: str
    at_once: int
    steps: tuple[str, ...]

    @property
    def keeps_failed(self) -> bool | Literal["worn out"]: ...

    async def run(self, run: "Run") -> Mapping[str, Any]:
        """Do one job, or what is left of it; its result."""


class Run:
    """One run of a job, as its handler sees it.

    Attributes:
        job: as it was when the run began.
        done, total, unit: what `progress` said last.
        left: where the handler sets it, how a run left things that was ended by a pause or a cancel: the job's result
            from then on. `told` in it is for people.
    """

    def __init__(
        self,
        job: Job,
        make_folder: Callable[[], Awaitable[Path]],
        commit_steps: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        self.job = job
        self.done = 0
        self.total: int | None = None
        self.unit = ""
        self.left: Mapping[str, Any] | None = None
        self._make_folder = make_folder
        self._commit_steps = commit_steps
        self._steps = dict(job.steps)

    @property
    def request(self) -> Mapping[str, Any]:
        """What was submitted."""
        return self.job.request

    def result_of(self, step: str) -> Any:
        """What a finished step left, in this run or an earlier one; None where it is still to be done."""
        return self._steps.get(step)

    async def step(self, name: str, left: Any = True) -> None:
        """A step is finished, and what it left is durable when this returns. `left`: a JSON value, not None."""
        await self.steps({name: left})

    async def steps(self, finished: Mapping[str, Any]) -> None:
        """Several steps are finished, in one commit."""
        await self._commit_steps(finished)
        self._steps.update(finished)

    async def make_folder(self) -> Path:
        """The job's own folder in the workspace, made if it is not there; it is removed when the job has ended."""
        return await self._make_folder()

    def progress(self, done: int, total: int | None, unit: str = "") -> None:
        """How far it is, for people: `done` of `total` (None: nobody knows) `unit`s."""
        self.done, self.total, self.unit = done, total, unit
