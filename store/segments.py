"""Segments: `records/<number>.jsonl`, to which lines are appended, each fsynced before it is acknowledged.

The lines of a commit are written after it: the catalogue then says where each lies, and opening the store writes again
what a power loss took. So a segment never holds what was not committed, and its tail can always be trusted.
"""

from collections.abc import Iterator
from typing import NamedTuple

from store.files import Files, Site
from store.record_lines import Line, decode_line

FOLDER = "records"
SUFFIX = ".jsonl"
MAX_SEGMENT_BYTES = 64 << 20
"""Where the next segment begins. A guess: a text editor still opens it."""


class PlacedLine(NamedTuple):
    """A line of a segment with its bytes; `line` is None if it is damaged."""

    offset_bytes: int
    raw: bytes
    line: Line | None


class TailDraft:
    """The lines of the commit under way. Only its writer thread touches it."""

    def __init__(self, number: int, end_bytes: int) -> None:
        self.number = number
        self.end_bytes = end_bytes
        self._lines: list[bytes] = []

    def append(self, line: bytes) -> tuple[int, int]:
        """Add a line and return its segment and offset in bytes."""
        offset_bytes = self.end_bytes
        self._lines.append(line)
        self.end_bytes += len(line)
        return self.number, offset_bytes

    def mark(self) -> tuple[int, int]:
        return len(self._lines), self.end_bytes

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget what was added since `mark`."""
        count, self.end_bytes = mark
        del self._lines[count:]

    def content(self) -> bytes:
        return b"".join(self._lines)


class SegmentTail:
    """The segment appended to. Only the writer thread touches it.

    Attributes:
        number: of the segment.
        end_bytes: its length with everything committed.
        synced_bytes: up to where it is on the disk for good.
    """

    def __init__(self, files: Files, home: str, number: int, end_bytes: int) -> None:
        self._files = files
        self._home = home
        self._fd: int | None = None
        self._unwritten = bytearray()
        self.number = number
        self.end_bytes = end_bytes
        self.synced_bytes = end_bytes

    def draft(self) -> TailDraft:
        return TailDraft(self.number, self.end_bytes)

    def append(self, draft: TailDraft) -> None:
        """Write and fsync what was committed, with whatever an earlier failure left unwritten. Raises: OSError."""
        self._unwritten += draft.content()
        self.end_bytes = draft.end_bytes
        if self._unwritten:
            fd = self._opened()
            self._files.write(fd, bytes(self._unwritten), self.synced_bytes)
            self._files.fsync(fd, Site.SEGMENT)
            self.synced_bytes = self.end_bytes
            self._unwritten.clear()

    def next_segment(self, number: int) -> None:
        """Go on in a new segment; everything committed has been written."""
        self.close()
        self.number, self.end_bytes, self.synced_bytes = number, 0, 0

    def close(self) -> None:
        if self._fd is not None:
            self._files.close(self._fd)
            self._fd = None

    def _opened(self) -> int:
        if self._fd is None:
            path = f"{self._home}/{segment_path(self.number)}"
            try:
                self._fd = self._files.open(path)
            except FileNotFoundError:
                self._fd = self._files.create(path)
                self._files.fsync_folder(f"{self._home}/{FOLDER}", Site.SEGMENT_NAME)
        return self._fd


def segment_path(number: int) -> str:
    return f"{FOLDER}/{number:08d}{SUFFIX}"


def segment_number(path: str) -> int | None:
    """The number in a segment's name or path, None for any other name."""
    name = path.rpartition("/")[2]
    digits = name.removesuffix(SUFFIX)
    return int(digits) if name.endswith(SUFFIX) and digits.isdigit() else None


def read_lines(files: Files, home: str, number: int, start_bytes: int = 0) -> Iterator[PlacedLine]:
    """Yield a segment's lines from `start_bytes`; a torn last one is yielded as damaged. Raises: OSError."""
    content = files.read(f"{home}/{segment_path(number)}", start_bytes)
    at = 0
    while at < len(content):
        end = content.find(b"\n", at) + 1 or len(content)
        raw = content[at:end]
        yield PlacedLine(start_bytes + at, raw, decode_line(raw) if raw.endswith(b"\n") else None)
        at = end
