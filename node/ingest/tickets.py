"""Uploads that are expected: for each a ticket, kept in `jobs.db`, so that a restart lets nobody down.

Only the hash of a ticket's secret is kept. Methods block on the disk.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from node.errors import NotFound, RefusedByPolicy
from node.jobs.ledger import Ledger
from store.catalogue import rows_of

MAX_TICKETS = 1_000
"""Uploads expected at a time. Guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An upload that is expected.

    Attributes:
        size_bytes: what is to come, exactly.
        media_type: what it is to be; None: any image.
        sha256: of its bytes, hexadecimal; None: whatever comes.
        kind: of the backend in whose staging place it is put; None: it comes here.
        options: as `add` takes them, in JSON values.
        job: that takes it in, once it has come.
    """

    id: str
    secret_hash: bytes
    expires_ms: int
    size_bytes: int
    media_type: str | None
    sha256: str | None
    kind: str | None
    options: Mapping[str, Any]
    job: int | None = None

    def is_opened_by(self, secret: str) -> bool:
        """Whether this is its secret."""
        return secrets.compare_digest(self.secret_hash, hash_of(secret))

    @classmethod
    def read(cls, row: tuple[Any, ...]) -> Self:
        """From a row of the table."""
        upload_id, secret_hash, request, expires_ms, job = row
        return cls(id=upload_id, secret_hash=secret_hash, expires_ms=expires_ms, job=job, **json.loads(request))


def hash_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


class Tickets:
    """Those of one data directory."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def add(self, ticket: Ticket) -> None:
        """Expect an upload. Raises: RefusedByPolicy: too many are expected."""
        names = ("size_bytes", "media_type", "sha256", "kind", "options")
        request = json.dumps({name: getattr(ticket, name) for name in names})
        with self._ledger.transaction() as db:
            (count,) = rows_of(db, "SELECT count(*) FROM uploads")[0]
            if count >= MAX_TICKETS:
                raise RefusedByPolicy(f"{count} uploads are expected already", hint="complete them, or let them expire")
            db.execute(
                "INSERT INTO uploads(id, secret_hash, request, expires_ms) VALUES (?, ?, ?, ?)",
                (ticket.id, ticket.secret_hash, request, ticket.expires_ms),
            )

    def get(self, upload_id: str, now_ms: int) -> Ticket:
        """One ticket. Raises: NotFound: there is none, or it has expired."""
        ticket = self.find(upload_id)
        if ticket is not None and (ticket.expires_ms > now_ms or ticket.job is not None):
            return ticket
        raise NotFound(f"upload {upload_id[:40]!r}: no such upload, or it has expired")

    def find(self, upload_id: str) -> Ticket | None:
        """One ticket, also one that has expired; None where there is none."""
        for ticket in self._rows("WHERE id = ?", (upload_id,)):
            return ticket
        return None

    def every(self) -> list[Ticket]:
        """All of them, those that have expired included."""
        return self._rows("", ())

    def taken_in_by(self, upload_id: str, job: int) -> None:
        """The upload has come, and a job takes it in."""
        with self._ledger.transaction() as db:
            db.execute("UPDATE uploads SET job = ? WHERE id = ?", (job, upload_id))

    def remove(self, upload_id: str) -> None:
        """Expect it no longer."""
        with self._ledger.transaction() as db:
            db.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))

    def _rows(self, where: str, given: tuple[Any, ...]) -> list[Ticket]:
        with self._ledger.reading() as db:
            found = rows_of(db, f"SELECT id, secret_hash, request, expires_ms, job FROM uploads {where}", given)
        return [Ticket.read(row) for row in found]
