"""`flow ls`, `flow set` and `flow rm`."""

from collections.abc import Sequence
from dataclasses import replace

from node.errors import NotFound, RefusedByPolicy, Usage
from node.operations import policy
from node.operations.bin import Bin
from node.operations.naming import peer_of
from node.operations.written import replicas_row
from node.parts import Parts
from node.quantities import plural
from node.rows import FlowRow
from node.service import SetFlow
from protocol.admission import CURATOR
from protocol.flow import Flow
from protocol.identity import PeerId

DEFAULT = "default"


class Flows:
    """Lists and changes flows."""

    def __init__(self, parts: Parts, bin: Bin) -> None:
        self._parts = parts
        self._records = parts.records.counting
        self._bin = bin

    async def flows(self) -> tuple[FlowRow, ...]:
        """See `Service.flows`; those with pins and no record of their own are among them."""
        names = {DEFAULT, *self._records.flows, *self._records.flow_names()}
        return tuple(map(self._row, sorted(names)))

    async def set_flow(self, request: SetFlow) -> FlowRow:
        """See `Service.set_flow`."""
        policy.check_may_write(self._parts)
        policy.check_flow_name(request.name)
        if request.backend is not None:
            policy.check_backend(self._parts, request.backend)
            policy.check_offered(self._parts, request.backend)
        if request.inherit and request.replicas is not None:
            raise Usage(f"flow {request.name}: a factor of its own, or the charter's: not both")
        replicas = policy.check_bounds(self._parts, request.replicas)
        known = self._records.flows.get(request.name)
        flow = known.record if known is not None else Flow(name=request.name)
        flow = replace(
            flow,
            backend=request.backend or flow.backend,
            replicas=None if request.inherit else replicas or flow.replicas,
            max_root_bytes=flow.max_root_bytes if request.max_bytes is None else request.max_bytes or None,
            max_px=flow.max_px if request.max_px is None else request.max_px or None,
            media_types=flow.media_types if request.types is None else policy.media_types(request.types),
            strip=flow.strip if request.strip is None else request.strip,
            adders=flow.adders if request.adders is None else self._adders(request.adders),
        )
        await self._parts.records.write(flow)
        row = self._row(request.name)
        factor = f"{row.replicas.min}:{row.replicas.max}" if row.replicas else "the charter's"
        self._parts.events.tell("flow_set", detail=f"{row.name}: {row.backend}, replicas {factor}")
        return row

    async def remove_flow(self, name: str) -> FlowRow:
        """See `Governing.remove_flow`; a trashed pin is a live one."""
        policy.check_may_write(self._parts)
        known = self._records.flows.get(name)
        pins = len(self._records.pins_by_flow(name))
        if known is None and not pins:
            raise NotFound(f"flow {name}: no such flow")
        if pins:
            trashed = self._bin.count_in(name)
            raise RefusedByPolicy(
                f"flow {name}: has {plural(pins, 'live pin')}, {trashed} in the trash",
                hint="purge what it has, or wait",
            )
        charter = self._records.charter
        if charter is not None and charter.append_only:
            raise RefusedByPolicy("the charter is append-only: nothing is removed")
        assert known is not None
        row = self._row(name)
        await self._parts.records.write(replace(known.record, deleted=True))
        self._parts.events.tell("flow_removed", detail=name)
        return row

    def _adders(self, words: Sequence[str]) -> tuple[PeerId, ...]:
        """Who may add, by what people call peers. Raises: NotFound, Ambiguous, Usage."""
        peers = sorted({peer_of(self._parts, word) for word in words})
        for peer in peers:
            if CURATOR not in self._records.role(peer):
                raise Usage(f"{peer}: is no curator, and so adds nothing")
        return tuple(peers)

    def _row(self, name: str) -> FlowRow:
        known = self._records.flows.get(name)
        own = known.record.replicas if known is not None else None
        limits = policy.flow_limits(self._parts, name)
        return FlowRow(
            name=name,
            backend=policy.backend_of(self._parts, name),
            replicas=None if own is None else replicas_row(own),
            images=len(self._records.pins_by_flow(name)) - self._bin.count_in(name),
            author=known.author if known is not None else "",
            acts=replicas_row(self._records.clamp(own)),
            max_bytes=limits.max_root_bytes,
            max_px=limits.max_px,
            types=limits.media_types,
            strip=limits.strip,
            adders=known.record.adders if known is not None else (),
        )
