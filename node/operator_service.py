"""What operators' commands need of the daemon, a part of `node.service`: maintenance, zone, drain, repair."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from msgspec import Meta

from node.operator_rows import MaintenanceRow, ZoneRow


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMaintenance:
    """Be away for `for_s` seconds from now; None: be back."""

    for_s: Annotated[float, Meta(gt=0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetZone:
    """Be in another zone; empty: in none."""

    zone: str


class OperatorService(Protocol):
    """The daemon, as its operator commands it."""

    async def maintenance(self) -> MaintenanceRow:
        """Whether this peer is away."""

    async def set_maintenance(self, request: SetMaintenance) -> MaintenanceRow:
        """Be away, or back; returns once that was told to the other peers."""

    async def set_zone(self, request: SetZone) -> ZoneRow:
        """Change this peer's zone, for now and for later starts."""
