"""`ls`, `show`, `resolve`, `pin ls` and `trash ls`: look-ups in what this peer knows."""

from collections.abc import Callable, Iterator

import trio

from node.operations import directory, written
from node.operations.bin import Bin
from node.operations.listings import INLINE_PINS, Entry, Listings, by_added, by_root, by_taken, by_trashed, walk
from node.operations.members import holder_rows
from node.operations.standing import Measured, factor_of, key_of, measure
from node.parts import Parts
from node.replication.view import RootKey
from node.replication.weighing import Standing
from node.rows import FileRow, ImageDetail, ImageRow, Page, PinRow, Resolved, TrashRow
from node.service import ImageQuery
from protocol.charter import DEFAULT_TRASH_DAYS
from protocol.pin import Pin
from protocol.pin_index import SignedPin
from store.cid import cid_text

DEGRADED: tuple[Standing, ...] = ("lost", "sought", "below_min")
ROWS_AT_ONCE = 2000
"""Entries looked at between two turns of the event loop."""


class Looking:
    """Answers look-ups about images and pins."""

    def __init__(self, parts: Parts, bin: Bin) -> None:
        self._parts = parts
        self._records = parts.records.counting
        self._bin = bin
        self._listings = Listings()

    @property
    def trash_days(self) -> int:
        """How long the trash keeps a pin."""
        charter = self._records.charter
        return DEFAULT_TRASH_DAYS if charter is None else charter.trash_days

    async def images(self, query: ImageQuery) -> Page[ImageRow]:
        """See `Service.images`."""
        flow, since_ms = query.flow, query.since_ms

        def fits(pin: Pin) -> bool:
            added_ms = pin.stamp.ms if pin.added_at_ms is None else pin.added_at_ms
            return pin.trashed_ms is None and (since_ms is None or added_ms >= since_ms)

        def wanted(pin: Pin) -> bool:
            return fits(pin) and flow in (None, pin.flow) and (not query.degraded or self._is_degraded(pin))

        few = self._few(flow, degraded=query.degraded)
        if query.sort is None and few is None:
            rest = walk(self._parts.lookup.roots_after, self._records.live_pins, query.after)
        else:
            order = {"added": by_added, "taken": by_taken, None: by_root}[query.sort]
            name = ("images", flow, since_ms, query.sort, query.degraded)
            listed = self._pins_of(flow) if few is None else few
            rest = await self._listings.after(name, query.after, lambda: listed, order, fits)
        pins, cursor = await self._page(rest, query.limit, trashed=False, wanted=wanted)
        measured = await measure(self._parts, map(key_of, pins))
        rows = (written.image_row(pin, factor_of(self._records, pin), measured[key_of(pin)]) for pin in pins)
        return Page(rows=tuple(rows), next=cursor)

    async def pins(self, limit: int, after: str | None) -> Page[PinRow]:
        """See `Service.pins`."""
        rest = walk(self._parts.lookup.roots_after, self._records.live_pins, after)
        pins, cursor = await self._page(rest, limit, trashed=False)
        measured = await measure(self._parts, map(key_of, pins))
        rows = (written.pin_row(pin, factor_of(self._records, pin), measured[key_of(pin)]) for pin in pins)
        return Page(rows=tuple(rows), next=cursor)

    async def trash(self, limit: int, after: str | None) -> Page[TrashRow]:
        """See `Service.trash`."""
        rest = await self._listings.after("trash", after, self._bin.pins, by_trashed, lambda _: True)
        pins, cursor = await self._page(rest, limit, trashed=True)
        return Page(rows=tuple(written.trash_row(pin, self.trash_days) for pin in pins), next=cursor)

    def _few(self, flow: str | None, *, degraded: bool) -> list[SignedPin] | None:
        """The pins among which a listing is to look, where they are few; None where it had better go through all."""
        outlook = self._parts.controller.outlook
        if degraded and sum(outlook.counts[standing] for standing in DEGRADED) <= INLINE_PINS:
            return [pin for key in outlook.keys_of(*DEGRADED) for pin in self._records.live_pins(key.root)]
        if flow is None:
            return None
        pins = self._records.pins_by_flow(flow)
        return list(pins) if len(pins) <= INLINE_PINS else None

    def changed(self) -> None:
        """The live pins of some roots may have come, gone or changed."""
        self._listings.changed()

    def _pins_of(self, flow: str | None) -> list[SignedPin]:
        if flow is not None:
            return list(self._records.pins_by_flow(flow))
        return [pin for name in self._records.flow_names() for pin in self._records.pins_by_flow(name)]

    def _is_degraded(self, pin: Pin) -> bool:
        return self._parts.controller.standing_of(key_of(pin)) in DEGRADED

    async def _page(
        self, rest: Iterator[Entry], limit: int, *, trashed: bool, wanted: Callable[[Pin], bool] | None = None
    ) -> tuple[list[Pin], str | None]:
        """The next `limit` pins that are still there and wanted, and the cursor if there may be more."""
        pins: list[Pin] = []
        last: Entry | None = None
        for count, entry in enumerate(rest, 1):
            if len(pins) == limit:
                return pins, last.cursor if last else None
            pin = self._as_it_is_now(entry)
            if pin is not None and (pin.trashed_ms is not None) == trashed and (wanted is None or wanted(pin)):
                pins.append(pin)
                last = entry
            if count % ROWS_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return pins, None

    def _as_it_is_now(self, entry: Entry) -> Pin | None:
        current = self._records.get(entry.key)
        if current is None or not isinstance(current.record, Pin):
            return None
        live = self._records.live_pins(current.record.root)
        return current.record if any(pin is current for pin in live) else None

    async def resolve(self, ref: str, flow: str | None) -> Resolved:
        """See `Service.resolve`. The gateway asks, for strangers: no suggestions, which it would not pass on."""
        pin = self.first_pin(ref, flow, suggest=False)
        return Resolved(root=cid_text(pin.root), flow=pin.flow, name=pin.name or "")

    def first_pin(self, ref: str, flow: str | None, *, suggest: bool = True) -> Pin:
        """The earliest pin of the root that `ref` stands for. Raises: NotFound, Ambiguous."""
        root = self._parts.lookup.find(ref, flow, suggest=suggest)
        named = [pin for pin in self._parts.lookup.pins(root, flow) if pin.name == ref]
        return (named or self._parts.lookup.pins(root, flow))[0]

    async def show(self, ref: str, flow: str | None) -> ImageDetail:
        """See `Service.show`."""
        pin = self.first_pin(ref, flow)
        key = key_of(pin)
        assessed = self._parts.controller.assess(key)
        row = written.image_row(pin, factor_of(self._records, pin), Measured(assessed.copies, assessed.standing))
        return ImageDetail(
            root=row.root,
            name=row.name,
            flow=row.flow,
            size_bytes=row.size_bytes,
            width_px=row.width_px,
            height_px=row.height_px,
            media_type=row.media_type,
            added_at=row.added_at,
            copies=row.copies,
            replicas=row.replicas,
            state=row.state,
            files=await self._files(pin, key),
            holders=holder_rows(self._parts, key),
            flows=tuple(sorted({each.flow for each in self._parts.lookup.pins(pin.root)})),
            original=cid_text(pin.original) if pin.original is not None else None,
            taken_at=written.instant_or_none(pin.taken_at_ms),
            expires_at=written.instant_or_none(pin.expires_ms),
            origin=pin.origin,
            parent=cid_text(pin.parent) if pin.parent is not None else None,
            operations=pin.operations,
            reason=assessed.why,
        )

    async def _files(self, pin: Pin, key: RootKey) -> tuple[FileRow, ...]:
        if not self._parts.knowledge.own.holds(key.root, key.kind):
            return ()
        return await trio.to_thread.run_sync(directory.file_rows, self._parts.store, pin)
