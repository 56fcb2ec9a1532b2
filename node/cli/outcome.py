"""What became of one input of `add`."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input: a row to print, and an exit code."""

    row: dict[str, Any]
    exit_code: int
    complaint: str | None = None
    hint: str | None = None


def failed(path: str, exit_code: int, reason: str, hint: str | None = None) -> Outcome:
    """The outcome of an input that was not added."""
    row = {"path": path, "root": None, "original": None, "new": False, "size_bytes": 0, "copies": 0, "error": reason}
    row |= {"stripped": False}
    return Outcome(row, exit_code, f"{path}: {reason}", hint)
