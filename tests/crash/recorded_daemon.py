"""The real daemon, with every change that it makes to its disk written to a log before anything comes of it.

    python -m tests.crash.recorded_daemon DISK LOG FORGOTTEN WORDS...       `pinakothek WORDS...` with DISK recorded

The store's file layer and SQLite are recorded as in `recorded`, a call at a time. Files that others write are small and
written anew as a whole: what they hold is noted when they are fsynced, and what never is counts as never written.
FORGOTTEN names an fsync to leave out, as if its line were deleted; empty: none.
"""

import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw

from store import files
from tests.crash.disk import Disk, Event, Remains
from tests.crash.recorded import RecordedFiles, RecordedVFS

UNRECORDED = ("-shm", "daemon.lock", "daemon.log", ".sock")
"""SQLite makes the first anew after a power loss; the others hold nothing that anybody reads at a start."""


class LoggedDisk(Disk):
    """A disk whose events outlive the process. Beside the log lies a file of as many bytes as there are events."""

    def __init__(self, root: Path, log: Path) -> None:
        super().__init__(root)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._count = os.open(count_of(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(self, act: str, path: str = "", target: str = "", **more: Any) -> None:
        if path.endswith(UNRECORDED):
            return
        super().add(act, path, target, **more)
        os.write(self._log, pickle.dumps(self.events.pop()))
        os.write(self._count, b".")

    def take_stock(self) -> None:
        """What lies there at the start is safe."""
        for path in sorted(self.root.rglob("*")):
            relative = str(path.relative_to(self.root))
            if path.is_dir():
                self.add("mkdir", relative)
            elif path.is_file():
                self.note_whole(relative)
        for path in (self.root, *self.root.rglob("*")):
            if path.is_dir():
                self.add("fsync folder", self.relative(str(path)) or "")

    def note_whole(self, relative: str) -> None:
        """A file that others write has been fsynced as it is."""
        if relative not in self.inodes:
            self.add("create", relative)
        self.add("truncate", relative)
        self.add("write", relative, content=(self.root / relative).read_bytes())
        self.add("fsync", relative)


def count_of(log: Path) -> Path:
    return log.with_suffix(".count")


def read_log(root: Path, log: Path) -> Disk:
    """The disk that a process recorded; an event that it was about to write when it ended did not happen."""
    disk = Disk(root)
    disk.events.extend(_events(log))
    return disk


def _events(log: Path) -> Iterator[Event]:
    with log.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                return


def on_disk(root: Path) -> Remains:
    """What lies there now, but for what is not recorded."""
    paths = sorted(root.rglob("*"))
    folders = tuple(str(path.relative_to(root)) for path in paths if path.is_dir())
    found = [path for path in paths if path.is_file() and not path.name.endswith(UNRECORDED)]
    return Remains(folders, tuple((str(path.relative_to(root)), path.read_bytes()) for path in found))


def record(disk: LoggedDisk, forgotten: str) -> None:
    """Have every part of this process that changes the disk recorded."""
    sites = [*files.Site, *files.ObjectSite]
    recorded = RecordedFiles(disk, next((site for site in sites if site.name == forgotten), None))
    for module in ("store.store", "store.backends.local"):
        __import__(module)
        sys.modules[module].Files = lambda: recorded  # type: ignore[attr-defined]
    disk.vfs = RecordedVFS(disk, is_default=True)  # type: ignore[attr-defined] # it lives as long as the disk does
    assert apsw.vfs_names()[0] == disk.vfs.vfs_name  # type: ignore[attr-defined]
    _record_others(disk)


def _record_others(disk: LoggedDisk) -> None:
    """Python's own calls, where they are not the file layer's."""
    fsync = os.fsync

    def noting_fsync(fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        relative = disk.relative(path)
        if relative is None:
            fsync(fd)
            return
        with disk.lock:
            if os.path.isdir(path):
                disk.add("fsync folder", relative)
            else:
                disk.note_whole(relative)

    def noting(act: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*paths: Any, **more: Any) -> Any:
            if disk.lock._is_owned():  # type: ignore[attr-defined] # the file layer's, which notes it by itself
                return call(*paths, **more)
            with disk.lock:
                done = call(*paths, **more)
                names = [disk.relative(os.fspath(path)) for path in paths if isinstance(path, str | os.PathLike)]
                if names and None not in names and not more.get("dir_fd"):
                    if act == "rename" and names[0] not in disk.inodes:
                        disk.add("create", str(names[0]))  # never fsynced: a name without bytes
                    disk.add(act, *map(str, names))
                return done

        return noted

    os.fsync = noting_fsync
    for act, names in (
        ("rename", ("rename", "replace")),
        ("unlink", ("unlink", "remove")),
        ("mkdir", ("mkdir",)),
        ("rmdir", ("rmdir",)),
    ):
        for name in names:
            setattr(os, name, noting(act, getattr(os, name)))


def main() -> None:
    root, log, forgotten, *words = sys.argv[1:]
    disk = LoggedDisk(Path(root), Path(log))
    disk.take_stock()
    record(disk, forgotten)
    from node.cli import main as pinakothek

    sys.argv[1:] = words
    pinakothek()


if __name__ == "__main__":
    main()
