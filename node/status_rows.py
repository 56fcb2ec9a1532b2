"""What `status` answers; as `node.rows`, fields are only ever added."""

from dataclasses import dataclass, field

from node.operator_rows import ReasonRow, RepairStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCounts:
    """Roots by how many replicas they have; the first of `lost`, `sought`, `below_min` that holds is counted.

    A root that pins want on two kinds of backend has a factor, and stands somehow, on each of them: in `total` it is one,
    in the others two.
    """

    total: int
    below_min: int
    below_target: int
    at_target: int
    above_target: int
    sought: int
    lost: int
    trashed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCounts:
    """Members by how this peer sees them, itself included."""

    alive: int
    suspect: int
    down: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUse:
    """Room on this peer."""

    used_bytes: int
    capacity_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCounts:
    """Fetches, releases and jobs of this peer."""

    queued: int
    running: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that a person should know first: `mass loss`, `charter fork`, `clock`, `lost`, `no room` …"""

    check: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One peer and what it knows of the swarm.

    Attributes:
        state: this peer's own word: active, draining, away, leaving or recovering.
        gateway: URL of the HTTP gateway, None when off.
        alerts: most urgent first; empty when all is well.
        reasons: the worst standing first; empty where every root has its copies.
        roles: of curator, keeper, guest; none for a peer that left or was expelled.
        refused: what others sent that was refused or set aside since the start, by why.
    """

    peer_id: str
    name: str
    version: str
    data_dir: str
    addrs: tuple[str, ...]
    state: str
    zone: str
    uptime_s: float
    images: ImageCounts
    peers: PeerCounts
    store: StoreUse
    work: WorkCounts
    swarm: str = ""
    gateway: str | None = None
    alerts: tuple[Alert, ...] = ()
    away_until: str | None = None
    repair: RepairStatus = field(default_factory=RepairStatus)
    reasons: tuple[ReasonRow, ...] = ()
    roles: tuple[str, ...] = ()
    refused: dict[str, int] = field(default_factory=dict)
