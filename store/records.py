"""The current set of records: a table of the catalogue, kept as a cache of the segments.

Opaque bytes go in and come out; the later entry of one key replaces the former.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import apsw

from store.catalogue import Readers
from store.commits import Batch
from store.record_lines import ASIDE, FORGOTTEN, Line, RecordEntry, encode_line, readable_text
from store.record_order import in_order, key_of

PAGE_ROWS = 1000
KEYS_AT_ONCE = 500
_SET = (
    "INSERT INTO records(key, kind, signed, readable, segment, offset_bytes, length_bytes, seal)"
    " VALUES {} ON CONFLICT(key) DO UPDATE SET kind = excluded.kind, signed = excluded.signed,"
    " readable = excluded.readable, segment = excluded.segment, offset_bytes = excluded.offset_bytes,"
    " length_bytes = excluded.length_bytes, seal = excluded.seal"
)
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?)"
ROWS_AT_ONCE = 100
"""In one statement. SQLite lets others run at each, and a busy event loop gives the turn back only after a while."""

Sealed = tuple[bytes, bytes | None]
"""A record's signed bytes and its seal."""


def put(batch: Batch, entries: Sequence[RecordEntry]) -> None:
    """Add or replace records, in order."""
    for at in range(0, len(entries), KEYS_AT_ONCE):
        _put_some(batch, entries[at : at + KEYS_AT_ONCE])


def _put_some(batch: Batch, entries: Sequence[RecordEntry]) -> None:
    keys = [in_order(entry.key) for entry in entries]
    marks = ", ".join("?" * len(keys))
    rows = batch.db.execute(f"SELECT key, segment, length_bytes FROM records WHERE key IN ({marks})", keys)
    former: dict[bytes, tuple[int, int]] = {key: (number, length) for key, number, length in rows}
    placed = []
    for key, entry in zip(keys, entries, strict=True):
        readable = readable_text(entry.readable)
        line = encode_line(Line(entry.kind, entry.key, entry.raw, readable))
        number, offset_bytes = batch.tail.append(line)
        if key in former:
            count_dead(batch.db, *former[key])
        former[key] = (number, len(line))
        placed.append((key, entry.kind, entry.raw, readable, number, offset_bytes, len(line), entry.seal))
    for at in range(0, len(placed), ROWS_AT_ONCE):
        some = placed[at : at + ROWS_AT_ONCE]
        batch.db.execute(_SET.format(", ".join([_ROW] * len(some))), list(chain.from_iterable(some)))


def forget(batch: Batch, keys: Iterable[bytes]) -> None:
    """Take records away; keys that are not there are passed over."""
    for key in keys:
        if batch.db.execute("SELECT 1 FROM records WHERE key = ? AND signed IS NOT NULL", (in_order(key),)).get:
            _put_line(batch, Line(FORGOTTEN, key, None, "{}"))


def _put_line(batch: Batch, line: Line) -> None:
    raw = encode_line(line)
    number, offset_bytes = batch.tail.append(raw)
    set_line(batch.db, line, number, offset_bytes, len(raw))


def set_line(db: apsw.Connection, line: Line, number: int, offset_bytes: int, length_bytes: int) -> None:
    """Let the catalogue say that this line, at this place, is the last of its key."""
    key = in_order(line.key)
    former = db.execute("SELECT segment, length_bytes FROM records WHERE key = ?", (key,)).fetchone()
    if former is not None:
        count_dead(db, *former)
    db.execute(_SET.format(_ROW), (key, line.kind, line.raw, line.readable, number, offset_bytes, length_bytes, None))


def count_dead(db: apsw.Connection, number: int, length_bytes: int) -> None:
    """Note that a line of a segment no longer counts."""
    db.execute(
        "INSERT INTO segments VALUES (?1, 0, 0, ?2) ON CONFLICT(number) DO UPDATE SET dead_bytes = dead_bytes + ?2",
        (number, length_bytes),
    )


def load(readers: Readers, *, aside: bool = False) -> Iterator[RecordEntry]:
    """Yield the current set, or what is kept beside it, in the order in which the keys came.

    One that changes meanwhile may be old or new.
    """
    which = f"kind {'=' if aside else '!='} '{ASIDE}'"
    last = 0
    while rows := readers.rows(
        "SELECT id, key, kind, signed, readable FROM records"
        f" WHERE id > ? AND signed IS NOT NULL AND {which} ORDER BY id LIMIT ?",
        (last, PAGE_ROWS),
    ):
        last = rows[-1][0]
        for _, key, kind, signed, readable in rows:
            yield RecordEntry(key=key_of(key), kind=kind, raw=signed, readable=json.loads(readable))


def signed_pages(readers: Readers) -> Iterator[list[Sealed]]:
    """Yield the signed bytes of the current set with their seals, some at a time, in the same order as `load`."""
    last = 0
    while rows := readers.rows(
        f"SELECT id, signed, seal FROM records WHERE id > ? AND signed IS NOT NULL AND kind != '{ASIDE}'"
        " ORDER BY id LIMIT ?",
        (last, PAGE_ROWS),
    ):
        last = rows[-1][0]
        yield [(signed, seal) for _, signed, seal in rows]


def seal(batch: Batch, seals: Mapping[bytes, tuple[bytes, bytes]]) -> None:
    """Put seals on records by key, each if it is still those bytes that were sealed."""
    batch.db.executemany(
        "UPDATE records SET seal = ? WHERE key = ? AND signed = ?",
        [(one, in_order(key), raw) for key, (raw, one) in seals.items()],
    )
