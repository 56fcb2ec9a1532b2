"""The workspace: temporary files of ingest. It is emptied when the store is opened, and nothing in it counts as stored."""

import shutil
from pathlib import Path

from store.errors import DiskFailed
from store.files import FOLDER_MODE

FOLDER = "workspace"


def emptied_workspace(home: Path) -> Path:
    """Return the workspace of a data directory, with nothing in it. Raises: DiskFailed."""
    workspace = home / FOLDER
    try:
        workspace.mkdir(mode=FOLDER_MODE, exist_ok=True)
        for entry in workspace.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    except OSError as error:
        raise DiskFailed(str(workspace), error.strerror or str(error)) from error
    return workspace
