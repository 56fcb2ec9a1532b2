"""The store's two ways to the disk, its file layer and SQLite's VFS, noting on a `Disk` all that they do."""

import errno
import itertools
import os

import apsw

from store.files import Files, ObjectSite, Site
from tests.crash.disk import Disk

_NUMBERS = itertools.count()
_SQLITES_OWN = apsw.vfs_names()[0]
"""The default VFS, while nobody has made another one that."""


class RecordedFiles(Files):
    """The real file layer, recorded.

    Args:
        forgotten: the fsync to leave out, as if its line were deleted.
    """

    def __init__(self, disk: Disk, forgotten: Site | ObjectSite | None = None) -> None:
        self._disk = disk
        self._forgotten = forgotten
        self._open: dict[int, str] = {}
        self.refuses_moves = False
        self._vfs = RecordedVFS(disk)
        self.vfs = self._vfs.vfs_name

    def _note(self, act: str, path: str, target: str = "", **more: object) -> None:
        relative = self._disk.relative(path)
        if relative is not None:
            self._disk.add(act, relative, self._disk.relative(target) or "" if target else "", **more)

    def make_folder(self, path: str) -> bool:
        if self.refuses_moves:
            raise OSError(errno.EIO, "refused", path)
        with self._disk.lock:
            made = super().make_folder(path)
            if made:
                self._note("mkdir", path)
            return made

    def create(self, path: str) -> int:
        with self._disk.lock:
            fd = super().create(path)
            self._open[fd] = path
            self._note("create", path)
            return fd

    def open(self, path: str) -> int:
        with self._disk.lock:
            fd = super().open(path)
            self._open[fd] = path
            return fd

    def write(self, fd: int, content: bytes, offset_bytes: int) -> None:
        with self._disk.lock:
            super().write(fd, content, offset_bytes)
            self._note("write", self._open[fd], offset_bytes=offset_bytes, content=bytes(content))

    def truncate(self, fd: int, size_bytes: int) -> None:
        with self._disk.lock:
            super().truncate(fd, size_bytes)
            self._note("truncate", self._open[fd], offset_bytes=size_bytes)

    def fsync(self, fd: int, site: Site | ObjectSite) -> None:
        if site != self._forgotten:
            with self._disk.lock:
                self._note("fsync", self._open[fd])

    def close(self, fd: int) -> None:
        with self._disk.lock:
            super().close(fd)
            del self._open[fd]

    def fsync_folder(self, path: str, site: Site | ObjectSite) -> None:
        if site != self._forgotten:
            with self._disk.lock:
                os.stat(path)
                self._note("fsync folder", path)

    def rename(self, source: str, target: str) -> None:
        if self.refuses_moves:
            raise OSError(errno.EIO, "refused", source)
        with self._disk.lock:
            super().rename(source, target)
            self._note("rename", source, target)

    def rename_new(self, source: str, target: str) -> None:
        with self._disk.lock:
            super().rename_new(source, target)
            self._note("rename", source, target)

    def unlink(self, path: str) -> None:
        with self._disk.lock:
            super().unlink(path)
            self._note("unlink", path)

    def remove_folder(self, path: str) -> None:
        with self._disk.lock:
            super().remove_folder(path)
            self._note("rmdir", path)

    def put_back(self, path: str, content: bytes) -> None:
        """Replace a catalogue by a copy from before, as an operator with a backup does."""
        self.refuses_moves = False
        with self._disk.lock:
            if os.path.exists(path + "-wal"):
                self.unlink(path + "-wal")
            fd = self.create(path + ".before")
            self.write(fd, content, 0)
            self._note("fsync", path + ".before")
            self.close(fd)
            self.rename(path + ".before", path)
            self._note("fsync folder", os.path.dirname(path))


class RecordedVFS(apsw.VFS):
    """SQLite's own VFS, recorded. Shared memory is not: SQLite makes it anew after a power loss."""

    def __init__(self, disk: Disk, *, is_default: bool = False) -> None:
        self.disk = disk
        self.vfs_name = f"recorded-{next(_NUMBERS)}"
        super().__init__(self.vfs_name, _SQLITES_OWN, makedefault=is_default)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        with self.disk.lock:
            relative = self.disk.relative(path) if path else None
            is_new = relative is not None and not os.path.exists(path or "")
            file = _RecordedVFSFile(self.disk, name, flags, relative)
            if is_new:
                self.disk.add("create", relative or "")
            return file

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with self.disk.lock:
            super().xDelete(filename, syncdir)
            relative = self.disk.relative(filename)
            if relative is not None:
                self.disk.add("unlink", relative)
                if syncdir:
                    self.disk.add("fsync folder", os.path.dirname(relative))


class _RecordedVFSFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: apsw.URIFilename | str | None, flags: list[int], relative: str | None) -> None:
        super().__init__(_SQLITES_OWN, name, flags)
        self._disk = disk
        self._root = disk.root
        self._relative = relative
        # SQLite fsyncs the folder at the first sync of a journal or log that it has made (os_unix.c: DIRSYNC).
        self._folder_too = bool(relative) and not str(relative).endswith(".db")

    def _note(self, act: str, **more: object) -> None:
        if self._relative is not None and self._disk.root == self._root:
            self._disk.add(act, self._relative, **more)

    def xWrite(self, data: bytes, offset: int) -> None:
        with self._disk.lock:
            super().xWrite(data, offset)
            self._note("write", offset_bytes=offset, content=bytes(data))

    def xTruncate(self, newsize: int) -> None:
        with self._disk.lock:
            super().xTruncate(newsize)
            self._note("truncate", offset_bytes=newsize)

    def xSync(self, flags: int) -> None:
        with self._disk.lock:
            self._note("fsync")
            if self._folder_too and self._relative is not None and self._disk.root == self._root:
                self._disk.add("fsync folder", os.path.dirname(self._relative))
                self._folder_too = False
