"""`add` and `upload`: policy first, then the pipeline, then the wait for other keepers."""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import trio

from node.errors import TimedOut, Usage
from node.events import wall_ms
from node.ingest.intake import Request, Taken
from node.ingest.source import MAX_FILE_BYTES
from node.operations import policy
from node.operations.receiving import check_room, receive
from node.parts import Parts
from node.quantities import escape_path, unescape_path
from node.rows import Added
from node.service import AddFile, AddOptions
from store.cid import cid_text


class Adding:
    """Takes images in for an operator."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def add(self, request: AddFile) -> Added:
        """See `Service.add`. An error says what is wrong; which path it is, its asker knows."""
        raw = unescape_path(request.path)
        path = Path(os.fsdecode(raw))
        if not path.is_absolute():
            raise Usage(f"path {request.path!r}: expected an absolute one")
        name = request.options.name or escape_path(os.path.basename(raw))
        self._check(name, request.options)
        try:
            size_bytes = (await trio.Path(path).stat()).st_size
        except OSError:
            size_bytes = 0  # whoever reads it says what is wrong with it
        await check_room(self._parts, size_bytes)
        return await self._take(path, request.path, name, request.options)

    async def upload(self, options: AddOptions, body: AsyncIterator[bytes]) -> Added:
        """See `Service.upload`."""
        name = options.name or "upload"
        self._check(name, options)
        path = self._parts.store.workspace / f"upload-{secrets.token_hex(8)}"
        try:
            await receive(self._parts, path, body, MAX_FILE_BYTES)
            return await self._take(path, name, name, options)
        finally:
            with trio.CancelScope(shield=True):
                await trio.Path(path).unlink(missing_ok=True)

    def _check(self, name: str, options: AddOptions) -> None:
        policy.check_may_write(self._parts)
        policy.check_flow(self._parts, options.flow)
        policy.check_pin_name(name)
        replicas = policy.check_bounds(self._parts, options.replicas)
        policy.check_wait(self._parts, options.wait, options.flow, replicas)

    async def _take(self, path: Path, told: str, name: str, options: AddOptions) -> Added:
        taken = await self._parts.intake.take(
            Request(
                path=path,
                name=name,
                flow=options.flow,
                backend=policy.backend_of(self._parts, options.flow),
                replicas=policy.check_bounds(self._parts, options.replicas),
                expires_ms=policy.expiry_ms(wall_ms(), options.expires_s),
                original_only=options.original_only,
                limits=policy.flow_limits(self._parts, options.flow),
            )
        )
        root = cid_text(taken.root)
        self._parts.events.tell("added", root=root, detail=f"{name} to {options.flow}")
        copies = await self._wait(taken, options)
        added = Added(
            path=told,
            root=root,
            original=cid_text(taken.original),
            new=taken.new,
            size_bytes=taken.size_bytes,
            copies=copies,
            stripped=taken.stripped,
        )
        if copies < options.wait:
            raise timed_out(copies, options.wait, options.timeout_s, added)
        return added

    async def _wait(self, taken: Taken, options: AddOptions) -> int:
        """Keepers that have it durably; this peer has, unless its flow is on a kind that it does not offer."""
        if options.wait <= 1 and self._parts.knowledge.own.holds(taken.root, taken.pin.record.backend):
            return 1
        if not options.wait:
            return 0
        deadline_s = trio.current_time() + options.timeout_s
        return await self._parts.receipts.collect(taken.pin, options.wait, deadline_s)


def timed_out(copies: int, wait: int, timeout_s: float, partial: object) -> TimedOut:
    """What an `add` or `pin add` says that was not confirmed in time; it stands all the same."""
    return TimedOut(
        f"{copies} of {wait} keepers confirmed within {timeout_s:g} s",
        hint="it is kept and still being copied; see `pinakothek show`",
        partial=partial,
    )
