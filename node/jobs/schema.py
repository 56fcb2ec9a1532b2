"""The tables of `jobs.db`, as numbered migrations: number n takes the file from version n - 1 to n.

A migration once released is never edited.
"""

import apsw

from node.errors import Failed
from store.migrations import bring_up

_FIRST = """
CREATE TABLE jobs(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    key TEXT,
    priority INTEGER NOT NULL,
    steps TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    result TEXT,
    error TEXT,
    exit_code INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
);
CREATE UNIQUE INDEX jobs_once ON jobs(kind, key) WHERE key IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs(kind, priority DESC, id) WHERE state = 'queued';
CREATE INDEX jobs_due ON jobs(due_ms) WHERE state = 'queued';
CREATE INDEX jobs_by_state ON jobs(state, id);

CREATE TABLE happenings(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TABLE uploads(
    id TEXT PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    request TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    job INTEGER
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)


def migrate(db: apsw.Connection) -> None:
    """Bring the file to the newest version. Raises: Failed: a newer release wrote it."""
    bring_up(db, "jobs.db", MIGRATIONS, Failed)
