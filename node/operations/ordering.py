"""`maintenance` and `zone set`: what an operator tells a running peer to say of itself."""

from dataclasses import replace

import trio

from node.config import FILE_NAME, parse_label
from node.config_file import set_setting
from node.errors import RefusedByPolicy, Usage
from node.events import instant, wall_ms
from node.operator_rows import MaintenanceRow, ZoneRow
from node.operator_service import SetMaintenance, SetZone
from node.parts import Parts
from node.quantities import duration_text
from node.variables import PREFIX
from protocol.limits import AWAY_S_MAX, ZONE_BYTES


class Ordering:
    """Takes an operator's orders."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def maintenance(self) -> MaintenanceRow:
        """See `OperatorService.maintenance`."""
        until_ms = self._parts.orders.away_until_ms
        state = self._parts.about.state
        return MaintenanceRow(state=state, away_until=None if until_ms is None else instant(until_ms))

    async def set_maintenance(self, request: SetMaintenance) -> MaintenanceRow:
        """See `OperatorService.set_maintenance`."""
        parts = self._parts
        if request.for_s is None:
            until_ms = None
        else:
            if request.for_s > AWAY_S_MAX:
                raise Usage(f"maintenance for {duration_text(request.for_s)}: at most {duration_text(AWAY_S_MAX)}")
            if parts.about.state in ("draining", "leaving"):
                raise RefusedByPolicy(
                    f"this peer is {parts.about.state}: its absence harms nothing", hint="stop it whenever you like"
                )
            until_ms = wall_ms() + int(request.for_s * 1000)
        changed = until_ms is not None or parts.orders.away_until_ms is not None
        await trio.to_thread.run_sync(parts.orders.write_away, until_ms)
        if changed:
            parts.events.tell("maintenance", detail="over" if until_ms is None else f"until {instant(until_ms)}")
        parts.orders.changed()
        await parts.speaking.told()
        return await self.maintenance()

    async def set_zone(self, request: SetZone) -> ZoneRow:
        """See `OperatorService.set_zone`."""
        parts = self._parts
        try:
            zone = parse_label(request.zone)
        except Usage as error:
            raise Usage(f"zone {request.zone[:ZONE_BYTES]!r}: {error.message}") from error
        if len(zone.encode()) > ZONE_BYTES:
            raise Usage(f"zone {zone!r}: expected at most {ZONE_BYTES} bytes")
        setting = next(each for each in parts.settings.settings if each.name == "zone")
        if setting.source.startswith(PREFIX):
            raise RefusedByPolicy(
                f"zone: {setting.source} sets it, and would again at the next start",
                hint="change the variable, or unset it and restart",
            )
        config = parts.settings.config
        await trio.to_thread.run_sync(set_setting, config.data_dir, "zone", zone)
        self._take_over(zone)
        if zone != config.zone:
            parts.events.tell("zone", detail=f"{config.zone or 'none'} → {zone or 'none'}")
        parts.orders.changed()
        await parts.speaking.told()
        return ZoneRow(zone=zone, before=config.zone)

    def _take_over(self, zone: str) -> None:
        parts = self._parts
        settings = tuple(
            replace(each, value=zone, source=FILE_NAME) if each.name == "zone" else each
            for each in parts.settings.settings
        )
        parts.settings = replace(parts.settings, config=replace(parts.settings.config, zone=zone), settings=settings)
        parts.about.zone = zone
