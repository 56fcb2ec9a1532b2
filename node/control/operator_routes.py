"""The part of the control API's table that operators' commands use."""

from node import operator_rows as rows
from node.control import queries
from node.control.endpoint import Endpoint, Form
from node.operator_service import Repair, SetMaintenance, SetZone, StartDrain

OPERATOR_ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/maintenance",
        name="maintenance",
        summary="Whether this peer is away",
        call=lambda service, _: service.maintenance(),
        answer=rows.MaintenanceRow,
    ),
    Endpoint(
        method="POST",
        path="/v1/maintenance",
        name="set_maintenance",
        summary="Be away for a while, or back",
        call=lambda service, asked: service.set_maintenance(asked.body),
        answer=rows.MaintenanceRow,
        body=SetMaintenance,
    ),
    Endpoint(
        method="POST",
        path="/v1/zone",
        name="set_zone",
        summary="Change this peer's zone",
        call=lambda service, asked: service.set_zone(asked.body),
        answer=rows.ZoneRow,
        body=SetZone,
    ),
    Endpoint(
        method="GET",
        path="/v1/drain",
        name="drain",
        summary="How far this peer's drain is",
        call=lambda service, _: service.drain(),
        answer=rows.DrainRow,
    ),
    Endpoint(
        method="POST",
        path="/v1/drain",
        name="start_drain",
        summary="Empty this peer, then leave",
        call=lambda service, asked: service.start_drain(to_min=asked.body.to_min),
        answer=rows.DrainRow,
        body=StartDrain,
    ),
    Endpoint(
        method="DELETE",
        path="/v1/drain",
        name="cancel_drain",
        summary="Stay after all",
        call=lambda service, _: service.cancel_drain(),
        answer=rows.DrainRow,
    ),
    Endpoint(
        method="GET",
        path="/v1/drain/plan",
        name="drain_plan",
        summary="What a drain would copy, and where",
        call=lambda service, asked: service.drain_plan(
            to_min=asked.query.to_min, limit=asked.query.limit, after=asked.query.after
        ),
        answer=rows.DrainPlanRow,
        query=queries.DrainPlan,
        form=Form.LISTING,
    ),
    Endpoint(
        method="POST",
        path="/v1/repair",
        name="repair",
        summary="Plan anew, and with `now` try at once",
        call=lambda service, asked: service.repair(now=asked.body.now),
        answer=rows.RepairRow,
        body=Repair,
    ),
    Endpoint(
        method="GET",
        path="/v1/repair/plan",
        name="repair_plan",
        summary="Roots without the copies that they should have, and what is planned",
        call=lambda service, asked: service.repair_plan(limit=asked.query.limit, after=asked.query.after),
        answer=rows.PlanRow,
        query=queries.Cursor,
        form=Form.LISTING,
    ),
    Endpoint(
        method="GET",
        path="/v1/rebalance/plan",
        name="rebalance_plan",
        summary="Copies that are to move although none is missing",
        call=lambda service, _: service.rebalance_plan(),
        answer=rows.PlanRow,
        form=Form.LISTING,
    ),
)
