"""Bring records and segments back together when the store is opened.

Three things may be between them: a power loss took the tail of a segment (the catalogue has its lines: written again);
an old catalogue was put back (the segments have more: read); a segment went missing (the catalogue has its lines).
In good order only the lines of the last commit are read.
"""

from collections.abc import Iterable

import apsw

from store.catalogue import rows_of
from store.files import Files, Site
from store.record_lines import COMPACTED, Line, encode_line
from store.record_order import key_of
from store.records import set_line
from store.segments import FOLDER, SegmentTail, read_lines, segment_number, segment_path


def replay_segments(db: apsw.Connection, files: Files, home: str) -> SegmentTail:
    """Make the table of records equal to the segments, in one transaction. Raises: OSError, apsw.Error."""
    there = {number for name in files.names(f"{home}/{FOLDER}") if (number := segment_number(name)) is not None}
    with db:
        known = {row[0] for row in rows_of(db, "SELECT number FROM segments")}
        if there - known:
            _read_all(db, files, home, sorted(there))
        else:
            for number in sorted(known):
                _mend(db, files, home, number)
        last = rows_of(db, "SELECT number, size_bytes FROM segments ORDER BY number DESC LIMIT 1")
    return SegmentTail(files, home, *(last[0] if last else (1, 0)))


def _read_all(db: apsw.Connection, files: Files, home: str, numbers: list[int]) -> None:
    """Forget the table and read every segment from the last compacted one on."""
    db.execute("DELETE FROM records")
    db.execute("DELETE FROM segments")
    for number in numbers:
        end_bytes = whole_bytes = 0
        for placed in read_lines(files, home, number):
            end_bytes = placed.offset_bytes + len(placed.raw)
            line = placed.line
            if line is None:
                continue  # `check` names it, unless it is the torn end
            whole_bytes = end_bytes
            if line.kind == COMPACTED:
                db.execute("DELETE FROM records")
                db.execute("UPDATE segments SET dead_bytes = size_bytes")
            else:
                set_line(db, line, number, placed.offset_bytes, len(placed.raw))
        if whole_bytes < end_bytes:
            _truncate(files, home, number, whole_bytes)
        _note(db, number, whole_bytes)


def _mend(db: apsw.Connection, files: Files, home: str, number: int) -> None:
    """Compare the end of a segment with what the catalogue says of it."""
    ((size_bytes, synced_bytes),) = rows_of(
        db, "SELECT size_bytes, synced_bytes FROM segments WHERE number = ?", (number,)
    )
    found_bytes = files.size_bytes(f"{home}/{segment_path(number)}")
    if found_bytes is None or found_bytes < synced_bytes:
        found_bytes = synced_bytes = 0
    tail = list(read_lines(files, home, number, synced_bytes)) if found_bytes > synced_bytes else []
    wanted = _lines_of(db, number, synced_bytes)
    by_offset = {placed.offset_bytes: placed.line for placed in tail}
    whole = found_bytes >= size_bytes and all(placed.line for placed in tail)
    later = [placed for placed in tail if placed.offset_bytes >= size_bytes and placed.line is not None]
    if whole and all(by_offset.get(offset_bytes) == line for offset_bytes, line in wanted):
        for placed in later:
            set_line(db, _checked(placed.line), number, placed.offset_bytes, len(placed.raw))
        _note(db, number, found_bytes)
        return
    lines = [line for _, line in wanted] + [_checked(placed.line) for placed in later]
    _write_again(db, files, home, number, synced_bytes, lines)


def _lines_of(db: apsw.Connection, number: int, from_bytes: int) -> list[tuple[int, Line]]:
    rows = rows_of(
        db,
        "SELECT offset_bytes, kind, key, signed, readable FROM records WHERE segment = ? AND offset_bytes >= ?"
        " ORDER BY offset_bytes",
        (number, from_bytes),
    )
    return [(offset_bytes, Line(kind, key_of(key), signed, text)) for offset_bytes, kind, key, signed, text in rows]


def _write_again(
    db: apsw.Connection, files: Files, home: str, number: int, start_bytes: int, lines: Iterable[Line]
) -> None:
    """Put `lines` in place of all that a segment has from `start_bytes` on."""
    path = f"{home}/{segment_path(number)}"
    made = files.size_bytes(path) is None
    fd = files.create(path) if made else files.open(path)
    try:
        files.truncate(fd, start_bytes)
        at = start_bytes
        for line in lines:
            raw = encode_line(line)
            files.write(fd, raw, at)
            set_line(db, line, number, at, len(raw))
            at += len(raw)
        files.fsync(fd, Site.MENDED)
    finally:
        files.close(fd)
    if made:
        files.fsync_folder(f"{home}/{FOLDER}", Site.MENDED_NAME)
    _note(db, number, at)
    dead_bytes = db.execute("SELECT ? - ifnull(sum(length_bytes), 0) FROM records WHERE segment = ?", (at, number)).get
    db.execute("UPDATE segments SET dead_bytes = ? WHERE number = ?", (dead_bytes, number))


def _note(db: apsw.Connection, number: int, size_bytes: int) -> None:
    db.execute(
        "INSERT INTO segments VALUES (?1, ?2, ?2, 0)"
        " ON CONFLICT(number) DO UPDATE SET size_bytes = ?2, synced_bytes = ?2",
        (number, size_bytes),
    )


def _truncate(files: Files, home: str, number: int, size_bytes: int) -> None:
    fd = files.open(f"{home}/{segment_path(number)}")
    try:
        files.truncate(fd, size_bytes)  # should a power loss bring the torn end back, it is cut off again
    finally:
        files.close(fd)


def _checked(line: Line | None) -> Line:
    assert line is not None
    return line
