"""The tables of `crawls.db`, as numbered migrations: number n takes the file from version n - 1 to n.

A migration once released is never edited.
"""

import apsw

from node.errors import Failed
from store.migrations import bring_up

_FIRST = """
CREATE TABLE crawls(id BLOB PRIMARY KEY, at_ms INTEGER NOT NULL, found INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE visits(
    seq INTEGER PRIMARY KEY,
    crawl BLOB NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    origin TEXT NOT NULL,
    depth INTEGER NOT NULL,
    hops INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT,
    UNIQUE(crawl, kind, url)
);
CREATE INDEX visits_waiting ON visits(crawl, origin, seq) WHERE state = 'waiting';

CREATE TABLE images(
    flow TEXT NOT NULL,
    url TEXT NOT NULL,
    digest BLOB NOT NULL,
    root BLOB,
    etag TEXT,
    last_modified TEXT,
    PRIMARY KEY(flow, url)
) WITHOUT ROWID;
CREATE INDEX images_by_bytes ON images(flow, digest);
CREATE INDEX images_by_root ON images(root) WHERE root IS NOT NULL;

CREATE TABLE sightings(
    flow TEXT NOT NULL,
    image TEXT NOT NULL,
    page TEXT NOT NULL,
    PRIMARY KEY(flow, image, page)
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)


def migrate(db: apsw.Connection) -> None:
    """Bring the file to the newest version. Raises: Failed: a newer release wrote it."""
    bring_up(db, "crawls.db", MIGRATIONS, Failed)
