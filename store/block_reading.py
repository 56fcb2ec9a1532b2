"""Read blocks wherever they lie, or on one kind alone."""

from collections.abc import Callable

from store.blocks import find, key_of, read_block
from store.catalogue import Readers
from store.cid import inline_block, verify_block
from store.condition import Condition
from store.errors import BlockCorrupt, BlockNotFound, DiskFailed
from store.files import Files
from store.holdings import EMBEDDED
from store.kinds import Kinds

GetBlock = Callable[[bytes], bytes]


class BlockReading:
    """Of one store; every block is hashed before it is returned."""

    def __init__(self, files: Files, home: str, readers: Readers, condition: Condition, kinds: Kinds) -> None:
        self._files = files
        self._home = home
        self._readers = readers
        self._condition = condition
        self._kinds = kinds

    def get(self, cid: bytes) -> bytes:
        """See `Store.get`."""
        try:
            return self.get_here(cid)
        except (BlockNotFound, BlockCorrupt, DiskFailed):
            key = key_of(cid)
            if self._kinds.size(key) is None:
                raise
            return self._kinds.get(key)

    def get_here(self, cid: bytes) -> bytes:
        """From the embedded store."""
        inline = inline_block(cid)
        if inline is not None:
            return inline
        key = key_of(cid)
        try:
            block = read_block(self._files, self._home, self._readers, key)
            verify_block(cid, block)
        except (BlockNotFound, BlockCorrupt):
            if self.is_here(key):
                self._condition.quarantine(key)
            raise
        return block

    def of_kind(self, kind: str) -> GetBlock:
        """See `Store.reader`."""
        if kind == EMBEDDED:
            return self.get_here

        def get(cid: bytes) -> bytes:
            inline = inline_block(cid)
            return self._kinds.get(key_of(cid), kind) if inline is None else inline

        return get

    def size(self, cid: bytes) -> int | None:
        """See `Store.size`."""
        inline = inline_block(cid)
        if inline is not None:
            return len(inline)
        here = self._size_here(key_of(cid))
        return self._kinds.size(key_of(cid)) if here is None else here

    def is_here(self, key: bytes) -> bool:
        """Whether the embedded store has a block."""
        return self._size_here(key) is not None

    def _size_here(self, key: bytes) -> int | None:
        place = find(self._readers, key)
        return None if place is None or place.place is None else place.size_bytes
