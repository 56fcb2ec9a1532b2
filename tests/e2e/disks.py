"""Disks of their own for real daemons: small, full, or refusing. Where mounting is not permitted the test is skipped, or
fails where everything is required.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.demo.peers import wait_until

FILLER_BYTES = 64 * 1024


def mounted(*words: str) -> None:
    """`mount` with these words."""
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode:
        reason = f"mounting a file system is not permitted here: {done.stderr.strip()}"
        if os.environ.get("PINAKOTHEK_REQUIRE_ALL") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@contextmanager
def small_disk(folder: Path, size: str = "24m") -> Iterator[Path]:
    """A file system in memory, of 24 MiB."""
    folder.mkdir()
    mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No room at all for a while."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        free = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - 2 * FILLER_BYTES))
        file.seek(0, os.SEEK_END)
        for piece_bytes in (FILLER_BYTES, 4096):
            try:
                while file.write(bytes(piece_bytes)) == piece_bytes:
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        filler.unlink()


class FailingDisk:
    """An ext4 on a loop device, mounted with `errors=remount-ro` as servers do."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.folder = folder
        self._image = folder.with_suffix(".img")
        with self._image.open("wb") as file:
            file.truncate(size_bytes)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-e", "remount-ro", str(self._image)], check=True)
        folder.mkdir()
        self._mount()

    def _mount(self) -> None:
        mounted("-o", "loop", str(self._image), str(self.folder))

    def fail(self) -> None:
        """An error of the file system: from now on it can only be read, whoever has files open for writing."""
        words = ["findmnt", "-n", "-o", "SOURCE", str(self.folder)]
        device = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("tests of the failure table")

    def mend(self) -> None:
        """What an operator does: unmount once nobody has a file open on it, check, mount."""
        unmount = ["umount", str(self.folder)]
        wait_until(lambda: subprocess.run(unmount).returncode == 0, timeout_s=30, what="nobody uses the disk any more")
        done = subprocess.run(["fsck.ext4", "-f", "-y", str(self._image)], capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stdout
        self._mount()

    def remove(self) -> None:
        """Unmount, at once or when the last file on it is closed."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@contextmanager
def failing_disk(size_bytes: int) -> Iterator[FailingDisk]:
    """Such a disk, away from pytest's folders: pytest could not remove one that a killed run leaves mounted."""
    home = Path(tempfile.mkdtemp(prefix="pinakothek-disk-"))
    disk = FailingDisk(home / "disk", size_bytes)
    try:
        yield disk
    finally:
        disk.remove()
        shutil.rmtree(home)
