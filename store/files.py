"""The one place through which the store changes the disk, so that a recorder of every change can stand in for it.

Nothing here decides; `Site` lists why each fsync is there, and the power-loss tests show that none can be left out.
Paths are plain text: a `Path` costs more than some of the calls it would be handed to.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

from store.errors import DiskFailed, StoreError, StoreFull

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class Site(StrEnum):
    """Every fsync of the store outside of SQLite, by what it makes durable."""

    DATA_DIRECTORY = "name of the data directory"
    STORE_ID = "the store's id"
    STORE_ID_NAME = "name of the store's id"
    ADOPTED = "names of what an unknown session had staged"
    ADOPTED_SHARD = "name of a new shard for it"
    SESSION = "name of this session's staging folder"
    SESSIONS_GONE = "absence of the staging folders of earlier sessions"
    BLOCK = "bytes of a staged block"
    PACK = "bytes of a staged pack"
    STAGED = "names of staged blocks and packs"
    SHARD = "name of a new shard"
    SETTLED = "names of what was moved or removed"
    SEGMENT = "bytes appended to a segment"
    SEGMENT_NAME = "name of a new segment"
    MENDED = "bytes of a segment written again"
    MENDED_NAME = "name of a segment written again"
    COMPACTED = "bytes of a compacted segment"


class ObjectSite(StrEnum):
    """Every fsync of the backend `local`."""

    OBJECT = "bytes of an object"
    NAMED = "name of an object"
    GONE = "absence of an object"
    FOLDER = "name of a folder of objects"
    ID = "name of the store's id"


class Files:
    """The real disk. Errors are `OSError`; `disk_errors` makes `StoreError`s of them.

    Attributes:
        vfs: name of the SQLite VFS the catalogue is opened with, empty for SQLite's own.
    """

    vfs: str = ""

    def make_folder(self, path: str) -> bool:
        """Make `path`, whose parent exists; False if it is there already."""
        try:
            os.mkdir(path, FOLDER_MODE)
        except FileExistsError:
            return False
        return True

    def create(self, path: str) -> int:
        """Return a descriptor of a new, empty file. Raises: FileExistsError."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def open(self, path: str) -> int:
        """Return a descriptor for writing into an existing file."""
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, fd: int, content: bytes, offset_bytes: int) -> None:
        """Write all of `content` at `offset_bytes`."""
        view = memoryview(content)
        while view:
            written = os.pwrite(fd, view, offset_bytes)
            view, offset_bytes = view[written:], offset_bytes + written

    def truncate(self, fd: int, size_bytes: int) -> None:
        os.ftruncate(fd, size_bytes)

    def fsync(self, fd: int, site: Site | ObjectSite) -> None:
        """Return once the file's bytes and length survive a power loss; `site` says what for."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def fsync_folder(self, path: str, site: Site | ObjectSite) -> None:
        """Return once the names in `path` survive a power loss; `site` says what for."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def rename_new(self, source: str, target: str) -> None:
        """Rename where there is no `target` yet. Raises: FileExistsError."""
        os.link(source, target)
        os.unlink(source)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def remove_folder(self, path: str) -> None:
        """Remove `path`, which is empty."""
        os.rmdir(path)

    def read(self, path: str, offset_bytes: int = 0, length_bytes: int = -1) -> bytes:
        """Return `length_bytes` from `offset_bytes`, fewer where the file ends; -1: all."""
        with open(path, "rb", buffering=0) as file:
            if offset_bytes:
                file.seek(offset_bytes)
            pieces = []
            while length_bytes and (piece := file.read(length_bytes)):
                pieces.append(piece)
                length_bytes -= len(piece) if length_bytes > 0 else 0
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def forget_cached(self, path: str) -> None:
        """Have the next reading of a file come from the disk, as far as the system lets us say so."""
        with suppress(OSError, AttributeError), open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def names(self, path: str) -> list[str]:
        """Return the sorted names in a folder, none if there is no such folder."""
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def size_bytes(self, path: str) -> int | None:
        """Return the size of a file, None if there is none."""
        try:
            return os.stat(path).st_size
        except FileNotFoundError:
            return None

    def free_bytes(self, path: str) -> int:
        """Return what the disk that holds `path` has left for us."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def is_read_only(self, path: str) -> bool:
        """Whether the file system that holds `path` takes no change at all, such as one that found itself damaged."""
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)

    def discard(self, path: str) -> None:
        """Remove a file of no further use, if it is there and the disk lets us."""
        with suppress(OSError):
            self.unlink(path)


@contextmanager
def disk_errors(files: Files, path: str, needed_bytes: int = 0) -> Iterator[None]:
    """Raise a `StoreError` that names `path` in place of an `OSError`."""
    try:
        yield
    except OSError as error:
        raise disk_error(files, path, error, needed_bytes) from error


def disk_error(files: Files, path: str, error: OSError, needed_bytes: int = 0) -> StoreError:
    """Return what to raise for `error`: StoreFull for want of room, DiskFailed for all else."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        try:
            free_bytes = files.free_bytes(os.path.dirname(path))
        except OSError:
            free_bytes = 0
        return StoreFull(needed_bytes, free_bytes)
    return DiskFailed(error.filename or path, (error.strerror or str(error)).lower())
