"""The condition of the disk under the blocks: look at some, find all that are gone, and put bad ones away.

`probe` is cheap enough for every few seconds and notices when a folder, a mount or a disk went away; `find_lost` then
looks for every file that the catalogue lists. A block found bad is *missing* from then on: its owners still want it.
"""

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from store.blocks import FOLDER as BLOCKS
from store.blocks import Place, block_path, find, read_block
from store.catalogue import Readers
from store.cid import verify_block
from store.commits import Batch, Writer
from store.errors import BlockCorrupt, BlockNotFound, DiskFailed
from store.files import Files
from store.packs import FOLDER as PACKS
from store.schema import FILE
from store.scrub import quarantine
from store.store_id import read_store_id, store_id_in

STATS = 64
"""Files whose presence a probe looks at: if one in twenty is gone it is noticed with 96 %. Each costs microseconds."""
READS = 2
"""Blocks that a probe reads and hashes, from the disk itself."""
MARK_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe found.

    Attributes:
        present: the folder of blocks is the one that was opened.
        lost: whether files are gone or bad; those that were read are in quarantine already.
        unreadable: blocks that the disk could not read, of `tried` that it should have.
        read_only: the file system takes no change any more.
    """

    present: bool
    lost: bool
    unreadable: tuple[bytes, ...]
    tried: int
    read_only: bool = False

    @property
    def dead(self) -> bool:
        """Nothing that was tried can be read."""
        return bool(self.tried) and len(self.unreadable) == self.tried


class Condition:
    """Of one store. Every method blocks.

    Attributes:
        quarantined: blocks found bad since the store was opened.
    """

    def __init__(self, files: Files, home: str, readers: Readers, writer: Writer, store_id: str) -> None:
        self._files = files
        self._home = home
        self._readers = readers
        self._writer = writer
        self._store_id = store_id
        self._device = os.stat(f"{home}/{BLOCKS}").st_dev
        self.quarantined = 0

    def quarantine(self, key: bytes) -> bool:
        """Look once more at a block found bad, and put it away if it is; whether it was."""
        bad = quarantine(self._files, self._home, self._readers, self._writer, key)
        self.quarantined += bad
        return bad

    def condemn(self, keys: Iterable[bytes]) -> tuple[bytes, ...]:
        """Give up blocks that the disk cannot read, if it still cannot while others can be; those given up."""
        given_up = []
        for key in keys:
            try:
                verify_block(key, read_block(self._files, self._home, self._readers, key))
            except DiskFailed:
                found = find(self._readers, key)
                if found is not None and self._mark([found]):
                    given_up.append(key)
            except (BlockCorrupt, BlockNotFound):
                if self.quarantine(key):
                    given_up.append(key)
        self.quarantined += len(given_up)
        return tuple(given_up)

    def probe(self) -> Probe:
        """Look at some blocks, at random. Raises: StoreError: the catalogue cannot be asked."""
        present = self._is_present()
        lost = not present
        for place in self._sample(STATS):
            lost |= not self._is_there(place)
        unreadable: list[bytes] = []
        tried = 0
        for key in [key for key, _ in self._keys(READS)]:
            tried += 1
            try:
                self._files.forget_cached(f"{self._home}/{block_path(key)}")
                verify_block(key, read_block(self._files, self._home, self._readers, key))
            except (BlockCorrupt, BlockNotFound):
                lost |= self.quarantine(key)
            except DiskFailed:
                unreadable.append(key)
        return Probe(present, lost, tuple(unreadable), tried, present and self._is_read_only())

    def find_lost(self) -> int:
        """Mark every listed block as missing whose file or pack is not there, or is cut short; how many are new."""
        marked, last = 0, 0
        while True:
            rows = self._places("b.id > ? AND b.place IS NOT NULL ORDER BY b.id LIMIT ?", (last, 2 * MARK_AT_ONCE))
            if not rows:
                return marked
            last = rows[-1][1].row
            lost = [place for key, place in rows if not self._is_there((key, place))]
            for start in range(0, len(lost), MARK_AT_ONCE):
                marked += self._mark(lost[start : start + MARK_AT_ONCE])

    def restore_folders(self) -> bool:
        """Make the folders anew that were removed; not where a mount went away. Whether blocks can be taken again."""
        path = f"{self._home}/{BLOCKS}"
        self._files.make_folder(f"{self._home}/{PACKS}")
        self._files.make_folder(path)
        if os.stat(path).st_dev != self._device:
            return False
        store_id_in(self._files, self._home, self._store_id)
        return self._is_present()

    def _is_present(self) -> bool:
        try:
            same = read_store_id(self._files, self._home) == self._store_id
            there = os.stat(f"{self._home}/{BLOCKS}").st_dev == self._device
            return same and there and os.path.isdir(f"{self._home}/{PACKS}")
        except OSError:
            return False

    def _is_read_only(self) -> bool:
        try:
            return self._files.is_read_only(f"{self._home}/{BLOCKS}")
        except OSError:
            return True

    def _is_there(self, listed: tuple[bytes, Place]) -> bool:
        """Whether a block's file is there and long enough, wherever it is on its way to."""
        key, place = listed
        path = block_path(key) if place.place == FILE else f"{PACKS}/{place.pack}"
        end_bytes = place.offset_bytes + place.size_bytes
        try:
            sizes = [self._files.size_bytes(f"{self._home}/{each}") for each in (place.staged, path) if each]
        except OSError:
            return False
        return any(size is not None and size >= end_bytes for size in sizes)

    def _mark(self, lost: list[Place]) -> int:
        """List these blocks as missing, where they still lie as they were found."""

        def mark(batch: Batch) -> int:
            count = 0
            for place in lost:
                batch.db.execute(
                    "UPDATE blocks SET place = NULL WHERE id = ? AND place = ? AND offset_bytes = ?",
                    (place.row, place.place, place.offset_bytes),
                )
                count += batch.db.changes()
            return count

        return self._writer.run(mark)

    def _sample(self, count: int) -> list[tuple[bytes, Place]]:
        found: list[tuple[bytes, Place]] = []
        for _, row in self._keys(count):
            found += self._places("b.id = ? AND b.place IS NOT NULL LIMIT ?", (row, 1))
        return found

    def _keys(self, count: int) -> list[tuple[bytes, int]]:
        last = self._readers.row("SELECT max(id) FROM blocks")[0]
        if last is None:
            return []
        sql = "SELECT cid, id FROM blocks WHERE id >= ? AND place IS NOT NULL ORDER BY id LIMIT 1"
        rows = [self._readers.row(sql, (random.randint(1, last),)) for _ in range(count)]
        return list(dict.fromkeys((bytes(row[0]), row[1]) for row in rows if row is not None))

    def _places(self, where: str, bindings: tuple[Any, ...]) -> list[tuple[bytes, Place]]:
        rows = self._readers.rows(
            "SELECT b.cid, b.id, b.size_bytes, b.place, b.offset_bytes, p.name FROM blocks b"
            f" LEFT JOIN packs p ON p.id = b.place WHERE {where}",
            bindings,
        )
        found = []
        for key, row, size_bytes, place, offset_bytes, pack in rows:
            target = block_path(key) if place == FILE else f"{PACKS}/{pack}"
            moving = self._readers.row(
                "SELECT source FROM intents WHERE target = ? AND act = 'move' ORDER BY id DESC LIMIT 1", (target,)
            )
            found.append((key, Place(row, size_bytes, place, offset_bytes, pack, moving[0] if moving else None)))
        return found
