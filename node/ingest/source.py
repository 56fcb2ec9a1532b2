"""Read a file that somebody else may still be writing: the bytes that are stored are the bytes that were checked."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from node.errors import Failed, NotFound
from node.quantities import size_text
from store.images.limits import ImageLimits
from store.unixfs import Block, FileImport, import_file

READ_BYTES = 1 << 20
MAX_FILE_BYTES = ImageLimits().file_bytes
"""What a decoder takes; a larger file need not be read to be refused."""


class SourceFile:
    """An open regular file, read once: `blocks` yields the DAG of its bytes while their BLAKE3 is computed.

    Raises:
        NotFound: there is none of that name.
        Failed: it cannot be read, or is no regular file; the message says why, whoever asked knows which.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hash = blake3()
        self._import: FileImport | None = None
        try:
            self._file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        except FileNotFoundError as error:
            raise NotFound(reason(error)) from error
        except OSError as error:
            raise Failed(reason(error)) from error
        found = os.fstat(self._file.fileno())
        if not stat.S_ISREG(found.st_mode):
            self.close()
            kind = "a directory; add it with --recursive" if stat.S_ISDIR(found.st_mode) else "not a regular file"
            raise Failed(kind)
        if not found.st_size:
            self.close()
            raise Failed("empty, 0 bytes")
        if found.st_size > MAX_FILE_BYTES:
            self.close()
            raise Failed(f"too large: {size_text(found.st_size)}, at most {size_text(MAX_FILE_BYTES)}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def blocks(self) -> Iterator[Block]:
        """The blocks of the file, its root last; `root` and the sizes are known once they are exhausted."""
        self._import = import_file(self._chunks())
        yield from self._import

    def _chunks(self) -> Iterator[bytes]:
        left = MAX_FILE_BYTES
        while chunk := self._file.read(READ_BYTES):
            left -= len(chunk)
            if left < 0:
                raise Failed(f"grew beyond {size_text(MAX_FILE_BYTES)} while it was read")
            self._hash.update(chunk)
            yield chunk

    @property
    def imported(self) -> FileImport:
        """Root and sizes of what `blocks` has yielded."""
        assert self._import is not None
        return self._import

    @property
    def blake3(self) -> str:
        """BLAKE3 of what `blocks` has read, hexadecimal."""
        return self._hash.hexdigest()


def reason(error: OSError) -> str:
    """What the system says, in our words for what people meet most."""
    known = {
        errno.ELOOP: "a loop of symbolic links",
        errno.ENOENT: "no such file",
        errno.EACCES: "permission denied",
        errno.ENXIO: "not a regular file",
    }
    return known.get(error.errno or 0) or (error.strerror or str(error)).lower()
