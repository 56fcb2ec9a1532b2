"""What `add --recursive` leaves out: patterns as `.gitignore` has them, from the command line and from files.

A `.pinakothekignore` speaks of what is below its directory. Of several that speak of a path the deepest decides, and
within one the last line that fits; `!` takes back. The command line's patterns decide before any file's.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from node.errors import Usage

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

FILE_NAME = ".pinakothekignore"
MAX_FILE_BYTES = 1 << 20
"""Somebody's picture under that name is not read as patterns. Guess."""


class _Layer(NamedTuple):
    """Patterns, and the path below which they speak; empty: of everything."""

    base: str
    spec: "GitIgnoreSpec"


class Ignoring:
    """The patterns that hold in a directory."""

    def __init__(self, layers: tuple[_Layer, ...] = (), given: "GitIgnoreSpec | None" = None) -> None:
        self._layers = layers
        self._given = given

    @classmethod
    def of(cls, patterns: Sequence[str]) -> "Ignoring":
        """With the command line's patterns. Raises: Usage: one that means nothing."""
        return cls((), _spec(patterns, "--ignore") if patterns else None)

    def below(self, folder: str, inside: str) -> "Ignoring":
        """What holds in a directory: what held, and its own file.

        Args:
            folder: where it is.
            inside: its path from the directory that was given, empty for that one.

        Raises:
            Usage: its file cannot be read, or has a line that means nothing.
        """
        path = os.path.join(folder, FILE_NAME)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return self
        except OSError as error:
            raise Usage(f"{path}: {(error.strerror or 'unreadable').lower()}") from error
        if len(lines) > MAX_FILE_BYTES:
            raise Usage(f"{path}: more than {MAX_FILE_BYTES} bytes")
        return Ignoring((*self._layers, _Layer(inside, _spec(lines.splitlines(), path))), self._given)

    def ignores(self, inside: str, *, is_folder: bool) -> bool:
        """Whether to leave out what is at this path from the directory that was given."""
        if self._given is not None:
            verdict = _verdict(self._given, inside, is_folder=is_folder)
            if verdict is not None:
                return verdict
        for layer in reversed(self._layers):
            verdict = _verdict(layer.spec, inside[len(layer.base) :].lstrip("/"), is_folder=is_folder)
            if verdict is not None:
                return verdict
        return False


def _verdict(spec: "GitIgnoreSpec", path: str, *, is_folder: bool) -> bool | None:
    """What the last line that fits says; None where none does. A folder fits by its name and as a folder."""
    asked = [path, path + "/"] if is_folder else [path]
    fits = [found for found in map(spec.check_file, asked) if found.index is not None]
    return max(fits, key=lambda found: found.index or 0).include if fits else None


def _spec(lines: Sequence[str], source: str) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise Usage(f"{source}: {' '.join(str(error).split()).lower()}") from error
