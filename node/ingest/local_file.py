"""`file`: take in a file of this machine, as a job. `add` does the same while its caller waits, without one."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from node.add_options import AddOptions
from node.ingest.extern import taken
from node.ingest.taking import Given, Taking
from node.jobs.handler import Run
from node.quantities import escape_path, unescape_path

KIND = "file"
AT_ONCE = 4
"""Decoding keeps two cores busy; the rest hides fsyncs. Guess."""


class LocalFile:
    """The handler of these jobs."""

    kind = KIND
    at_once: int = AT_ONCE
    steps: tuple[str, ...] = ("checked", "variants", "stored", "pinned")
    keeps_failed = False

    def __init__(self, taking: Taking) -> None:
        self._taking = taking

    async def run(self, run: Run) -> Mapping[str, Any]:
        """Take it in; the row that `add` answers."""
        raw = unescape_path(str(run.request["path"]))
        options = msgspec.convert(run.request["options"], AddOptions)
        name = options.name or escape_path(os.path.basename(raw))
        path = Path(os.fsdecode(raw))
        return await taken(
            self._taking, Given(path=path, told=run.request["path"], name=name, options=options, run=run)
        )
