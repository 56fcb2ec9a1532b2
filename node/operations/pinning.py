"""`pin add`: have the swarm keep any DAG, by its CID."""

from dataclasses import replace

import trio

from node.errors import Usage
from node.events import wall_ms
from node.operations import policy
from node.operations.adding import timed_out
from node.operations.standing import factor_of, key_of, measure
from node.operations.written import pin_row
from node.parts import Parts
from node.rows import PinRow
from node.service import AddPin
from protocol.limits import ADDR_BYTES
from protocol.net.addresses import dialable
from protocol.pin import Pin, pin_id
from protocol.records import Signed
from store.cid import cid_text, parse_cid
from store.dag import check_codec


class Pinning:
    """Writes pins for DAGs and waits for them to be kept."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def pin_add(self, request: AddPin) -> PinRow:
        """See `Service.pin_add`."""
        root = parse_cid(request.cid)
        check_codec(root)
        signed = await self._write(root, request)
        self._parts.events.tell("pinned", root=cid_text(root), detail=f"{request.name or ''} in {request.flow}".strip())
        deadline_s = trio.current_time() + request.timeout_s
        confirmed = await self._parts.receipts.collect(signed, request.wait, deadline_s) if request.wait > 0 else 0
        row = await self._row(signed.record, confirmed)
        if confirmed < request.wait:
            raise timed_out(confirmed, request.wait, request.timeout_s, row)
        return row

    async def _write(self, root: bytes, request: AddPin) -> Signed[Pin]:
        policy.check_may_write(self._parts)
        policy.check_flow(self._parts, request.flow)
        if request.name is not None:
            policy.check_pin_name(request.name)
        for source in request.sources:
            _check_source(source)
        replicas = policy.check_bounds(self._parts, request.replicas)
        policy.check_wait(self._parts, request.wait, request.flow, replicas)
        now_ms = wall_ms()
        pin = replace(
            self._draft(root),
            id=pin_id(request.flow, root, request.name, None),
            flow=request.flow,
            name=request.name,
            backend=policy.backend_of(self._parts, request.flow),
            replicas=replicas,
            sources=request.sources,
            expires_ms=policy.expiry_ms(now_ms, request.expires_s),
            added_at_ms=now_ms,
            trashed_ms=None,
        )
        [signed] = await self._parts.records.write(pin)
        return signed

    def _draft(self, root: bytes) -> Pin:
        """What is known of the root already: an image pinned by its CID stays an image."""
        for known in self._parts.lookup.pins(root):
            return known
        return Pin(id=b"", flow="", root=root, content="dag")

    async def _row(self, pin: Pin, confirmed: int) -> PinRow:
        """The pin as it stands. Who signed a receipt holds it, even where that peer's holdings are still on their way."""
        key = key_of(pin)
        measured = (await measure(self._parts, [key]))[key]
        row = pin_row(pin, factor_of(self._parts.records.counting, pin), measured)
        return replace(row, copies=max(row.copies, confirmed))


def _check_source(source: str) -> None:
    if len(source.encode()) > ADDR_BYTES or "/p2p/" not in source or dialable(source) is None:
        raise Usage(f"from {source[:100]!r}: expected an address such as /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…")
