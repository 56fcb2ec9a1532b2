"""What operators' commands need of the daemon, a part of `node.service`: maintenance, zone, drain, repair."""

from dataclasses import dataclass
from typing import Annotated, Protocol

from msgspec import Meta

from node.operator_rows import (
    DrainPlanRow,
    DrainRow,
    MaintenanceRow,
    MigrationRow,
    MoveRow,
    PlanRow,
    RepairRow,
    ZoneRow,
)
from node.rows import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMaintenance:
    """Be away for `for_s` seconds from now; None: be back."""

    for_s: Annotated[float, Meta(gt=0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetZone:
    """Be in another zone; empty: in none."""

    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDrain:
    """Drain; `to_min`: leave once every root has its `min` elsewhere, instead of its `max`."""

    to_min: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Plan anew; `now`: end the storm guard and every back-off, so that all that is due is tried at once."""

    now: bool = False


class OperatorService(Protocol):
    """The daemon, as its operator commands it."""

    async def maintenance(self) -> MaintenanceRow:
        """Whether this peer is away."""

    async def set_maintenance(self, request: SetMaintenance) -> MaintenanceRow:
        """Be away, or back; returns once that was told to the other peers."""

    async def set_zone(self, request: SetZone) -> ZoneRow:
        """Change this peer's zone, for now and for later starts."""

    async def drain(self) -> DrainRow:
        """How far this peer's drain is."""

    async def start_drain(self, *, to_min: bool) -> DrainRow:
        """Drain. Raises `RefusedByPolicy` where too few others can hold what is here, with the number missing."""

    async def cancel_drain(self) -> DrainRow:
        """Stay after all."""

    async def drain_plan(self, *, to_min: bool, limit: int, after: str | None) -> Page[DrainPlanRow]:
        """A page of what a drain would copy, and where. Raises as `start_drain` does."""

    async def migration_plan(self, flow: str, *, limit: int, after: str | None) -> Page[MoveRow]:
        """A page of the images that a flow has on another backend than it names now. Raises as `migrate` does."""

    async def migrate(self, flow: str) -> MigrationRow:
        """Move a flow's images to the backend that it names now; one that is moving goes on.

        Raises `NotFound`, or `RefusedByPolicy` where the backend may not be used or nobody offers it.
        """

    async def migration(self, flow: str) -> MigrationRow:
        """How a flow's move stands. Raises `NotFound` where there was none since the start."""

    async def repair(self, *, now: bool) -> RepairRow:
        """Plan everything anew; `now` ends the storm guard and every back-off first."""

    async def repair_plan(self, *, limit: int, after: str | None) -> Page[PlanRow]:
        """A page of the roots that do not have the copies that they should, the worst first, and what is planned."""

    async def rebalance_plan(self) -> tuple[PlanRow, ...]:
        """The next copies that this peer is to make or let go although none is missing."""
