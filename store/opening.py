"""What opening a store does, in order, before anybody may use it.

1. The folders are made, the store's id read or written. Their names in the data directory need no fsync of ours:
   SQLite fsyncs the folder of the catalogue with the first commit.
2. The catalogue is opened and migrated; a missing or damaged one is made anew from the files.
3. The intents that a crash left are carried out.
4. This session's folder is made; what the last one staged and never acknowledged is removed.
5. Records and segments are brought together.
6. Jobs that a crash ended lose their blocks; what was half put into a backend is let go.
"""

import secrets
from dataclasses import dataclass

import apsw

from store import catalogue, kept
from store.blocks import FOLDER as BLOCKS
from store.blocks import key_in
from store.catalogue import rows_of
from store.errors import StoreDamaged
from store.files import Files, Site
from store.intents import Folders, Intent
from store.ownership import drop_kind
from store.packs import FOLDER as PACKS
from store.rebuild import QUARANTINE, adopt_staged, rebuild_blocks
from store.replay import replay_segments
from store.schema import FILE, migrate
from store.segments import FOLDER as RECORDS
from store.segments import SegmentTail, segment_number
from store.staging import FOLDER as STAGING
from store.staging import Staging, remove_session, session_name, sessions
from store.store_id import store_id_in

FOLDERS = (BLOCKS, PACKS, RECORDS, QUARANTINE, STAGING)


@dataclass(frozen=True, slots=True)
class Opened:
    """What an open store runs on."""

    db: apsw.Connection
    store_id: str
    staging: Staging
    tail: SegmentTail
    next_pack: int


def open_parts(files: Files, home: str, now_ms: int) -> Opened:
    """Open the data directory `home`, which this process has locked. Raises: OSError, apsw.Error, StoreDamaged."""
    for folder in FOLDERS:
        files.make_folder(f"{home}/{folder}")
    store_id = store_id_in(files, home, secrets.token_hex(16))
    try:
        return _open_once(files, home, store_id, now_ms)
    except (apsw.CorruptError, apsw.NotADBError):
        set_aside(files, home)
        return _open_once(files, home, store_id, now_ms)


def _open_once(files: Files, home: str, store_id: str, now_ms: int) -> Opened:
    path = f"{home}/{catalogue.NAME}"
    if files.size_bytes(path) is None:
        set_aside(files, home)  # a log without its catalogue would be taken for the new one's
    db = catalogue.open_writer(path, files.vfs)
    try:
        migrate(db)
        _finish_intents(db, files, home)
        staging = _new_session(db, files, home)
        tail = replay_segments(db, files, home)
        with db:
            drop_kind(db, "job", now_ms)
            kept.end_puts(db, now_ms)
        next_pack = db.execute("SELECT ifnull(max(id), 0) + 1 FROM packs").get
    except BaseException:
        db.close()
        raise
    return Opened(db, store_id, staging, tail, next_pack)


def is_listed(db: apsw.Connection, path: str) -> bool:
    """Whether the catalogue has the block, pack or segment at `path`."""
    name = path.rpartition("/")[2]
    if path.startswith(BLOCKS):
        return bool(db.execute("SELECT 1 FROM blocks WHERE cid = ? AND place = ?", (key_in(path), FILE)).get)
    if path.startswith(PACKS):
        return bool(db.execute("SELECT 1 FROM packs WHERE name = ?", (name,)).get)
    return bool(db.execute("SELECT 1 FROM segments WHERE number = ?", (segment_number(name),)).get)


def set_aside(files: Files, home: str) -> None:
    """Move what there is of a catalogue, its log included, to quarantine/; the next opening makes it anew."""
    mark = secrets.token_hex(4)
    for name in (catalogue.NAME, *catalogue.SIDE_FILES):
        if files.size_bytes(f"{home}/{name}") is not None:
            files.rename(f"{home}/{name}", f"{home}/{QUARANTINE}/{mark}-{name}")


def _finish_intents(db: apsw.Connection, files: Files, home: str) -> None:
    rows = rows_of(db, "SELECT id, act, source, target FROM intents ORDER BY id")
    if rows:
        Folders(files, home, lambda path: is_listed(db, path)).carry_out([Intent(*row) for row in rows])
        db.execute("DELETE FROM intents")


def _new_session(db: apsw.Connection, files: Files, home: str) -> Staging:
    """Make this session's folder, list anew what a lost or older catalogue does not know, and clear up."""
    before = sessions(files, home)
    last = _state(db, "session")
    stale = bool(last and before) and session_name(last) not in before
    if stale or _state(db, "rebuilding"):
        for name in before:
            adopt_staged(files, home, name)
        count = rebuild_blocks(db, files, home) + len(files.names(f"{home}/{RECORDS}"))
        with db:
            db.execute("UPDATE state SET value = 1 WHERE name = 'rebuilt' AND ?", (count > 0 or stale,))
            db.execute("UPDATE state SET value = 0 WHERE name = 'rebuilding'")
    session = secrets.randbits(60) + 1
    staging = Staging(files, home, session)
    staging.make()
    db.execute("UPDATE state SET value = ? WHERE name = 'session'", (session,))
    for name in before:
        remove_session(files, home, name)
    # Were they to come back, an older catalogue that names one of them would not be known for what it is.
    files.fsync_folder(f"{home}/{STAGING}", Site.SESSIONS_GONE)
    return staging


def _state(db: apsw.Connection, name: str) -> int:
    value = db.execute("SELECT value FROM state WHERE name = ?", (name,)).get
    if value is None:
        raise StoreDamaged(f"catalogue.db has no {name}")
    return int(value)
