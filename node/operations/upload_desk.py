"""`upload`: places for uploads, and what becomes of what is put there."""

from collections.abc import AsyncIterator, Mapping
from functools import partial

from node.control.client import quote
from node.events import instant
from node.ingest.taking import Taking
from node.ingest.uploads import Opened, Uploads
from node.job_rows import UploadPut, UploadRow
from node.job_service import NewUpload
from node.jobs.job import Job
from node.operations import policy
from node.operations.receiving import check_room
from node.parts import Parts
from store.backends import Backend


class UploadDesk:
    """Answers for uploads."""

    def __init__(self, parts: Parts, taking: Taking) -> None:
        self._parts = parts
        self.uploads = Uploads(
            parts.jobs,
            taking,
            staging=partial(staging_places, parts),
            kind_of=partial(policy.backend_of, parts),
            check_room=partial(check_room, parts),
        )

    async def open(self, request: NewUpload) -> UploadRow:
        """See `JobService.open_upload`."""
        return self._row(await self.uploads.open(request))

    async def expected(self, upload_id: str, token: str) -> UploadPut:
        """See `JobService.expected_upload`."""
        ticket = await self.uploads.expected(upload_id, token)
        return UploadPut(id=ticket.id, size_bytes=ticket.size_bytes)

    async def put(self, upload_id: str, token: str, body: AsyncIterator[bytes]) -> UploadPut:
        """See `JobService.put_upload`."""
        ticket = await self.uploads.receive(upload_id, token, body)
        return UploadPut(id=ticket.id, size_bytes=ticket.size_bytes)

    async def complete(self, upload_id: str) -> Job:
        """See `JobService.complete_upload`."""
        return await self.uploads.complete(upload_id)

    def _row(self, opened: Opened) -> UploadRow:
        ticket, presigned = opened.ticket, opened.presigned
        token = quote(opened.secret)
        path = f"/v1/uploads/{ticket.id}/bytes?token={token}"
        gateway = self._parts.gateway.address if self._parts.gateway is not None else None
        here = f"http://{gateway}/uploads/{ticket.id}?token={token}" if gateway else path
        return UploadRow(
            id=ticket.id,
            method="PUT" if presigned is None else presigned.method,
            url=here if presigned is None else presigned.url,
            headers={} if presigned is None else dict(presigned.headers),
            presigned=presigned is not None,
            path=path if presigned is None else None,
            complete=f"/v1/uploads/{ticket.id}/complete",
            size_bytes=ticket.size_bytes,
            expires_at=instant(ticket.expires_ms),
        )


def staging_places(parts: Parts) -> Mapping[str, Backend]:
    """Backends beside the embedded store; some of them can be sent to."""
    return {kind: place.backend for kind, place in parts.offering.places.items()}
