"""The job that takes in an upload: its bytes are brought into the job's folder and checked, then it is as any image."""

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import trio

from node.add_options import AddOptions
from node.errors import Failed, UserError
from node.ingest.extern import FILE_NAME, STEPS, taken
from node.ingest.kept import fsync_file
from node.ingest.taking import Given, Taking
from node.jobs.errors import Trouble
from node.jobs.handler import Run
from node.jobs.workplace import Workplace, fsync_folder
from store.backends import UPLOADS, Backend, Range
from store.errors import BackendFailed, BackendUnavailable, ImageRejected, NotInBackend, StoreError
from store.images.sniff import HEAD_BYTES, sniff

log = logging.getLogger("pinakothek.uploads")

KIND = "upload"
AT_ONCE = 4
TRIES = 20
"""Nobody else may have what was acknowledged: a backend may be away for half a day. Guess."""
READ_BYTES = 4 << 20


class Upload:
    """The handler of these jobs.

    Args:
        staging: kind → backend that may have a staging place.
    """

    kind = KIND
    at_once: int = AT_ONCE
    steps: tuple[str, ...] = STEPS
    keeps_failed: Literal["worn out"] = "worn out"

    def __init__(self, workplace: Workplace, taking: Taking, staging: Callable[[], Mapping[str, Backend]]) -> None:
        self._workplace = workplace
        self._taking = taking
        self._staging = staging

    async def run(self, run: Run) -> Mapping[str, Any]:
        """Bring it here, check it, take it in; the row that `add` answers.

        Raises:
            Trouble: a store or backend is full, away or refuses: that is for others to mend, and nothing is given up.
            UserError: it is not what was said, or may not come in.
        """
        try:
            return await self._take_in(run)
        except Trouble:
            raise
        except (UserError, StoreError) as error:
            cause = error if isinstance(error, StoreError) else error.__cause__
            if isinstance(cause, BackendFailed) or (isinstance(cause, StoreError) and cause.retryable):
                raise Trouble(str(error), hint=getattr(error, "hint", None)) from error
            raise

    async def _take_in(self, run: Run) -> Mapping[str, Any]:
        upload_id, kind = str(run.request["upload"]), run.request["kind"]
        options = msgspec.convert(run.request["options"], AddOptions)
        path = await run.make_folder() / FILE_NAME
        if run.result_of("fetched") is None:
            if kind is None:
                await trio.to_thread.run_sync(_move, self._workplace.upload(upload_id), path)
                await trio.to_thread.run_sync(_check, path, run.request)
            else:
                await trio.to_thread.run_sync(self._bring_whole, kind, upload_id, path, run.request)
            await run.step("fetched")
        if kind is not None:
            await trio.to_thread.run_sync(self._clear, kind, upload_id)
        name = options.name or "upload"
        return await taken(self._taking, Given(path=path, told=name, name=name, options=options, run=run))

    def _bring_whole(self, kind: str, upload_id: str, path: Path, request: Mapping[str, Any]) -> None:
        """Bring it and check it, twice if need be: an answer can be garbled on its way (in a thread). Raises: as both."""
        size_bytes = int(request["size_bytes"])
        self._bring(kind, upload_id, path, size_bytes)
        try:
            _check(path, request)
        except Failed:
            self._bring(kind, upload_id, path, size_bytes)
            _check(path, request)

    def _bring(self, kind: str, upload_id: str, path: Path, size_bytes: int) -> None:
        """Copy what lies in a backend's staging place, durably (in a thread). Raises: Failed, Trouble, StoreError."""
        backend = self._staging().get(kind)
        if backend is None:
            raise Trouble(f"backend {kind} is not configured any more", hint=f"configure backends.{kind}")
        try:
            found_bytes = backend.stat(UPLOADS, upload_id).size_bytes
            if found_bytes != size_bytes:
                raise Failed(f"{found_bytes} of {size_bytes} bytes came")
            self._workplace.check_room(size_bytes)
            with path.open("wb") as file:
                for offset in range(0, size_bytes, READ_BYTES):
                    part = Range(offset, min(READ_BYTES, size_bytes - offset))
                    content = backend.get(UPLOADS, upload_id, part)
                    if len(content) != part.length_bytes:
                        raise BackendUnavailable(backend.place, f"sent {len(content)} of {part.length_bytes} bytes")
                    file.write(content)
        except NotInBackend as error:
            raise Failed("nothing has come", hint="put it to its url first") from error
        fsync_file(path)

    def _clear(self, kind: str, upload_id: str) -> None:
        """Let the staged object go; the ticket's end tries again where that fails (in a thread)."""
        backend = self._staging().get(kind)
        if backend is None:
            return
        try:
            backend.delete(UPLOADS, upload_id)
        except StoreError as error:
            log.info("an upload stays staged for now: %s", error)


def check_type(head: bytes, media_type: str | None) -> None:
    """Whether bytes that start so are an image of the type that was said. Raises: Failed."""
    try:
        found = sniff(head).media_type
    except ImageRejected as error:
        raise Failed(str(error)) from error
    if media_type is not None and found != media_type:
        raise Failed(f"it is {found}, and {media_type} was said")


def _move(source: Path, path: Path) -> None:
    """Move it into the job's folder; an earlier run may have done so. Raises: Failed, OSError."""
    if not path.exists():
        try:
            os.rename(source, path)
        except FileNotFoundError as error:
            raise Failed("what was uploaded is gone") from error
    fsync_folder(path.parent)


def _check(path: Path, request: Mapping[str, Any]) -> None:
    """Raises: Failed: another size, type or hash than was said."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        check_type(head, request["media_type"])
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes != request["size_bytes"]:
            raise Failed(f"{size_bytes} of {request['size_bytes']} bytes came")
        if request["sha256"] is not None:
            file.seek(0)
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != request["sha256"]:
                raise Failed(f"its sha256 is {found}, and {request['sha256']} was said")
