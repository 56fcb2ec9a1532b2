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
