"""`rm`, `pin rm` and `undelete`: into the trash and out of it; nothing irreplaceable goes at one keystroke."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import trio

from node.errors import Ambiguous, NotFound, RefusedByPolicy
from node.events import wall_ms
from node.operations import policy
from node.operations.bin import Bin, Moves
from node.operations.written import removed_row
from node.parts import Parts
from node.rows import Removed
from node.service import Remove
from protocol.charter import DEFAULT_TRASH_DAYS
from protocol.pin import Pin
from store.cid import cid_text, parse_cid

WINDOW_S = 3600.0
NEWS_MS = 3_600_000
"""Others' removals older than that are no news: a newcomer hears of all there ever were. Guess."""
MOST_ROOTS = 1000
MOST_PERCENT = 10
ALWAYS_ROOTS = 20
"""What may go within the window without a steward. Source: DESIGN §6."""


class RemovalWindow:
    """How many roots were removed through this daemon within the last hour. Pure: `now_s` is monotonic."""

    def __init__(self) -> None:
        self._removed: deque[tuple[float, int]] = deque()

    def count(self, now_s: float) -> int:
        """Roots removed within the window."""
        while self._removed and self._removed[0][0] <= now_s - WINDOW_S:
            self._removed.popleft()
        return sum(count for _, count in self._removed)

    def is_bulk(self, roots_count: int, left_count: int, now_s: float) -> bool:
        """Whether removing so many more, of `left_count` that are there, needs a steward."""
        before = self.count(now_s)
        removed, all_roots = before + roots_count, before + left_count
        return removed > MOST_ROOTS or (removed > ALWAYS_ROOTS and removed * 100 > all_roots * MOST_PERCENT)

    def note(self, roots_count: int, now_s: float) -> None:
        """So many were removed."""
        self._removed.append((now_s, roots_count))


class Removing:
    """Moves pins to the trash and back, and purges them."""

    def __init__(self, parts: Parts, bin: Bin) -> None:
        self._parts = parts
        self._records = parts.records.counting
        self._bin = bin
        self._window = RemovalWindow()

    async def remove(self, request: Remove) -> tuple[Removed, ...]:
        """See `Service.remove`. A name stands for the pins of that name, anything else for all pins of its root."""
        self._check(purge=request.purge)
        trashed = False
        try:
            root = self._parts.lookup.find(request.ref, request.flow)
        except NotFound:
            if not request.purge:
                raise
            root = self._parts.lookup.find(request.ref, request.flow, trashed=True)
            trashed = True
        pins = self._parts.lookup.pins(root, request.flow, trashed=trashed)
        named = [pin for pin in pins if pin.name == request.ref]
        return await self._remove(request.ref, named or pins, purge=request.purge)

    async def pin_remove(self, cid: str, flow: str | None) -> tuple[Removed, ...]:
        """See `Service.pin_remove`."""
        self._check(purge=False)
        pins = self._parts.lookup.pins(parse_cid(cid), flow)
        if not pins:
            raise NotFound(f"{cid}: no such pin{f' in flow {flow}' if flow else ''}")
        return await self._remove(cid, pins, purge=False)

    def _check(self, *, purge: bool) -> None:
        policy.check_may_write(self._parts)
        charter = self._records.charter
        if charter is not None and charter.append_only:
            raise RefusedByPolicy("the charter is append-only: nothing is removed")
        if purge and self._parts.records.steward is None:
            raise RefusedByPolicy("purge: needs a steward's key", hint="run it on the steward's peer")

    async def _remove(self, ref: str, pins: Sequence[Pin], *, purge: bool) -> tuple[Removed, ...]:
        flows = sorted({pin.flow for pin in pins})
        if len(flows) > 1:
            raise Ambiguous(f"{ref}: in {len(flows)} flows", hint="name one with --flow", candidates=flows)
        now_s = trio.current_time()
        roots_count = self._roots_gone(pins)
        bulk = self._window.is_bulk(roots_count, self._records.root_count - self._bin.roots_count, now_s)
        if bulk and self._parts.records.steward is None:
            raise RefusedByPolicy(
                f"{ref}: {self._window.count(now_s)} roots were removed here within an hour: more needs a steward",
                hint="run it on the steward's peer",
            )
        now_ms = wall_ms()
        after = [replace(pin, deleted=True) if purge else replace(pin, trashed_ms=now_ms) for pin in pins]
        await self._parts.records.write(*after, as_steward=purge or bulk)
        self._window.note(roots_count, now_s)
        return self._tell("purged" if purge else "trashed", after)

    def _roots_gone(self, pins: Sequence[Pin]) -> int:
        """Roots that nobody sees any more once these pins are gone."""
        ids = {pin.id for pin in pins}
        roots = {pin.root for pin in pins if pin.trashed_ms is None}
        return sum(all(pin.id in ids for pin in self._parts.lookup.pins(root)) for root in roots)

    async def undelete(self, ref: str, flow: str | None) -> tuple[Removed, ...]:
        """See `Service.undelete`."""
        policy.check_may_write(self._parts)
        root = self._parts.lookup.find(ref, flow, trashed=True)
        pins = self._parts.lookup.pins(root, flow, trashed=True)
        named = [pin for pin in pins if pin.name == ref]
        after = [replace(pin, trashed_ms=None) for pin in named or pins]
        await self._parts.records.write(*after)
        return self._tell("undeleted", after)

    def tell_of_others(self, moves: Moves) -> None:
        """What others trash and undelete is news here too; what sync brings of long ago is not."""
        records = self._parts.records
        own = {author.peer_id for author in (records.author, records.steward_key) if author is not None}
        since_ms = wall_ms() - NEWS_MS
        for kind, pins in (("trashed", moves.trashed), ("undeleted", moves.undeleted)):
            for signed in pins:
                if signed.author not in own and signed.stamp.ms > since_ms:
                    self._parts.events.tell(
                        kind, root=cid_text(signed.record.root), peer_id=signed.author, detail=_named(signed.record)
                    )

    def _tell(self, kind: str, pins: Sequence[Pin]) -> tuple[Removed, ...]:
        for pin in pins:
            self._parts.events.tell(kind, root=cid_text(pin.root), detail=_named(pin))
        charter = self._records.charter
        trash_days = DEFAULT_TRASH_DAYS if charter is None else charter.trash_days
        return tuple(removed_row(pin, trash_days) for pin in pins)


def _named(pin: Pin) -> str:
    return f"{pin.name or ''} of {pin.flow}".strip()
