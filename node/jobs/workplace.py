"""The workspace as jobs and uploads use it: a folder for each, a quota for all, and nothing left of what has ended.

Nothing in it counts as stored. `store.workspace` empties the rest of it at a start, and leaves `jobs/` and `uploads/` to
those who know which of them are still wanted.
"""

import os
import shutil
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from node.jobs.errors import Trouble
from node.quantities import size_text
from store.files import FOLDER_MODE
from store.workspace import JOBS, UPLOADS


class Workplace:
    """The workspace of one daemon. All methods block on the disk.

    Args:
        folder: the workspace.
        quota_bytes: what may lie in it.
    """

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        self.folder = folder
        self.quota_bytes = quota_bytes

    def make_job(self, job_id: int) -> Path:
        """The folder of a job, made if it is not there. Raises: OSError."""
        return _made(self.folder / JOBS / str(job_id))

    def upload(self, name: str) -> Path:
        """Where the bytes of an upload go; the folder is there. Raises: OSError."""
        return _made(self.folder / UPLOADS) / name

    def remove_job(self, job_id: int) -> None:
        """Remove what a job left; what cannot be removed is left to the next start."""
        shutil.rmtree(self.folder / JOBS / str(job_id), ignore_errors=True)

    def scrub_jobs(self, kept: Collection[int]) -> None:
        """Remove the folders of jobs that are none of `kept`; what cannot be removed is left to the next start."""
        names = {str(job_id) for job_id in kept}
        with suppress(OSError):
            for name in os.listdir(self.folder / JOBS):
                if name not in names:
                    _remove(self.folder / JOBS / name)

    def uploads(self) -> list[str]:
        """What lies where uploads go. Raises: OSError."""
        try:
            return os.listdir(self.folder / UPLOADS)
        except FileNotFoundError:
            return []

    def remove_uploads(self, names: Iterable[str]) -> None:
        """Remove these; what cannot be removed is left to the next time."""
        for name in names:
            _remove(self.folder / UPLOADS / name)

    def used_bytes(self) -> int:
        """What lies in the workspace now: it holds what is in hand, so counting it is quick."""
        return _size_bytes(self.folder)

    def room_bytes(self) -> int:
        """What the quota leaves."""
        return max(0, self.quota_bytes - self.used_bytes())

    def check_room(self, size_bytes: int) -> None:
        """Raises: Trouble: the quota does not leave so many bytes now."""
        room_bytes = self.room_bytes()
        if size_bytes > room_bytes:
            raise Trouble(
                f"the workspace has room for {size_text(room_bytes)} of {size_text(self.quota_bytes)},"
                f" and {size_text(size_bytes)} are needed",
                hint="see `pinakothek jobs`, or raise workspace_quota",
            )


def _made(folder: Path) -> Path:
    """The folder, whose name is durable: what is put there and fsynced would else be gone with it."""
    if not folder.is_dir():
        _made(folder.parent)
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        fsync_folder(folder.parent)
    return folder


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _size_bytes(folder: Path) -> int:
    size_bytes = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    size_bytes += _size_bytes(Path(entry.path))
                else:
                    size_bytes += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # removed while it was counted
        pass
    return size_bytes
