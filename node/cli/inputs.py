"""What `add` was given, one input after another: files as they are, directories only when asked.

Inside a directory, entries come in the order of their names; hidden and ignored ones are skipped, and links to
directories are not followed, so that a walk cannot loop.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from node.cli.ignoring import Ignoring
from node.errors import FAILED, NotFound

STDIN = "-"
URLS = ("http://", "https://")


class Problem(NamedTuple):
    """Why something cannot be read, and the exit code of that."""

    reason: str
    exit_code: int = FAILED

    @classmethod
    def of(cls, error: OSError) -> "Problem":
        """What the system says; what is not there is not found."""
        code = NotFound.exit_code if isinstance(error, FileNotFoundError) else FAILED
        return cls((error.strerror or "unreadable").lower(), code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One file to add.

    Attributes:
        path: as given or found, with odd bytes as `os.fsdecode` has them.
        name: what its pin is called: the file's name, below a directory the path from that directory on.
        problem: why it cannot be added; None where it may.
    """

    path: str
    name: str
    problem: Problem | None = None

    @property
    def is_url(self) -> bool:
        """Whether it is to be fetched from elsewhere."""
        return self.path.lower().startswith(URLS)


def inputs(paths: Sequence[str], *, recursive: bool, ignoring: Ignoring | None = None) -> Iterator[Input]:
    """The files that `paths` stand for; never raises for a single one. What is named itself is not ignored.

    Raises:
        Usage: a file of patterns cannot be read.
    """
    for path in paths:
        if path == STDIN:
            yield Input(path=path, name="stdin")
        elif path.lower().startswith(URLS):
            yield Input(path=path, name=path)
        elif os.path.isdir(path):
            if recursive:
                yield from _below(path, os.path.basename(os.path.abspath(path)), "", ignoring or Ignoring())
            else:
                yield Input(path=path, name=path, problem=Problem("is a directory; use --recursive"))
        else:
            yield Input(path=path, name=os.path.basename(path))


def _below(path: str, name: str, inside: str, ignoring: Ignoring) -> Iterator[Input]:
    """What is in a directory; `inside`: its path from the one that was given."""
    try:
        with os.scandir(path) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        yield Input(path=path, name=name, problem=Problem.of(error))
        return
    ignoring = ignoring.below(path, inside)
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        at = f"{inside}/{entry.name}" if inside else entry.name
        if entry.name.startswith(".") or ignoring.ignores(at, is_folder=is_folder):
            continue
        if is_folder:
            yield from _below(entry.path, f"{name}/{entry.name}", at, ignoring)
        elif not (entry.is_symlink() and os.path.isdir(entry.path)):
            yield Input(path=entry.path, name=f"{name}/{entry.name}")


def unreadable(path: str) -> Problem | None:
    """Why `path` cannot be read as a file; None where it can.

    Found out here because it is the caller's own rights that matter, and before the daemon is bothered. A named pipe
    is refused unopened: opening it would wait for a writer.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return Problem("not a regular file")
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return Problem.of(error)
    except ValueError as error:
        return Problem(str(error))
    return None
