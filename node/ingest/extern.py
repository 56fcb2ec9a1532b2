"""`extern`: take in what a URL names.

1. `fetched`: the bytes are in the job's folder, durably; a crash from here on costs no second request.
2. `checked`, `variants`, `stored`, `pinned`: as any image.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec
import trio

from node.add_options import AddOptions
from node.errors import FAILED, TimedOut
from node.ingest.body import Kind, image_type
from node.ingest.kept import fsync_file
from node.ingest.not_fetched import NotFetched
from node.ingest.source import MAX_FILE_BYTES
from node.ingest.strangers import Fetched, FetchLimits
from node.ingest.taking import Given, Taking
from node.ingest.web_address import WebAddress
from node.jobs.errors import Trouble
from node.jobs.handler import Run
from node.jobs.workplace import Workplace
from node.rows import Added

KIND = "extern"
FILE_NAME = "original"
AT_ONCE = 6
"""Servers that are slow must not keep those waiting that are not. Guess."""
STEPS = ("fetched", "checked", "variants", "stored", "pinned")


class Fetching(Protocol):
    """What it needs of `node.ingest.strangers`."""

    async def fetch(
        self, url: str | WebAddress, into: Path, limits: FetchLimits | None = None, *, kind: Kind = image_type
    ) -> Fetched:
        """Fetch one URL into a file. Raises: NotFetched."""


class Extern:
    """The handler of these jobs."""

    kind = KIND
    at_once: int = AT_ONCE
    steps: tuple[str, ...] = STEPS
    keeps_failed = False

    def __init__(self, strangers: Fetching, workplace: Workplace, taking: Taking) -> None:
        self._strangers = strangers
        self._workplace = workplace
        self._taking = taking

    async def run(self, run: Run) -> Mapping[str, Any]:
        """Fetch it, take it in; the row that `add` answers."""
        url = str(run.request["url"])
        options = msgspec.convert(run.request["options"], AddOptions)
        path = await run.make_folder() / FILE_NAME
        fetched = run.result_of("fetched") or await self._fetch(run, url, path)
        given = Given(
            path=path, told=url, name=options.name or fetched["name"], options=options, origin=fetched["url"], run=run
        )
        return await taken(self._taking, given)

    async def _fetch(self, run: Run, url: str, path: Path) -> dict[str, Any]:
        room_bytes = await trio.to_thread.run_sync(self._workplace.room_bytes)
        if not room_bytes:
            await trio.to_thread.run_sync(self._workplace.check_room, 1)
        limits = FetchLimits(max_bytes=min(MAX_FILE_BYTES, room_bytes))
        try:
            came = await self._strangers.fetch(url, path, limits, kind=image_type)
        except NotFetched as error:
            if error.transient:
                raise Trouble(error.message, retry_after_s=error.retry_after_s) from error
            raise
        await trio.to_thread.run_sync(fsync_file, path)
        left = {"name": came.name, "url": came.url, "final_url": came.final_url, "size_bytes": came.size_bytes}
        await run.step("fetched", left)
        return left


async def taken(taking: Taking, given: Given) -> Mapping[str, Any]:
    """Take in a job's image; its row as JSON. That too few keepers confirmed is told in it: the image is here."""
    try:
        added = await taking.take(given)
    except TimedOut as error:
        if not isinstance(error.partial, Added):
            raise
        added = replace(error.partial, error=error.message)
        return {**msgspec.to_builtins(added), "exit_code": error.exit_code}
    return {**msgspec.to_builtins(added), "exit_code": FAILED if added.error else 0}
