"""What `add` was given, one input after another: files as they are, directories only when asked.

Inside a directory, entries come in the order of their names; hidden ones are skipped, and links to directories are not
followed, so that a walk cannot loop.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STDIN = "-"
URLS = ("http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One file to add.

    Attributes:
        path: as given or found, with odd bytes as `os.fsdecode` has them.
        name: what its pin is called: the file's name, below a directory the path from that directory on.
        error: why it cannot be added; None where it may.
    """

    path: str
    name: str
    error: str | None = None

    @property
    def is_url(self) -> bool:
        """Whether it is to be fetched from elsewhere."""
        return self.path.lower().startswith(URLS)


def inputs(paths: Sequence[str], *, recursive: bool) -> Iterator[Input]:
    """The files that `paths` stand for; never raises for a single one."""
    for path in paths:
        if path == STDIN:
            yield Input(path=path, name="stdin")
        elif path.lower().startswith(URLS):
            yield Input(path=path, name=path)
        elif os.path.isdir(path):
            if recursive:
                yield from _below(path, os.path.basename(os.path.abspath(path)))
            else:
                yield Input(path=path, name=path, error="is a directory; use --recursive")
        else:
            yield Input(path=path, name=os.path.basename(path))


def _below(path: str, name: str) -> Iterator[Input]:
    try:
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield Input(path=path, name=name, error=(error.strerror or "unreadable").lower())
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, f"{name}/{entry.name}")
        elif not (entry.is_symlink() and os.path.isdir(entry.path)):
            yield Input(path=entry.path, name=f"{name}/{entry.name}")


def unreadable(path: str) -> str | None:
    """Why `path` cannot be read as a file; None where it can.

    Found out here because it is the caller's own rights that matter, and before the daemon is bothered. A named pipe
    is refused unopened: opening it would wait for a writer.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return "not a regular file"
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return (error.strerror or "unreadable").lower()
    except ValueError as error:
        return str(error)
    return None
