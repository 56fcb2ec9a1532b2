"""One put on its way: blocks are hashed, the larger ones staged, and all is fsynced before the commit is asked for.

Runs in the caller's thread, so that several adds hash and write at once; only the commit is shared.
"""

from collections.abc import Collection
from types import TracebackType

from store.blocks import file_name, key_of
from store.catalogue import Readers
from store.cid import inline_block, verify_block
from store.errors import StoreFull
from store.files import Files, Site, disk_errors
from store.ownership import Incoming
from store.packs import SMALL_BLOCK_BYTES
from store.staging import Staging

RESERVE_BYTES = 8 << 20
"""Left free on the disk, so that a full store can still write down what it lets go. A guess."""
MAX_HERE_BYTES = 64 << 20
"""Of larger blocks that are here already, kept in memory until the commit in case they go before it; any more are staged
like new ones. A guess."""
MAX_OPEN_FILES = 32
"""Staged and not yet fsynced: written together first, so that the disk may order them."""


class Intake:
    """Use as a context: what the commit did not take is discarded at its end.

    Attributes:
        incoming: every block once. Small ones, and those here already, are kept in memory until the commit.
    """

    def __init__(self, files: Files, home: str, readers: Readers, staging: Staging) -> None:
        self._files = files
        self._home = home
        self._readers = readers
        self._staging = staging
        self._open: list[int] = []
        self._staged: set[str] = set()
        self._seen: set[bytes] = set()
        self._small_bytes = 0
        self._here_bytes = 0
        self.incoming: list[Incoming] = []

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for fd in self._open:
            self._files.close(fd)
        for path in self._staged:
            self._staging.discard(path)

    def add(self, cid: bytes, block: bytes, *, verified: bool) -> None:
        """Take one block. Raises: BlockCorrupt, BadCid, StoreFull, DiskFailed."""
        if not verified:
            verify_block(cid, block)
        key = key_of(cid)
        if key in self._seen or inline_block(key) is not None:
            return
        self._seen.add(key)
        if 0 < len(block) < SMALL_BLOCK_BYTES:  # an empty one in a pack would look like a dead one
            self._small_bytes += len(block)
            self.incoming.append(Incoming(key, len(block), block=block))
        elif self._here_bytes < MAX_HERE_BYTES and self._is_here(key):
            self._here_bytes += len(block)
            self.incoming.append(Incoming(key, len(block), block=block))
        else:
            self._stage(key, block)

    def make_durable(self) -> None:
        """Return once the bytes of every staged block are safe; their names are when committed.

        Raises:
            StoreFull, DiskFailed: nothing of it is stored.
        """
        self._check_room(self._small_bytes)
        with disk_errors(self._files, f"{self._home}/{self._staging.folder}"):
            self._fsync_open()

    def taken(self, paths: Collection[str]) -> None:
        """These staged files belong to the commit now."""
        self._staged.difference_update(paths)

    def _is_here(self, key: bytes) -> bool:
        return self._readers.row("SELECT 1 FROM blocks WHERE cid = ? AND place IS NOT NULL", (key,)) is not None

    def _stage(self, key: bytes, block: bytes) -> None:
        self._check_room(len(block))
        with disk_errors(self._files, f"{self._home}/{self._staging.folder}", len(block)):
            path, fd = self._staging.write(file_name(key), block)
            self._staged.add(path)
            self._open.append(fd)
            if len(self._open) >= MAX_OPEN_FILES:
                self._fsync_open()
        self.incoming.append(Incoming(key, len(block), staged=path))

    def _fsync_open(self) -> None:
        while self._open:
            self._staging.make_durable(self._open.pop(), Site.BLOCK)

    def _check_room(self, needed_bytes: int) -> None:
        with disk_errors(self._files, self._home):
            free_bytes = self._files.free_bytes(self._home)
        if free_bytes < needed_bytes + RESERVE_BYTES:
            raise StoreFull(needed_bytes, max(0, free_bytes - RESERVE_BYTES))
