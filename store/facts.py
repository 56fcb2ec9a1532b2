"""Small values under names, for whoever has one to keep over a restart."""

from collections.abc import Mapping

from store.catalogue import Readers
from store.commits import Batch

LAST = "\U0010ffff"
"""Sorts after everything that a name may go on with."""


def put(batch: Batch, changes: Mapping[str, bytes | None]) -> None:
    """Keep what has a value, take away what has none."""
    gone = [(name,) for name, value in changes.items() if value is None]
    kept = [(name, value) for name, value in changes.items() if value is not None]
    batch.db.executemany("DELETE FROM facts WHERE name = ?", gone)
    batch.db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", kept)


def get(readers: Readers, name: str) -> bytes | None:
    """One of them, None where there is none."""
    row = readers.row("SELECT value FROM facts WHERE name = ?", (name,))
    return None if row is None else bytes(row[0])


def beginning(readers: Readers, prefix: str) -> dict[str, bytes]:
    """All whose names begin with `prefix`."""
    sql = "SELECT name, value FROM facts WHERE name >= ? AND name < ? ORDER BY name"
    return dict(readers.rows(sql, (prefix, prefix + LAST)))
