"""Small files beside the catalogue, written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from node.keys import sync_folder


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` in the file's place, durably. Raises: OSError; the file is then as it was, or the new one whose name may not be durable."""
    new = path.with_suffix(".new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
