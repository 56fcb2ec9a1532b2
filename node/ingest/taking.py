"""What a source needs to hand an image over: `node.operations.adding` is the one who takes it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from node.add_options import AddOptions
from node.jobs.handler import Run
from node.rows import Added


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An image to take in.

    Attributes:
        path: where its bytes are.
        told: what the answer calls it: a path, a URL.
        name: of its pin.
        origin: URL or page it came from.
        parent, operations: the root that it was edited from, and how.
        run: of the job that this is part of; None: of none.
    """

    path: Path
    told: str
    name: str
    options: AddOptions = field(default_factory=AddOptions)
    origin: str | None = None
    parent: bytes | None = None
    operations: tuple[str, ...] = ()
    run: Run | None = None


class Taking(Protocol):
    """Takes images in."""

    def check(self, name: str, options: AddOptions) -> None:
        """Raises: UserError: policy would have none of it."""

    async def take(self, given: Given) -> Added:
        """Take one in, and wait for other keepers; within a job what is finished already is not done again.

        Raises:
            Failed: it is no image that we keep.
            RefusedByPolicy: it may not come in.
            TimedOut: fewer keepers than asked for confirmed in time; `partial` is the row.
        """
