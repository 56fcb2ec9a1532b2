"""Blocks for another process, read-only: the gateway serves from here while the daemon writes."""

from pathlib import Path

from store.blocks import find, key_of, read_block
from store.catalogue import NAME, Readers
from store.cid import inline_block, verify_block
from store.errors import StoreDamaged
from store.files import Files


class Reader:
    """Reads the blocks of a store that some daemon has open or had; thread-safe, and never writes a block or a row."""

    def __init__(self, home: Path, files: Files) -> None:
        self._files = files
        self._home = str(home)
        self._readers = Readers(f"{self._home}/{NAME}", files.vfs)

    @classmethod
    def open(cls, path: Path, *, files: Files | None = None) -> "Reader":
        """Open the data directory `path`. Raises: StoreDamaged: no store was ever opened there."""
        if not (path / NAME).exists():
            raise StoreDamaged(f"{path} has no {NAME}")
        return cls(path, files or Files())

    def close(self) -> None:
        self._readers.close()

    def get(self, cid: bytes) -> bytes:
        """Return a block. Raises: BlockNotFound, BlockCorrupt, DiskFailed, StoreDamaged, BadCid."""
        inline = inline_block(cid)
        if inline is not None:
            return inline
        block = read_block(self._files, self._home, self._readers, key_of(cid))
        verify_block(cid, block)
        return block

    def has(self, cid: bytes) -> bool:
        return self.size(cid) is not None

    def size(self, cid: bytes) -> int | None:
        """Return a block's size in bytes, None if it is not here."""
        inline = inline_block(cid)
        if inline is not None:
            return len(inline)
        place = find(self._readers, key_of(cid))
        return None if place is None or place.place is None else place.size_bytes
