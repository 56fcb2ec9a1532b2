"""The operator's half of a daemon's service in memory: it takes orders and answers as the protocol says."""

from dataclasses import replace

from node.errors import RefusedByPolicy, Usage
from node.operator_rows import (
    Destination,
    DrainPlanRow,
    DrainRow,
    MaintenanceRow,
    MigrationRow,
    MoveRow,
    PlanRow,
    RepairRow,
    ZoneRow,
)
from node.operator_service import SetMaintenance, SetZone
from node.rows import Page

BOB = Destination(peer_id="12D3KooWBobBobBobBobBobBobBobBobBobBobBobBobBobBobBob", name="bob", zone="hamburg")
UNTIL = "2026-05-31T14:00:00Z"
WEEK_S = 7 * 86_400.0


class FakeOrders:
    """One peer's orders."""

    def __init__(self) -> None:
        super().__init__()
        self.zone = "berlin"
        self.away_until: str | None = None
        self.drained: list[DrainRow] = []
        self.migrated: list[MigrationRow] = []
        self.state = "active"

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

    async def drain(self) -> DrainRow:
        if self.drained:
            return self.drained.pop(0)
        return DrainRow(
            state=self.state, to=None, roots=0, roots_left=0, bytes_left=0, bytes_per_s=None, eta_s=None
        )  # fmt: skip

    async def start_drain(self, *, to_min: bool) -> DrainRow:
        if not to_min:
            raise RefusedByPolicy(
                "1 root is to have 3 copies elsewhere and only 2 other keepers can hold it: 1 peer is missing",
                hint="invite more keepers, or leave fewer copies with --to-min",
            )
        row = DrainRow(
            state="draining", to="min", roots=2, roots_left=2, bytes_left=3000, bytes_per_s=None, eta_s=None
        )  # fmt: skip
        stuck = replace(row, roots_left=1, bytes_left=1000, bytes_per_s=500.0, waiting="1 peer is missing")
        self.drained = [stuck, replace(row, roots_left=0, bytes_left=0)]
        self.state = "left"
        return row

    async def cancel_drain(self) -> DrainRow:
        if self.state == "left":
            raise RefusedByPolicy("this peer has left the swarm")
        return await self.drain()

    async def drain_plan(self, *, to_min: bool, limit: int, after: str | None) -> Page[DrainPlanRow]:
        if not to_min:
            return Page(rows=())
        row = DrainPlanRow(
            root="bafybeidrmy6vl7vxlcwbxbs4osqoj464a6zmdqzt4fdumgtbvif3bkm2ga", kind="ipfs", name="a.png",
            size_bytes=2000, copies=1, wanted=2, to=(BOB,),
        )  # fmt: skip
        return Page(rows=(row, replace(row, name="b.png", size_bytes=1000, to=())))

    async def migration_plan(self, flow: str, *, limit: int, after: str | None) -> Page[MoveRow]:
        root = "bafybeidrmy6vl7vxlcwbxbs4osqoj464a6zmdqzt4fdumgtbvif3bkm2ga"
        return Page(rows=(MoveRow(root=root, name="a.png", backend="ipfs", to="local", size_bytes=2000),))

    async def migrate(self, flow: str) -> MigrationRow:
        if flow == "s3":
            raise RefusedByPolicy("backend s3: no keeper that is here offers it", hint="configure backends.s3 on one")
        row = MigrationRow(
            flow=flow, backend="local", state="moving", images=2, moved=0, bytes=3000, bytes_moved=0, old_copies=0,
            job=5,
        )  # fmt: skip
        leaving = replace(row, state="leaving", moved=2, bytes_moved=3000, old_copies=2)
        self.migrated = [leaving, replace(leaving, state="done", old_copies=0)]
        return row

    async def migration(self, flow: str) -> MigrationRow:
        return self.migrated.pop(0)

    async def repair(self, *, now: bool) -> RepairRow:
        row = RepairRow(fetches=1, bytes_left=2000, releases=1, degraded=2)
        return replace(row, retried=3, written_off=(BOB,)) if now else row

    async def repair_plan(self, *, limit: int, after: str | None) -> Page[PlanRow]:
        sought = PlanRow(
            root="bafybeidrmy6vl7vxlcwbxbs4osqoj464a6zmdqzt4fdumgtbvif3bkm2ga", kind="ipfs", name="a dag", state="sought",
            copies=0, min=2, max=3, size_bytes=0, action="fetch", by=(BOB,), sources=(), ask=(),
            reason="no peer holds it; this one is placed first and looks for it elsewhere",
            tries=2, retry_in_s=90.0, error="no source has it",
        )  # fmt: skip
        short = replace(
            sought, name="b.png", state="below_min", copies=1, size_bytes=2000, action=None, tries=0, retry_in_s=None,
            error=None, reason="1 of 2:3 copies; to be fetched by bob",
        )  # fmt: skip
        return Page(rows=(sought, short))

    async def rebalance_plan(self) -> tuple[PlanRow, ...]:
        return ()
