"""`audit`, `scrub` and `verify`: whether what this peer and others say they hold is there."""

import heapq

import trio

from node.errors import NotFound, Usage
from node.operations.looking import Looking
from node.operations.standing import key_of
from node.parts import Parts
from node.replication.audited import read_whole
from node.replication.auditing import AuditCounts
from node.rows import Audit, Page, Scrub, Verified
from node.service import Verify
from protocol.holdings_messages import Element
from protocol.pin import Pin
from store.cid import cid_text
from store.errors import StoreError


class Truth:
    """Looks, now."""

    def __init__(self, parts: Parts, looking: Looking) -> None:
        self._parts = parts
        self._looking = looking

    async def audit(self) -> Audit:
        """See `Service.audit`."""
        counts = await self._parts.auditing.audit_all()
        return Audit(challenges=counts.challenges, proven=counts.proven, wrong=counts.wrong, silent=counts.silent)

    async def scrub(self) -> Scrub:
        """See `Service.scrub`."""
        found = await self._parts.scrubbing.scrub_all()
        return Scrub(blocks_checked=found.blocks, bad=found.bad, healed=found.healed, seconds=found.seconds)

    async def verify(self, query: Verify) -> Page[Verified]:
        """See `Service.verify`."""
        if query.ref is not None:
            return Page(rows=(await self._verify(self._looking.first_pin(query.ref, query.flow), query.deep),))
        if query.flow is None:
            raise Usage("verify: expected a REF or a flow")
        pins = self._pins_after(query.flow, _cursor(query.after), query.limit + 1)
        if not pins and query.after is None:
            raise NotFound(f"flow {query.flow} has no images", hint="`pinakothek flow ls` lists the flows")
        rows = [await self._verify(pin, query.deep) for pin in pins[: query.limit]]
        more = len(pins) > query.limit
        return Page(rows=tuple(rows), next=pins[query.limit - 1].root.hex() if more else None)

    def _pins_after(self, flow: str, after: bytes, count: int) -> list[Pin]:
        """One pin of each root that a flow wants, the next so many by root."""
        pins = {pin.record.root: pin.record for pin in self._parts.records.counting.pins_by_flow(flow)}
        return [pins[root] for root in heapq.nsmallest(count, (root for root in pins if root > after))]

    async def _verify(self, pin: Pin, deep: bool) -> Verified:
        key = key_of(pin)
        held = self._parts.knowledge.own.holds(key.root, key.kind)
        blocks, error = 0, None
        if held:
            try:
                blocks, _ = await trio.to_thread.run_sync(read_whole, self._parts.store, *key)
            except StoreError as bad:
                error = str(bad)
                self._parts.auditing.unreadable()
        counts = AuditCounts()
        if deep and held and error is None:
            counts = await self._parts.auditing.audit_all([Element(key.root, key.kind)])
        return Verified(
            root=cid_text(key.root),
            name=pin.name or "",
            held=held,
            blocks_checked=blocks,
            ok=held and error is None and counts.proven == counts.challenges,
            error=error,
            challenges=counts.challenges,
            proven=counts.proven,
            wrong=counts.wrong,
            silent=counts.silent,
        )


def _cursor(after: str | None) -> bytes:
    try:
        return bytes.fromhex(after or "")
    except ValueError as error:
        raise Usage(f"after {(after or '')[:64]!r}: no cursor of a listing") from error
