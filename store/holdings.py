"""The roots held here complete, each change numbered by (epoch, seq), as the swarm is told of them."""

from dataclasses import dataclass

import apsw

from store.catalogue import rows_of

EMBEDDED = "ipfs"
"""The kind of the blocks in this store's own files."""


@dataclass(frozen=True, slots=True)
class HoldingState:
    """Where the numbering is. A higher epoch replaces the whole set."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Holding:
    """One element as written: held or, from `release`, no longer.

    Attributes:
        seq: of its last change, within `epoch`.
        changed: False if it was held already and nothing was written.
    """

    root: bytes
    kind: str
    size_bytes: int
    epoch: int
    seq: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Held:
    """One element of the current set."""

    root: bytes
    kind: str
    size_bytes: int
    seq: int
    held_at_ms: int


def state(db: apsw.Connection) -> HoldingState:
    values = dict(rows_of(db, "SELECT name, value FROM state WHERE name IN ('epoch', 'seq')"))
    return HoldingState(values["epoch"], values["seq"])


def snapshot(db: apsw.Connection) -> tuple[HoldingState, list[tuple[bytes, str]]]:
    """The whole set with the number it has, read at one instant."""
    rows = rows_of(
        db,
        "SELECT e.value, s.value, h.root, h.kind FROM state e JOIN state s ON s.name = 'seq'"
        " LEFT JOIN holdings h ON TRUE WHERE e.name = 'epoch'",
    )
    return HoldingState(rows[0][0], rows[0][1]), [(row[2], row[3]) for row in rows if row[2] is not None]


def add(db: apsw.Connection, root: bytes, kind: str, size_bytes: int, block_count: int, now_ms: int) -> Holding:
    """Hold a root; one that is held already keeps its number."""
    held = db.execute("SELECT size_bytes, seq FROM holdings WHERE root = ? AND kind = ?", (root, kind)).fetchone()
    if held is not None:
        db.execute("UPDATE holdings SET block_count = ? WHERE root = ? AND kind = ?", (block_count, root, kind))
        return Holding(root, kind, held[0], state(db).epoch, held[1], changed=False)
    numbered = _next(db)
    db.execute(
        "INSERT INTO holdings VALUES (?, ?, ?, ?, ?, ?)", (root, kind, size_bytes, numbered.seq, now_ms, block_count)
    )
    return Holding(root, kind, size_bytes, numbered.epoch, numbered.seq, changed=True)


def remove(db: apsw.Connection, root: bytes, kind: str) -> Holding | None:
    """Let a root go. Returns: the element, None if it was not held."""
    size_bytes = db.execute("SELECT size_bytes FROM holdings WHERE root = ? AND kind = ?", (root, kind)).get
    if size_bytes is None:
        return None
    db.execute("DELETE FROM holdings WHERE root = ? AND kind = ?", (root, kind))
    numbered = _next(db)
    return Holding(root, kind, size_bytes, numbered.epoch, numbered.seq, changed=True)


def new_epoch(db: apsw.Connection, at_least: int) -> HoldingState:
    """Begin the next epoch, or `at_least`; the set as it stands is its beginning."""
    epoch = max(state(db).epoch + 1, at_least)
    db.execute("UPDATE state SET value = ? WHERE name = 'epoch'", (epoch,))
    db.execute("UPDATE state SET value = 0 WHERE name = 'seq'")
    db.execute("UPDATE holdings SET seq = 0")
    return HoldingState(epoch, 0)


def _next(db: apsw.Connection) -> HoldingState:
    db.execute("UPDATE state SET value = value + 1 WHERE name = 'seq'")
    return state(db)
