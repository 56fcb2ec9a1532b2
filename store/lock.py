"""One daemon a data directory: a lock file held for as long as the daemon lives, with its pid for people to read."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from store.errors import DiskFailed, StoreInUse
from store.files import FILE_MODE


class StoreLock:
    """Holds `path` locked from its making to `release` or the end of this process, however that comes.

    Raises:
        StoreInUse: another process, or another store of this one, holds it.
        DiskFailed: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise DiskFailed(str(path), error.strerror or str(error)) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = _pid_in(os.pread(self._fd, 32, 0))
            os.close(self._fd)
            raise StoreInUse(str(path.parent), pid) from error
        with suppress(OSError):  # a full disk must not keep the daemon from starting
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._fd)


def _pid_in(content: bytes) -> int | None:
    text = content.strip()
    return int(text) if text.isdigit() else None
