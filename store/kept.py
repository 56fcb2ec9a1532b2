"""What the catalogue says of roots on backends other than the embedded store: where each of their blocks lies.

A row of `kept_roots` names everything that may lie in a backend under a root, from before the first byte is put until
after the last is gone. So it is the journal of both: a crash leaves nothing in a backend that no row names, and no
block is listed that was not read back.

    coming     being put, or a crash or failure ended that; whatever blocks are listed were whole before
    held       whole, and read back
    retracted  a block of it was lost; the rest waits for the fetch that completes it
    going      let go; erased after an hour, unless it is wanted again
    erasing    its blocks are no longer listed; what is left of it in the backend goes
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apsw

from store.catalogue import Readers
from store.layout import Object

CHANGING = "state <> 'held'"
"""Of few roots at a time; word for word as in their index, which SQLite uses for nothing else."""
COMING, HELD, RETRACTED, GOING, ERASING = "coming", "held", "retracted", "going", "erasing"


class Kept(NamedTuple):
    """A block of a root in a backend."""

    row: int
    root: bytes
    kind: str
    name: str
    offset_bytes: int
    length_bytes: int


_COLUMNS = (
    "b.id, r.root, r.kind, b.name, b.offset_bytes, b.length_bytes FROM kept_blocks b JOIN kept_roots r ON r.id = b.kept"
)


def find(readers: Readers, key: bytes) -> list[Kept]:
    """Everywhere that a block lies and is not known to be bad; where it is held first."""
    sql = f"SELECT {_COLUMNS} WHERE b.cid = ? AND NOT b.bad ORDER BY r.state <> 'held', b.id"
    return [Kept(*row) for row in readers.rows(sql, (key,))]


def size(readers: Readers, key: bytes) -> int | None:
    """A block's size, None where it lies nowhere."""
    row = readers.row("SELECT length_bytes FROM kept_blocks WHERE cid = ? AND NOT bad LIMIT 1", (key,))
    return None if row is None else int(row[0])


def after(readers: Readers, row: int, most: int) -> list[tuple[bytes, Kept]]:
    """Blocks in the order of their rows, from the one after `row`."""
    sql = f"SELECT b.cid, {_COLUMNS} WHERE b.id > ? AND NOT b.bad ORDER BY b.id LIMIT ?"
    return [(row[0], Kept(*row[1:])) for row in readers.rows(sql, (row, most))]


def state(readers: Readers, root: bytes, kind: str) -> str | None:
    row = readers.row("SELECT state FROM kept_roots WHERE kind = ? AND root = ?", (kind, root))
    return None if row is None else str(row[0])


def is_whole(readers: Readers, root: bytes, kind: str) -> bool:
    """Whether a root is held and no block of it is known to be bad."""
    with readers.connection() as db:
        return is_whole_in(db, root, kind)


def is_whole_in(db: apsw.Connection, root: bytes, kind: str) -> bool:
    """The same, as the caller's transaction sees it."""
    sql = (
        "SELECT 1 FROM kept_roots r WHERE kind = ? AND root = ? AND state = 'held'"
        " AND NOT EXISTS (SELECT 1 FROM kept_blocks b WHERE b.kept = r.id AND b.bad)"
    )
    return db.execute(sql, (kind, root)).get is not None


def begin(db: apsw.Connection, root: bytes, kind: str, now_ms: int) -> None:
    """Name a root before the first byte of it is put."""
    db.execute(
        "INSERT INTO kept_roots(root, kind, state, since_ms) VALUES (?, ?, 'coming', ?) ON CONFLICT(kind, root)"
        " DO UPDATE SET state = 'coming', since_ms = excluded.since_ms",
        (root, kind, now_ms),
    )


def change(db: apsw.Connection, root: bytes, kind: str, to: str, now_ms: int, *, frm: Sequence[str] = ()) -> bool:
    """Change a root's state, where it is one of `frm` if any are given. Returns: whether it was."""
    marks = f" AND state IN ({', '.join('?' * len(frm))})" if frm else ""
    db.execute(
        f"UPDATE kept_roots SET state = ?, since_ms = ? WHERE kind = ? AND root = ?{marks}",
        (to, now_ms, kind, root, *frm),
    )
    return bool(db.changes())


def list_blocks(db: apsw.Connection, root: bytes, kind: str, objects: Iterable[Object], now_ms: int) -> int:
    """A root is whole in its backend, and its blocks lie as `objects` says. Returns: how many blocks."""
    row = db.execute("SELECT id FROM kept_roots WHERE kind = ? AND root = ?", (kind, root)).get
    db.execute("DELETE FROM kept_blocks WHERE kept = ?", (row,))
    db.executemany(
        "INSERT OR IGNORE INTO kept_blocks(kept, cid, name, offset_bytes, length_bytes) VALUES (?, ?, ?, ?, ?)",
        [(row, part.cid, each.name, part.offset_bytes, part.length_bytes) for each in objects for part in each.parts],
    )
    change(db, root, kind, HELD, now_ms)
    return count(db, root, kind)


def count(db: apsw.Connection, root: bytes, kind: str) -> int:
    """How many blocks a root has on `kind`."""
    sql = "SELECT count(*) FROM kept_blocks WHERE kept = (SELECT id FROM kept_roots WHERE kind = ? AND root = ?)"
    return int(db.execute(sql, (kind, root)).get)


def mark_bad(db: apsw.Connection, block: Kept) -> bool:
    """List a block as lost. Returns: whether it was not yet."""
    db.execute("UPDATE kept_blocks SET bad = 1 WHERE id = ? AND NOT bad", (block.row,))
    return bool(db.changes())


def lost(readers: Readers, kind: str) -> list[tuple[bytes, tuple[bytes, ...]]]:
    """Each block that is known to be bad, with the roots held on `kind` that need it."""
    roots: dict[bytes, list[bytes]] = {}
    sql = "SELECT b.cid, r.root FROM kept_blocks b JOIN kept_roots r ON r.id = b.kept WHERE b.bad AND r.kind = ?"
    for key, root in readers.rows(sql + " AND r.state = 'held'", (kind,)):
        roots.setdefault(key, []).append(root)
    return [(key, tuple(names)) for key, names in roots.items()]


def in_states(readers: Readers, ages: Sequence[tuple[str, int]]) -> list[tuple[bytes, str]]:
    """The (root, kind) that are in one of these states since the given time or longer."""
    where = " OR ".join("(state = ? AND since_ms <= ?)" for _ in ages)
    bindings = tuple(value for pair in ages for value in pair)
    sql = f"SELECT root, kind FROM kept_roots WHERE {CHANGING} AND ({where})"
    return [(root, kind) for root, kind in readers.rows(sql, bindings)]


def unlist(db: apsw.Connection, root: bytes, kind: str, now_ms: int) -> bool:
    """Take the blocks of a root that was let go out of the catalogue. Returns: False if it is wanted again."""
    if not change(db, root, kind, ERASING, now_ms, frm=(GOING, RETRACTED, ERASING)):
        return False
    row = db.execute("SELECT id FROM kept_roots WHERE kind = ? AND root = ?", (kind, root)).get
    db.execute("DELETE FROM kept_blocks WHERE kept = ?", (row,))
    return True


def forget(db: apsw.Connection, root: bytes, kind: str) -> None:
    """Nothing is left of a root in its backend."""
    db.execute("DELETE FROM kept_roots WHERE kind = ? AND root = ? AND state = 'erasing'", (kind, root))


def forget_some(db: apsw.Connection, kind: str, most: int) -> int:
    """Forget roots that are neither held nor being put; the store they lie in is gone. Returns: how many."""
    sql = "SELECT id FROM kept_roots WHERE kind = ? AND state IN ('going', 'retracted', 'erasing') LIMIT ?"
    rows = [(row,) for (row,) in db.execute(sql, (kind, most))]
    db.executemany("DELETE FROM kept_blocks WHERE kept = ?", rows)
    db.executemany("DELETE FROM kept_roots WHERE id = ?", rows)
    return len(rows)


def end_puts(db: apsw.Connection, now_ms: int) -> None:
    """What a crash left half put is let go; a fetch or job that goes on takes it up again.

    What was held when it was put anew, for a block that was lost, still is: the block is still listed as lost.
    """
    held = "EXISTS (SELECT 1 FROM holdings h WHERE h.root = kept_roots.root AND h.kind = kept_roots.kind)"
    db.execute(
        f"UPDATE kept_roots SET state = iif({held}, 'held', 'going'), since_ms = ?"
        f" WHERE {CHANGING} AND state = 'coming'",
        (now_ms,),
    )


def used_bytes(readers: Readers, kind: str | None) -> int:
    """The bytes of all blocks listed on `kind`, or for None on all kinds."""
    row = readers.row("SELECT ifnull(sum(used_bytes), 0) FROM kept_used WHERE ?1 IS NULL OR kind = ?1", (kind,))
    return int(row[0])


def wait_again(db: apsw.Connection, now_ms: int) -> None:
    """After a recovery: what was let go may go from an hour from now."""
    db.execute("UPDATE kept_roots SET since_ms = ? WHERE state IN ('going', 'retracted')", (now_ms,))
