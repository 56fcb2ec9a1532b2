"""The rows that operators' commands answer with; as `node.rows`, fields are only ever added."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceRow:
    """Whether this peer is away, and until when (an instant; None when it is not)."""

    state: str
    away_until: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneRow:
    """This peer's zone, and what it was before."""

    zone: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRow:
    """How a drain stands.

    Attributes:
        state: this peer's own word, and `left` once it is over.
        to: `max` or `min`: how many copies each root is to have elsewhere; None without a drain.
        roots: held here and wanted; `roots_left` of them still lack copies elsewhere.
        bytes_left: each missing copy counted.
        bytes_per_s: over the last minute; with `eta_s` None while nothing is known.
        waiting: why it cannot go on, None where it can.
    """

    state: str
    to: str | None
    roots: int
    roots_left: int
    bytes_left: int
    bytes_per_s: float | None
    eta_s: float | None
    waiting: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A peer that is to make a copy."""

    peer_id: str
    name: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainPlanRow:
    """A root that a drain has copied: it has `copies` elsewhere and is to have `wanted`."""

    root: str
    kind: str
    name: str
    size_bytes: int
    copies: int
    wanted: int
    to: tuple[Destination, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRow:
    """What is planned for a root, by the same values that the planner computes.

    Attributes:
        state: as `ls` has it.
        action: what this peer is to do: `fetch` or `release`; None where that is others' affair.
        by: the peers that are to make the missing copies, or may let theirs go.
        sources: whom this peer would fetch it from, best first.
        ask: the holders whose leases this peer would need.
        reason: the planner's.
        tries: failed ones of this peer in a row; `retry_in_s` is None where nothing failed, `error` says why it did.
    """

    root: str
    kind: str
    name: str
    state: str
    copies: int
    min: int
    max: int
    size_bytes: int
    action: str | None
    by: tuple[Destination, ...]
    sources: tuple[str, ...]
    ask: tuple[str, ...]
    reason: str
    tries: int = 0
    retry_in_s: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRow:
    """What this peer does about images that lack copies, planned anew a moment ago.

    Attributes:
        fetches, bytes_left: planned or under way here.
        releases: surplus copies here that are to go.
        degraded: roots below their `min`, sought or lost, whoever repairs them.
        retried: roots whose back-off `--now` ended.
        written_off: peers that `--now` no longer waits for after a mass loss.
    """

    fetches: int
    bytes_left: int
    releases: int
    degraded: int
    retried: int = 0
    written_off: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairStatus:
    """This peer's part of the repair; other peers do theirs at the same time, which is about as much each.

    Attributes:
        roots, bytes: to be copied here, what is under way included.
        bytes_per_s: over the last minute; with `eta_s` None while nothing is known.
    """

    roots: int = 0
    bytes: int = 0
    bytes_per_s: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRow:
    """Why roots do not have the copies that they should: so many stand so, and for one of them, `root`, that is why."""

    state: str
    roots: int
    why: str
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """An image that `flow migrate` would move, from `backend` to another."""

    root: str
    name: str
    backend: str
    to: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRow:
    """How the move of a flow to `backend` stands.

    Attributes:
        state: `moving` while images lack copies there, `leaving` while old copies are let go, `done`; `cancelled` or
            `failed` where its job ended so.
        images, bytes: of the flow; `moved`, `bytes_moved` of those that have their copies there.
        old_copies: on peers that are here, on backends that nothing wants them on.
        waiting: why it cannot go on, None where it can.
        job: the job that moves it.
    """

    flow: str
    backend: str
    state: str
    images: int
    moved: int
    bytes: int
    bytes_moved: int
    old_copies: int
    waiting: str | None = None
    job: int = 0
