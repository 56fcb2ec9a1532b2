"""What a job is: values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_TRIES = 10
"""Runs begun without a step finished; with the back-off of `rules` the last is about 17 min after the first. Guess."""


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job.

    Attributes:
        id: counts from 1, never used again; 0 before it is in the ledger.
        kind: of its handler.
        name: what it is about, for people: an address, a path.
        request: JSON values; what the handler was asked for.
        key: what is not to be queued twice; None: any number may be.
        priority: higher is sooner.
        steps: finished step → what it left, in order.
        attempts: runs begun since the last finished step; with `tries` of them it fails.
        due_ms: not to be run before (wall clock).
        result: of a job that is done; of one paused or cancelled how its run left things, where its kind says so.
        error: why it failed, or the last try did; `exit_code` belongs to it.
        created_ms, changed_ms: wall clock.
    """

    id: int = 0
    kind: str
    name: str
    state: State = State.QUEUED
    request: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    priority: int = 0
    steps: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    tries: int = MAX_TRIES
    due_ms: int = 0
    result: Mapping[str, Any] | None = None
    error: str | None = None
    exit_code: int = 0
    created_ms: int = 0
    changed_ms: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it unless somebody asks for a retry."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to tell of a job: `queued started`, a step's name, `done failed paused resumed cancelled retrying`."""

    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A job as it is to be from now on, and what is to be told of it; both become durable together."""

    job: Job
    happenings: tuple[Happening, ...] = ()
