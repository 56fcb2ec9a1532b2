"""The operator's half of a daemon's service in memory: it takes orders and answers as the protocol says."""

from node.errors import RefusedByPolicy, Usage
from node.operator_rows import MaintenanceRow, ZoneRow
from node.operator_service import SetMaintenance, SetZone

UNTIL = "2026-05-31T14:00:00Z"
WEEK_S = 7 * 86_400.0


class FakeOrders:
    """One peer's orders."""

    def __init__(self) -> None:
        self.zone = "berlin"
        self.away_until: str | None = None

    async def maintenance(self) -> MaintenanceRow:
        return MaintenanceRow(state="away" if self.away_until else "active", away_until=self.away_until)

    async def set_maintenance(self, request: SetMaintenance) -> MaintenanceRow:
        if request.for_s is not None and request.for_s > WEEK_S:
            raise Usage("maintenance for 8 d: at most 7 d")
        self.away_until = None if request.for_s is None else UNTIL
        return await self.maintenance()

    async def set_zone(self, request: SetZone) -> ZoneRow:
        if request.zone == "variable":
            raise RefusedByPolicy("zone: PINAKOTHEK_ZONE sets it, and would again at the next start")
        before, self.zone = self.zone, request.zone
        return ZoneRow(zone=self.zone, before=before)
