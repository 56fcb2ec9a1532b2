"""The workspace: temporary files of ingest. Nothing in it counts as stored.

It is emptied when the store is opened, but for `jobs/` and `uploads/`: which of those are still wanted their owners know,
and remove the rest.
"""

import shutil
from pathlib import Path

from store.errors import DiskFailed
from store.files import FOLDER_MODE

FOLDER = "workspace"
JOBS = "jobs"
UPLOADS = "uploads"


def emptied_workspace(home: Path) -> Path:
    """Return the workspace of a data directory, with nothing in it that has no owner. Raises: DiskFailed."""
    workspace = home / FOLDER
    try:
        workspace.mkdir(mode=FOLDER_MODE, exist_ok=True)
        for entry in workspace.iterdir():
            if not entry.is_dir() or entry.is_symlink():
                entry.unlink()
            elif entry.name not in (JOBS, UPLOADS):
                shutil.rmtree(entry)
    except OSError as error:
        raise DiskFailed(str(workspace), error.strerror or str(error)) from error
    return workspace
