"""`upload`: somebody asks for a place, puts the bytes there, and says that they are complete; then a job takes them in.

1. `open`: policy, size and room are looked at, and a place is named: presigned, in the backend of the flow, where that
   can be sent to; else here, under a URL that its secret opens once. It expires.
2. `receive` (only where the place is here): not a byte more than was said, and of the first ones it is told whether
   they are an image of the type that was said. What broke off may be sent again, what is whole may not.
3. `complete`: a job is queued; what comes of it is what `add` answers.
"""

import logging
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import trio

from node.errors import Failed, NotFound, RefusedByPolicy, TimedOut, Usage
from node.events import wall_ms
from node.ingest import uploaded
from node.ingest.kept import fsync_file
from node.ingest.source import MAX_FILE_BYTES
from node.ingest.taking import Taking
from node.ingest.tickets import Ticket, Tickets, hash_of
from node.job_service import NewUpload
from node.jobs.job import Job
from node.jobs.queue import Jobs
from node.quantities import duration_text, size_text
from store.backends import UPLOADS, Backend, PresignedPut
from store.errors import StoreError
from store.images.sniff import HEAD_BYTES

log = logging.getLogger("pinakothek.uploads")

SWEEP_S = 30.0
WRITE_BYTES = 1 << 20
LONGEST_S = 3600.0
"""One body may take: else whoever sends a byte at a time keeps one of the gateway's few places. Guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A place for an upload. `presigned`: None where it is here, and `secret` opens it."""

    ticket: Ticket
    secret: str
    presigned: PresignedPut | None


class Uploads:
    """The uploads that one daemon expects.

    Args:
        staging: kind → backend beside the embedded store, which may have a staging place.
        kind_of: where a flow's images go.
        check_room: whether the store has room. Raises: UserError.
    """

    def __init__(
        self,
        jobs: Jobs,
        taking: Taking,
        *,
        staging: Callable[[], Mapping[str, Backend]],
        kind_of: Callable[[str], str],
        check_room: Callable[[int], Awaitable[None]],
    ) -> None:
        self._jobs = jobs
        self._taking = taking
        self._staging = staging
        self._kind_of = kind_of
        self._check_room = check_room
        self._tickets = Tickets(jobs.ledger)
        self._receiving: set[str] = set()
        self._completing: set[str] = set()

    async def open(self, request: NewUpload) -> Opened:
        """Expect an upload. Raises: UserError: it could not be taken in anyhow."""
        self._taking.check(request.options.name or "upload", request.options)
        if request.size_bytes > MAX_FILE_BYTES:
            raise Failed(f"too large: {size_text(request.size_bytes)}, at most {size_text(MAX_FILE_BYTES)}")
        await self._check_room(request.size_bytes)
        await trio.to_thread.run_sync(self._jobs.workplace.check_room, request.size_bytes)
        upload_id, secret = secrets.token_hex(8), secrets.token_urlsafe(24)
        kind = self._kind_of(request.options.flow)
        presigned = await self._presigned(kind, upload_id, request)
        expires_s = request.expires_s if presigned is None else min(request.expires_s, presigned.expires_s)
        ticket = Ticket(
            id=upload_id,
            secret_hash=hash_of(secret),
            expires_ms=wall_ms() + int(expires_s * 1000),
            size_bytes=request.size_bytes,
            media_type=request.media_type,
            sha256=request.sha256,
            kind=None if presigned is None else kind,
            options=msgspec.to_builtins(request.options),
        )
        await trio.to_thread.run_sync(self._tickets.add, ticket)
        return Opened(ticket=ticket, secret=secret, presigned=presigned)

    async def _presigned(self, kind: str, upload_id: str, request: NewUpload) -> PresignedPut | None:
        """A place in the flow's own backend; the type is part of what is signed, so it must have been said."""
        backend = self._staging().get(kind)
        if backend is None or request.media_type is None:
            return None
        return await trio.to_thread.run_sync(backend.presign_put, upload_id, request.size_bytes, request.media_type)

    async def expected(self, upload_id: str, secret: str) -> Ticket:
        """An upload whose place is here and free.

        Raises:
            NotFound: no such upload, or not its secret.
            Failed: its bytes are here, or on their way.
        """
        ticket = await self._ticket(upload_id)
        if not ticket.is_opened_by(secret):
            raise NotFound(f"upload {upload_id[:40]!r}: no such upload, or it has expired")
        if ticket.kind is not None:
            raise Usage(f"upload {upload_id}: its place is not here", hint="put it to the presigned url")
        if upload_id in self._receiving or ticket.job is not None or await self._has_come(upload_id):
            raise _used(upload_id)
        return ticket

    async def receive(self, upload_id: str, secret: str, body: AsyncIterator[bytes]) -> Ticket:
        """Take the bytes of an upload whose place is here; they are durable when this returns.

        Raises:
            NotFound, Failed: as `expected`.
            Failed, RefusedByPolicy: they are not what was said.
            Trouble: the workspace has no room for them now.
            TimedOut: they do not come.
        """
        ticket = await self.expected(upload_id, secret)
        if upload_id in self._receiving:  # another's, that has begun since
            raise _used(upload_id)
        self._receiving.add(upload_id)
        try:
            if await self._has_come(upload_id):
                raise _used(upload_id)
            with trio.move_on_after(LONGEST_S):
                await self._receive(ticket, body)
                return ticket
            raise TimedOut(f"upload {upload_id}: took longer than {duration_text(LONGEST_S)}")
        except OSError as error:
            raise Failed(f"the workspace: {(error.strerror or str(error)).lower()}") from error
        finally:
            self._receiving.discard(upload_id)

    async def _receive(self, ticket: Ticket, body: AsyncIterator[bytes]) -> None:
        workplace = self._jobs.workplace
        path = await trio.to_thread.run_sync(workplace.upload, ticket.id)
        part = path.with_name(f"{ticket.id}.part")
        try:
            await _write(part, body, ticket, workplace.check_room)
            await trio.to_thread.run_sync(_put_in_place, part, path)
        finally:
            with trio.CancelScope(shield=True):
                await trio.Path(part).unlink(missing_ok=True)

    async def _has_come(self, upload_id: str) -> bool:
        """Whether the bytes of an upload whose place is here are in it."""
        path = await trio.to_thread.run_sync(self._jobs.workplace.upload, upload_id)
        return await trio.Path(path).exists()

    async def complete(self, upload_id: str) -> Job:
        """Have a job take in what was uploaded; asked again, the same job. Raises: NotFound; Failed: it has not come."""
        self._completing.add(upload_id)  # it may expire before a job has it
        try:
            return await self._complete(upload_id)
        finally:
            self._completing.discard(upload_id)

    async def _complete(self, upload_id: str) -> Job:
        ticket = await self._ticket(upload_id)
        if ticket.job is not None:
            return await self._jobs.get(ticket.job)
        if ticket.kind is None and not await self._has_come(upload_id):
            raise Failed(f"upload {upload_id}: nothing has come", hint="put it to its url first")
        request = {
            "upload": upload_id, "kind": ticket.kind, "size_bytes": ticket.size_bytes, "sha256": ticket.sha256,
            "media_type": ticket.media_type, "options": ticket.options,
        }  # fmt: skip
        name = str(ticket.options.get("name") or "upload")
        job = await self._jobs.submit(uploaded.KIND, request, name=name, key=upload_id, tries=uploaded.TRIES)
        await trio.to_thread.run_sync(self._tickets.taken_in_by, upload_id, job.id)
        return job

    async def run(self) -> None:
        """Let go what has expired, and what nobody expects."""
        while True:
            try:
                await self.sweep()
            except (StoreError, OSError) as error:
                log.warning("uploads are not looked after: %s", error)
            await trio.sleep(SWEEP_S)

    async def sweep(self) -> None:
        """Forget the tickets that have expired or whose job is over, and remove the bytes of nobody."""
        for ticket in await trio.to_thread.run_sync(self._tickets.every):
            if await self._is_over(ticket.id):
                await self._forget(ticket)
        # Looked at in this order: whoever's bytes were there has had a ticket, and one that is gone by now was let go.
        found = await trio.to_thread.run_sync(self._jobs.workplace.uploads)
        expected = {ticket.id for ticket in await trio.to_thread.run_sync(self._tickets.every)}
        kept = expected | {f"{upload_id}.part" for upload_id in self._receiving}
        await trio.to_thread.run_sync(self._jobs.workplace.remove_uploads, [name for name in found if name not in kept])

    async def _is_over(self, upload_id: str) -> bool:
        """Asked of each anew: a backend that is slow to forget the one before may have kept us for minutes."""
        ticket = await trio.to_thread.run_sync(self._tickets.find, upload_id)
        if ticket is None or upload_id in self._receiving or upload_id in self._completing:
            return False
        if ticket.job is None:
            return ticket.expires_ms <= wall_ms() and not await self._is_taken_in(upload_id)
        try:
            job = await self._jobs.get(ticket.job)
            return job.has_ended and not self._jobs.keeps(job)
        except NotFound:
            return True

    async def _is_taken_in(self, upload_id: str) -> bool:
        """Whether a job takes it in of which its ticket does not say so: the daemon was killed, or its asker left, between both."""
        job = await trio.to_thread.run_sync(self._jobs.ledger.find, uploaded.KIND, upload_id)
        if job is not None:
            await trio.to_thread.run_sync(self._tickets.taken_in_by, upload_id, job.id)
        return job is not None

    async def _forget(self, ticket: Ticket) -> None:
        backend = None if ticket.kind is None else self._staging().get(ticket.kind)
        if backend is not None:
            try:
                await trio.to_thread.run_sync(backend.delete, UPLOADS, ticket.id)
            except StoreError as error:
                log.info("an upload that has expired stays for now: %s", error)
                return
        await trio.to_thread.run_sync(self._tickets.remove, ticket.id)

    async def _ticket(self, upload_id: str) -> Ticket:
        return await trio.to_thread.run_sync(self._tickets.get, upload_id, wall_ms())


def _used(upload_id: str) -> Failed:
    return Failed(f"upload {upload_id}: it has been used")


async def _write(part: Path, body: AsyncIterator[bytes], ticket: Ticket, check_room: Callable[[int], None]) -> None:
    """Write a body to a new file.

    Raises:
        Failed: another size or type than was said.
        Trouble: `check_room` has none: what was promised to others may have come first.
    """
    size_bytes, told = 0, False
    held = bytearray()
    async with await trio.open_file(part, "wb", buffering=0) as file:
        async for piece in body:
            size_bytes += len(piece)
            if size_bytes > ticket.size_bytes:
                raise RefusedByPolicy(f"more than the {ticket.size_bytes} bytes that were said")
            held += piece
            if not told and len(held) >= HEAD_BYTES:
                uploaded.check_type(bytes(held[:HEAD_BYTES]), ticket.media_type)
                told = True
            if len(held) >= WRITE_BYTES:
                await trio.to_thread.run_sync(check_room, len(held))
                await file.write(held)
                held = bytearray()
        if not told:
            uploaded.check_type(bytes(held[:HEAD_BYTES]), ticket.media_type)
        await trio.to_thread.run_sync(check_room, len(held))
        await file.write(held)
    if size_bytes != ticket.size_bytes:
        raise Failed(f"{size_bytes} of {ticket.size_bytes} bytes came")


def _put_in_place(part: Path, path: Path) -> None:
    fsync_file(part)
    os.rename(part, path)
    fsync_file(path)
