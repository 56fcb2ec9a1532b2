"""Blocks, clocks and disks for the tests of the store."""

import errno
import os
import random

from store.cid import RAW, cid_of
from store.files import Files, ObjectSite, Site

HOUR_MS = 3600 * 1000
Block = tuple[bytes, bytes]


def block(name: str, size_bytes: int = 100) -> Block:
    """A made-up block, the same for the same name and size."""
    content = random.Random(name).randbytes(size_bytes)
    return cid_of(RAW, content), content


def large(name: str) -> Block:
    """One that gets a file of its own."""
    return block(name, 70_000)


class Clock:
    """A wall clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


class FailingDisk(Files):
    """The real disk, until `fails_with` is set: then every change is refused, or those that `only` names.

    Attributes:
        left: how many more changes succeed before that.
    """

    def __init__(self) -> None:
        self.fails_with: int | None = None
        self.left = 0
        self.only = ("create", "write", "fsync", "fsync_folder", "rename", "unlink", "make_folder", "read")

    def _may_fail(self, act: str, path: str = "") -> None:
        if self.fails_with is not None and act in self.only:
            if self.left == 0:
                raise OSError(self.fails_with, os.strerror(self.fails_with), path)
            self.left -= 1

    def make_folder(self, path: str) -> bool:
        self._may_fail("make_folder", path)
        return super().make_folder(path)

    def create(self, path: str) -> int:
        self._may_fail("create", path)
        return super().create(path)

    def write(self, fd: int, content: bytes, offset_bytes: int) -> None:
        self._may_fail("write")
        super().write(fd, content, offset_bytes)

    def fsync(self, fd: int, site: Site | ObjectSite) -> None:
        self._may_fail("fsync")
        super().fsync(fd, site)

    def fsync_folder(self, path: str, site: Site | ObjectSite) -> None:
        self._may_fail("fsync_folder", path)
        super().fsync_folder(path, site)

    def rename(self, source: str, target: str) -> None:
        self._may_fail("rename", source)
        super().rename(source, target)

    def unlink(self, path: str) -> None:
        if self.fails_with != errno.ENOSPC:  # a full disk still lets things go
            self._may_fail("unlink", path)
        super().unlink(path)

    def read(self, path: str, offset_bytes: int = 0, length_bytes: int = -1) -> bytes:
        if self.fails_with == errno.EIO:
            self._may_fail("read", path)
        return super().read(path, offset_bytes, length_bytes)
