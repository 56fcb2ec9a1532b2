"""The catalogue's tables, as numbered migrations: number n takes a catalogue from version n - 1 to n.

A migration once released is never edited. `used_bytes` and what of a pack is alive are kept by triggers, so that no
statement can forget them and no request has to add up all blocks.
"""

from typing import Any

import apsw

from store.errors import StoreDamaged
from store.migrations import bring_up
from store.record_order import in_order

FILE = 0
"""`blocks.place` of a block in a file of its own; a pack's id otherwise, NULL while its bytes are not here."""

_FIRST = """
CREATE TABLE blocks(
    id INTEGER PRIMARY KEY,
    cid BLOB NOT NULL UNIQUE,
    size_bytes INTEGER NOT NULL,
    place INTEGER,
    offset_bytes INTEGER NOT NULL DEFAULT 0,
    unowned_since_ms INTEGER
);
CREATE INDEX blocks_unowned ON blocks(unowned_since_ms) WHERE unowned_since_ms IS NOT NULL;
CREATE INDEX blocks_packed ON blocks(place) WHERE place > 0;
CREATE INDEX blocks_missing ON blocks(id) WHERE place IS NULL;

CREATE TABLE packs(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    size_bytes INTEGER NOT NULL,
    live_bytes INTEGER NOT NULL
);
CREATE INDEX packs_sparse ON packs(size_bytes - 2 * live_bytes);

CREATE TABLE owners(
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name BLOB NOT NULL,
    started_ms INTEGER NOT NULL,
    UNIQUE(kind, name)
);
CREATE TABLE owned(
    owner INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY(owner, block)
) WITHOUT ROWID;
CREATE INDEX owned_by ON owned(block);

CREATE TABLE holdings(
    root BLOB NOT NULL,
    kind TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    held_at_ms INTEGER NOT NULL,
    block_count INTEGER NOT NULL,
    PRIMARY KEY(root, kind)
) WITHOUT ROWID;

CREATE TABLE records(
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    signed BLOB,
    readable TEXT NOT NULL,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    length_bytes INTEGER NOT NULL
);
CREATE INDEX records_placed ON records(segment, offset_bytes);
CREATE TABLE segments(
    number INTEGER PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    synced_bytes INTEGER NOT NULL,
    dead_bytes INTEGER NOT NULL
);

CREATE TABLE facts(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE state(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('used_bytes', 0), ('epoch', 1), ('seq', 0), ('session', 0), ('rebuilding', 1), ('rebuilt', 0),
    ('scrubbed', 0);

CREATE TABLE intents(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    act TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL
);
CREATE INDEX intents_target ON intents(target);

CREATE TRIGGER block_comes AFTER INSERT ON blocks WHEN NEW.place IS NOT NULL BEGIN
    UPDATE state SET value = value + NEW.size_bytes WHERE name = 'used_bytes';
END;
CREATE TRIGGER block_goes AFTER DELETE ON blocks WHEN OLD.place IS NOT NULL BEGIN
    UPDATE state SET value = value - OLD.size_bytes WHERE name = 'used_bytes';
    UPDATE packs SET live_bytes = live_bytes - OLD.size_bytes WHERE id = OLD.place;
END;
CREATE TRIGGER block_moves AFTER UPDATE OF place ON blocks BEGIN
    UPDATE state SET value = value + iif(NEW.place IS NULL, 0, NEW.size_bytes) - iif(OLD.place IS NULL, 0, OLD.size_bytes)
        WHERE name = 'used_bytes';
    UPDATE packs SET live_bytes = live_bytes - OLD.size_bytes WHERE id = OLD.place;
END;
"""

_BACKENDS = """
CREATE TABLE kept_roots(
    id INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    UNIQUE(kind, root)
);
CREATE INDEX kept_changing ON kept_roots(state, since_ms) WHERE state <> 'held';
CREATE TABLE kept_blocks(
    id INTEGER PRIMARY KEY,
    kept INTEGER NOT NULL,
    cid BLOB NOT NULL,
    name TEXT NOT NULL,
    offset_bytes INTEGER NOT NULL,
    length_bytes INTEGER NOT NULL,
    bad INTEGER NOT NULL DEFAULT 0,
    UNIQUE(cid, kept)
);
CREATE INDEX kept_under ON kept_blocks(kept);
CREATE INDEX kept_bad ON kept_blocks(kept) WHERE bad;
CREATE TABLE kept_used(kind TEXT PRIMARY KEY, used_bytes INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('scrubbed_kept', 0);

CREATE TRIGGER kept_comes AFTER INSERT ON kept_blocks BEGIN
    INSERT INTO kept_used SELECT kind, NEW.length_bytes FROM kept_roots WHERE id = NEW.kept
        ON CONFLICT(kind) DO UPDATE SET used_bytes = used_bytes + excluded.used_bytes;
END;
CREATE TRIGGER kept_goes AFTER DELETE ON kept_blocks BEGIN
    UPDATE kept_used SET used_bytes = used_bytes - OLD.length_bytes
        WHERE kind = (SELECT kind FROM kept_roots WHERE id = OLD.kept);
END;
"""
"""Roots on backends other than the embedded store: see `store.kept`."""

_SEALS = """
ALTER TABLE records ADD COLUMN seal BLOB;
"""
"""By which whoever keeps records knows again which he has checked."""

_IN_ORDER = """
UPDATE records SET key = in_order(key);
"""
"""Keys with their place before them: see `store.record_order`."""

MIGRATIONS: tuple[str, ...] = (_FIRST, _BACKENDS, _SEALS, _IN_ORDER)


def _in_order(*keys: Any) -> bytes:
    return in_order(*keys)


def migrate(db: apsw.Connection) -> None:
    """Bring the file to the newest version. Raises: StoreDamaged: a newer release wrote it."""
    db.create_scalar_function("in_order", _in_order, 1, deterministic=True)
    bring_up(db, "catalogue.db", MIGRATIONS, StoreDamaged)
