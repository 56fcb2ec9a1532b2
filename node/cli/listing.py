"""Listings from the control socket, as rows."""

import json
from collections.abc import Iterator
from typing import Any

from node.cli.output import emit
from node.cli.session import Session
from node.errors import BY_EXIT_CODE, Failed

NDJSON = "application/x-ndjson"
LISTING_TIMEOUT_S = 120.0
"""A guess: a million images are put in order first."""


def rows_of(session: Session, path: str, *, timeout_s: float | None = LISTING_TIMEOUT_S) -> Iterator[dict[str, Any]]:
    """Every row of a listing, as it comes.

    Args:
        timeout_s: longest silence; None for what has to be worked out first.

    Raises:
        UserError: the daemon failed, perhaps in the middle of it.
    """
    return rows_in(session, "GET", path, timeout_s=timeout_s)


def rows_in(session: Session, method: str, path: str, *, timeout_s: float | None = None) -> Iterator[dict[str, Any]]:
    """As `rows_of`, for what is done first, by another method."""
    for line in session.control.open(method, path, accept=NDJSON, timeout_s=timeout_s).lines():
        row = json.loads(line)
        if "exit_code" in row:
            raise BY_EXIT_CODE.get(row["exit_code"], Failed)(row["error"], hint=row.get("hint"))
        yield row


def emit_all(rows: Iterator[dict[str, Any]]) -> None:
    """Each row as a line of JSON."""
    for row in rows:
        emit(row)
