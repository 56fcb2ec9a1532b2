"""The part of the control API's table that operators' commands use."""

from node import operator_rows as rows
from node.control.endpoint import Endpoint
from node.operator_service import SetMaintenance, SetZone

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
)
