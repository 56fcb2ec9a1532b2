"""Who owns which block: every root, running fetch and running job that reaches it.

Each function is one step inside of a transaction of the one writer, so "already here" and taking ownership cannot be
torn apart by a collection in between.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import apsw

from store.blocks import block_path
from store.catalogue import rows_of
from store.commits import Batch
from store.errors import BlockNotFound
from store.schema import FILE

FETCH_EXPIRES_MS = 24 * 3600 * 1000
"""A partial fetch is resumed or dropped by then. Source: DESIGN §7, "Letting blocks go"."""
UNOWNED_MS = 3600 * 1000
"""How long a block without an owner stays. Source: DESIGN §7, "Letting blocks go"."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A root held here, a fetch or a job under way.

    Attributes:
        id: the root's CID; of a fetch or job whatever names it.
    """

    kind: Literal["root", "fetch", "job"]
    id: bytes


class Incoming(NamedTuple):
    """A block on its way in, as a staged file or, if `staged` is empty, as the bytes for the pack."""

    key: bytes
    size_bytes: int
    staged: str = ""
    block: bytes = b""


def begin(db: apsw.Connection, owner: Owner, now_ms: int) -> int:
    """Return the owner's row, made if need be."""
    db.execute("INSERT OR IGNORE INTO owners(kind, name, started_ms) VALUES (?, ?, ?)", (owner.kind, owner.id, now_ms))
    return int(db.execute("SELECT id FROM owners WHERE kind = ? AND name = ?", (owner.kind, owner.id)).get)


def drop(db: apsw.Connection, owner: Owner, now_ms: int) -> None:
    """End an owner; blocks that nobody else owns are unowned from now on."""
    row = db.execute("SELECT id FROM owners WHERE kind = ? AND name = ?", (owner.kind, owner.id)).get
    if row is not None:
        _drop_row(db, row, now_ms)


def become_fetch(db: apsw.Connection, root: bytes, now_ms: int) -> None:
    """What a root owned belongs to the fetch that is to complete it."""
    row = db.execute("SELECT id FROM owners WHERE kind = 'root' AND name = ?", (root,)).get
    if row is None:
        return
    fetch = begin(db, Owner("fetch", root), now_ms)
    db.execute("INSERT OR IGNORE INTO owned SELECT ?, block FROM owned WHERE owner = ?", (fetch, row))
    db.execute("DELETE FROM owned WHERE owner = ?", (row,))
    db.execute("DELETE FROM owners WHERE id = ?", (row,))


def drop_kind(db: apsw.Connection, kind: str, now_ms: int) -> None:
    """End all owners of a kind."""
    for (row,) in rows_of(db, "SELECT id FROM owners WHERE kind = ?", (kind,)):
        _drop_row(db, row, now_ms)


def _drop_row(db: apsw.Connection, row: int, now_ms: int) -> None:
    db.execute(
        "UPDATE blocks SET unowned_since_ms = ?1 WHERE id IN (SELECT block FROM owned WHERE owner = ?2)"
        " AND NOT EXISTS (SELECT 1 FROM owned o WHERE o.block = blocks.id AND o.owner <> ?2)",
        (now_ms, row),
    )
    db.execute("DELETE FROM owned WHERE owner = ?", (row,))
    db.execute("DELETE FROM owners WHERE id = ?", (row,))


def enlist_all(batch: Batch, owner: Owner, incoming: Iterable[Incoming], now_ms: int) -> list[Incoming]:
    """List blocks for an owner. Returns: those whose bytes were wanted; a staged file of any other is to be discarded."""
    row = begin(batch.db, owner, now_ms)
    return [block for block in incoming if _enlist(batch, row, block)]


def _enlist(batch: Batch, owner_row: int, incoming: Incoming) -> bool:
    """List a block for an owner, or let the owner share in the one that is here.

    Returns:
        Whether the bytes were wanted: a staged file then moves to its place.
    """
    db = batch.db
    found = db.execute(
        "SELECT id, place IS NULL, unowned_since_ms FROM blocks WHERE cid = ?", (incoming.key,)
    ).fetchone()
    row, missing, unowned_since_ms = found or (None, True, None)
    if missing:
        place, offset_bytes = _placed(batch, incoming)
        if row is None:
            db.execute(
                "INSERT INTO blocks(cid, size_bytes, place, offset_bytes) VALUES (?, ?, ?, ?)",
                (incoming.key, incoming.size_bytes, place, offset_bytes),
            )
            row = db.last_insert_rowid()
        else:
            db.execute(
                "UPDATE blocks SET size_bytes = ?, place = ?, offset_bytes = ? WHERE id = ?",
                (incoming.size_bytes, place, offset_bytes, row),
            )
    db.execute("INSERT OR IGNORE INTO owned VALUES (?, ?)", (owner_row, row))
    if unowned_since_ms is not None:
        db.execute("UPDATE blocks SET unowned_since_ms = NULL WHERE id = ?", (row,))
    return bool(missing)


def _placed(batch: Batch, incoming: Incoming) -> tuple[int, int]:
    if incoming.staged:
        batch.move(incoming.staged, block_path(incoming.key))
        return FILE, 0
    return batch.pack.id, batch.pack.add(incoming.key, incoming.block)


def hand_on(db: apsw.Connection, keys: Iterable[bytes], to_row: int, frm: Owner | None) -> int:
    """Let `to_row` own the blocks `keys`, all of them present, instead of `frm`. Returns: how many there are.

    Raises:
        BlockNotFound: one is not here; the caller's transaction must not go on.
    """
    count = 0
    for key in keys:
        found = db.execute("SELECT id, place, unowned_since_ms FROM blocks WHERE cid = ?", (key,)).fetchone()
        if found is None or found[1] is None:
            raise BlockNotFound(key)
        db.execute("INSERT OR IGNORE INTO owned VALUES (?, ?)", (to_row, found[0]))
        if found[2] is not None:
            db.execute("UPDATE blocks SET unowned_since_ms = NULL WHERE id = ?", (found[0],))
        count += 1
    if frm is not None:
        db.execute(
            "DELETE FROM owned WHERE owner = (SELECT id FROM owners WHERE kind = ? AND name = ?)"
            " AND block IN (SELECT block FROM owned WHERE owner = ?)",
            (frm.kind, frm.id, to_row),
        )
    return count


def unlist(batch: Batch, before_ms: int, most: int) -> tuple[int, int]:
    """Take up to `most` blocks unowned since `before_ms` or longer out of the catalogue, their files to follow.

    Returns:
        How many blocks and bytes.
    """
    rows = rows_of(
        batch.db,
        "SELECT id, cid, size_bytes, place FROM blocks WHERE unowned_since_ms <= ?"
        " AND NOT EXISTS (SELECT 1 FROM owned WHERE block = blocks.id) LIMIT ?",
        (before_ms, most),
    )
    for row, key, _, place in rows:
        batch.db.execute("DELETE FROM blocks WHERE id = ?", (row,))
        if place == FILE:
            batch.unlink(block_path(key))
    return len(rows), sum(size_bytes for _, _, size_bytes, place in rows if place is not None)


def begin_recovery(db: apsw.Connection) -> None:
    """Nothing is collected until `end_recovery`."""
    db.execute("UPDATE state SET value = 1 WHERE name = 'rebuilt'")


def end_recovery(db: apsw.Connection, now_ms: int) -> None:
    """What a rebuild listed and nobody came to own is unowned from now on, and collection on again."""
    db.execute(
        "UPDATE blocks SET unowned_since_ms = ? WHERE unowned_since_ms IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM owned WHERE block = blocks.id)",
        (now_ms,),
    )
    db.execute("UPDATE state SET value = 0 WHERE name = 'rebuilt'")
