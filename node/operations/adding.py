"""`add` and `upload`: policy first, then the pipeline, then the wait for other keepers."""

import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import trio

from node.add_options import AddOptions
from node.errors import TimedOut, Usage
from node.events import wall_ms
from node.ingest.intake import Request
from node.ingest.kept import kept_build
from node.ingest.source import MAX_FILE_BYTES
from node.ingest.taking import Given
from node.jobs.handler import Run
from node.operations import policy
from node.operations.receiving import check_room, receive
from node.parts import Parts
from node.quantities import escape_path, unescape_path
from node.rows import Added
from node.service import AddFile
from protocol.pin import Pin
from protocol.records import Signed
from store.cid import cid_text


class _Pinned(NamedTuple):
    """An image that is here, and the pin that wants it."""

    added: Added
    pin: Signed[Pin]
    waited_s: float = 0.0
    """Of its `timeout_s`, for a backend that could not be asked."""


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
        self.check(name, request.options)
        try:
            size_bytes = (await trio.Path(path).stat()).st_size
        except OSError:
            size_bytes = 0  # whoever reads it says what is wrong with it
        await check_room(self._parts, size_bytes)
        return await self.take(Given(path=path, told=request.path, name=name, options=request.options))

    async def upload(self, options: AddOptions, body: AsyncIterator[bytes]) -> Added:
        """See `Service.upload`."""
        name = options.name or "upload"
        self.check(name, options)
        path = self._parts.store.workspace / f"upload-{secrets.token_hex(8)}"
        try:
            await receive(self._parts, path, body, MAX_FILE_BYTES)
            return await self.take(Given(path=path, told=name, name=name, options=options))
        finally:
            with trio.CancelScope(shield=True):
                await trio.Path(path).unlink(missing_ok=True)

    def check(self, name: str, options: AddOptions) -> None:
        """See `Taking`."""
        policy.check_may_write(self._parts)
        policy.check_flow(self._parts, options.flow)
        policy.check_pin_name(name)
        replicas = policy.check_bounds(self._parts, options.replicas)
        policy.check_wait(self._parts, options.wait, options.flow, replicas)

    async def take(self, given: Given) -> Added:
        """See `Taking`."""
        options, run = given.options, given.run
        pinned = await self._take(given) if run is None else await self._take_once(given, run)
        copies = await self._wait(pinned.pin, options, pinned.waited_s)
        if copies < options.wait:
            raise timed_out(copies, options.wait, options.timeout_s, replace(pinned.added, copies=copies))
        return replace(pinned.added, copies=copies)

    async def _take_once(self, given: Given, run: Run) -> _Pinned:
        """The same for a job, which may have been here before a crash."""
        self.check(given.name, given.options)  # what was allowed when it was queued may not be any more
        before = run.result_of("pinned")
        pin = None if before is None else self._parts.records.counting.get(bytes.fromhex(before["pin"]))
        if before is not None and pin is not None and isinstance(pin.record, Pin):
            return _Pinned(msgspec.convert(before["added"], Added), pin)  # type: ignore[arg-type]
        pinned = await self._take(given)
        added = replace(pinned.added, new=pinned.added.new or run.result_of("variants") is not None)
        left = {"pin": pinned.pin.record.id.hex(), "added": msgspec.to_builtins(added)}
        await run.steps({"stored": added.root, "pinned": left})
        return pinned._replace(added=added)

    async def _take(self, given: Given) -> _Pinned:
        options = given.options
        taken = await self._parts.intake.take(
            Request(
                path=given.path,
                name=given.name,
                flow=options.flow,
                backend=policy.backend_of(self._parts, options.flow),
                replicas=policy.check_bounds(self._parts, options.replicas),
                expires_ms=policy.expiry_ms(wall_ms(), options.expires_s),
                original_only=options.original_only,
                limits=policy.flow_limits(self._parts, options.flow),
                origin=given.origin,
                parent=given.parent,
                patience_s=options.timeout_s,
                operations=given.operations,
                keep=None if given.run is None else partial(kept_build, given.run),
            )
        )
        root = cid_text(taken.root)
        self._parts.events.tell("added", root=root, detail=f"{given.name} to {options.flow}")
        added = Added(
            path=given.told,
            root=root,
            original=cid_text(taken.original),
            new=taken.new,
            size_bytes=taken.size_bytes,
            copies=1,
            stripped=taken.stripped,
        )
        return _Pinned(added, taken.pin, taken.waited_s)

    async def _wait(self, pin: Signed[Pin], options: AddOptions, waited_s: float) -> int:
        """Keepers that have it durably; this peer has, unless its flow is on a kind that it does not offer."""
        if options.wait <= 1 and self._parts.knowledge.own.holds(pin.record.root, pin.record.backend):
            return 1
        if not options.wait:
            return 0
        deadline_s = trio.current_time() + max(0.0, options.timeout_s - waited_s)
        return await self._parts.receipts.collect(pin, options.wait, deadline_s)


def timed_out(copies: int, wait: int, timeout_s: float, partial: object) -> TimedOut:
    """What an `add` or `pin add` says that was not confirmed in time; it stands all the same."""
    return TimedOut(
        f"{copies} of {wait} keepers confirmed within {timeout_s:g} s",
        hint="it is kept and still being copied; see `pinakothek show`",
        partial=partial,
    )
