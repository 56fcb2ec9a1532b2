"""Write anew what is mostly dead: segments whose lines were replaced, packs whose blocks went.

Neither holds up the writer for longer than the catalogue needs to be told: the reading and copying is done in the
caller's thread, and what changed meanwhile is left as it is.
"""

from typing import NamedTuple

from store.blocks import read_block
from store.catalogue import Readers, rows_of
from store.cid import verify_block
from store.commits import Batch, Writer
from store.errors import BlockCorrupt, BlockNotFound, DiskFailed
from store.files import Files, Site
from store.packs import FOLDER as PACKS
from store.record_lines import COMPACTED, Line, encode_line
from store.record_order import key_of
from store.segments import segment_path
from store.staging import Staging

MIN_DEAD_BYTES = 1 << 20
"""Segments with less to gain are left alone. A guess."""


LIVE = "SELECT id, cid FROM blocks WHERE place = ? AND place > 0"
"""The second condition lets SQLite use the index of packed blocks."""


class _Copied(NamedTuple):
    row: int
    segment: int
    offset_bytes: int
    new_offset_bytes: int


class Compactor:
    """Compacts one store; the caller sees to it that only one thread does."""

    def __init__(self, files: Files, home: str, readers: Readers, writer: Writer, staging: Staging) -> None:
        self._files = files
        self._home = home
        self._readers = readers
        self._writer = writer
        self._staging = staging
        self.min_dead_bytes = MIN_DEAD_BYTES

    def packs(self) -> int:
        """Copy what is alive of each pack that is mostly dead, and let the pack go. Returns: how many went."""
        rows = self._readers.rows("SELECT id, name FROM packs WHERE size_bytes - 2 * live_bytes > 0")
        return sum(self._compact_pack(*row) for row in rows)

    def _compact_pack(self, pack: int, name: str) -> bool:
        live = {}
        for row, key in self._readers.rows(LIVE, (pack,)):
            try:
                live[row] = (key, read_block(self._files, self._home, self._readers, key))
                verify_block(*live[row])
            except BlockNotFound:
                live.pop(row, None)
            except (BlockCorrupt, DiskFailed):
                return False  # scrub sees to it first

        def rewrite(batch: Batch) -> bool:
            for row, key in rows_of(batch.db, LIVE, (pack,)):
                if row not in live or live[row][0] != key:
                    return False
                batch.db.execute(
                    "UPDATE blocks SET place = ?, offset_bytes = ? WHERE id = ?",
                    (batch.pack.id, batch.pack.add(*live[row]), row),
                )
            batch.db.execute("DELETE FROM packs WHERE id = ?", (pack,))
            batch.unlink(f"{PACKS}/{name}")
            return True

        return self._writer.run(rewrite)

    def segments(self) -> bool:
        """Write the live lines of all segments into one, if more than half is dead. Returns: whether it was."""
        dead_bytes, size_bytes = self._readers.row("SELECT sum(dead_bytes), sum(size_bytes) FROM segments")
        if not dead_bytes or dead_bytes < self.min_dead_bytes or dead_bytes * 2 <= size_bytes:
            return False
        last = self._writer.run(_begin_segment_after_next)
        if self._writer.segment <= last:
            return False  # the disk refused the tail of the segment; another time
        content, copied = self._live_lines(last)
        staged, fd = self._staging.write(segment_path(last + 1).rpartition("/")[2], content)
        try:
            self._staging.make_durable(fd, Site.COMPACTED)
            self._writer.run(lambda batch: _replace_segments(batch, last, staged, len(content), copied))
        except BaseException:
            self._staging.discard(staged)
            raise
        return True

    def _live_lines(self, last: int) -> tuple[bytes, list[_Copied]]:
        content = bytearray(encode_line(Line(COMPACTED, b"", None, "{}")))
        copied = []
        for row, segment, offset_bytes, kind, key, signed, readable in self._readers.rows(
            "SELECT id, segment, offset_bytes, kind, key, signed, readable FROM records"
            " WHERE segment <= ? AND signed IS NOT NULL ORDER BY id",
            (last,),
        ):
            copied.append(_Copied(row, segment, offset_bytes, len(content)))
            content += encode_line(Line(kind, key_of(key), signed, readable))
        return bytes(content), copied


def _begin_segment_after_next(batch: Batch) -> int:
    """Leave one number free for the compacted segment. Returns: the last segment that goes into it."""
    batch.roll = 2
    return batch.tail.number


def _replace_segments(batch: Batch, last: int, staged: str, size_bytes: int, copied: list[_Copied]) -> None:
    db = batch.db
    db.executemany(
        "UPDATE records SET segment = ?, offset_bytes = ? WHERE id = ? AND segment = ? AND offset_bytes = ?",
        [(last + 1, line.new_offset_bytes, line.row, line.segment, line.offset_bytes) for line in copied],
    )
    db.execute("DELETE FROM records WHERE segment <= ? AND signed IS NULL", (last,))
    live_bytes = db.execute("SELECT ifnull(sum(length_bytes), 0) FROM records WHERE segment = ?", (last + 1,)).get
    batch.move(staged, segment_path(last + 1))
    for (number,) in rows_of(db, "SELECT number FROM segments WHERE number <= ? ORDER BY number", (last,)):
        batch.unlink(segment_path(number))
    db.execute("DELETE FROM segments WHERE number <= ?", (last,))
    db.execute("INSERT INTO segments VALUES (?, ?, ?, ?)", (last + 1, size_bytes, size_bytes, size_bytes - live_bytes))
