"""Re-hash blocks and put bad ones out of the way, keeping their owners: a root still wants what it has lost."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from store.blocks import block_path, find, read_block
from store.catalogue import Readers
from store.cid import verify_block
from store.commits import Batch, Writer
from store.errors import BlockCorrupt, BlockNotFound, DiskFailed
from store.files import Files
from store.schema import FILE

FOLDER = "quarantine"
PAGE_ROWS = 200


@dataclass(frozen=True, slots=True)
class ScrubResult:
    """What a scrub found.

    Attributes:
        bad: blocks that were missing or hashed to something else, quarantined; the owners still want them.
        unreadable: blocks that the disk could not read; left where they are.
        finished: it came to the end of the store; the next call begins anew.
    """

    blocks_checked: int
    bytes_checked: int
    bad: tuple[bytes, ...]
    unreadable: tuple[bytes, ...]
    seconds: float
    finished: bool


def scrub(
    files: Files,
    home: str,
    readers: Readers,
    writer: Writer,
    put_away: Callable[[bytes], bool],
    max_bytes: int | None,
    anew: bool,
) -> ScrubResult:
    """Re-hash from where the last call ended, or all; see `Store.scrub`."""
    began_s = time.monotonic()
    last = 0 if max_bytes is None or anew else readers.row("SELECT value FROM state WHERE name = 'scrubbed'")[0]
    count = size_bytes = 0
    bad: list[bytes] = []
    unreadable: list[bytes] = []
    finished = False
    while not finished and (max_bytes is None or size_bytes < max_bytes):
        sql = "SELECT id, cid, size_bytes FROM blocks WHERE id > ? AND place IS NOT NULL ORDER BY id LIMIT ?"
        rows = readers.rows(sql, (last, PAGE_ROWS))
        finished = len(rows) < PAGE_ROWS
        for row, key, block_bytes in rows:
            last = row
            try:
                files.forget_cached(f"{home}/{block_path(key)}")
                verify_block(key, read_block(files, home, readers, key))
            except (BlockCorrupt, BlockNotFound):
                if put_away(key):
                    bad.append(key)
            except DiskFailed:
                unreadable.append(key)
            count, size_bytes = count + 1, size_bytes + block_bytes
            if max_bytes is not None and size_bytes >= max_bytes:
                finished = False
                break
    reached = 0 if finished else last
    writer.run(
        lambda batch: batch.db.execute("UPDATE state SET value = ? WHERE name = 'scrubbed'", (reached,)).fetchall()
    )
    return ScrubResult(count, size_bytes, tuple(bad), tuple(unreadable), time.monotonic() - began_s, finished)


def quarantine(files: Files, home: str, readers: Readers, writer: Writer, key: bytes) -> bool:
    """Look once more at a block that was found bad; if it is, list it as missing and move its file away.

    Returns:
        Whether it was bad. One healed or collected meanwhile is not.
    """

    def put_away(batch: Batch) -> bool:
        place = find(readers, key)
        if place is None or place.place is None:
            return False
        try:
            verify_block(key, read_block(files, home, readers, key))
        except BlockCorrupt:
            if place.place == FILE:
                path = block_path(key)
                batch.quarantine(path, f"{FOLDER}/{secrets.token_hex(4)}-{path.rpartition('/')[2]}")
        except BlockNotFound:
            pass
        else:
            return False
        batch.db.execute(
            "UPDATE blocks SET place = NULL WHERE id = ? AND cid = ? AND place = ? AND offset_bytes = ?",
            (place.row, key, place.place, place.offset_bytes),
        )
        return bool(batch.db.changes())

    return writer.run(put_away)
