"""Objects of a backend as the blocks they are made of: sent as a stream, read by block, and read back whole."""

from collections.abc import Iterator

from store.backends.contract import Backend, Range
from store.cid import verify_block
from store.kept import Kept
from store.layout import Object, Part
from store.traversal import GetBlock

WINDOW_BYTES = 8 << 20
"""Read back in one go."""


class Stream:
    """The bytes of an object, block by block; each time it is iterated they are read anew."""

    def __init__(self, each: Object, get_block: GetBlock) -> None:
        self._object = each
        self._get_block = get_block

    def __iter__(self) -> Iterator[bytes]:
        return (self._get_block(part.cid) for part in self._object.parts)


def read_part(backend: Backend, block: Kept, key: bytes) -> bytes:
    """Return a block, hashed. Raises: BlockCorrupt, NotInBackend, BackendFailed."""
    content = backend.get(block.root, block.name, Range(block.offset_bytes, block.length_bytes))
    verify_block(key, content)
    return content


def read_back(backend: Backend, root: bytes, each: Object) -> None:
    """Read all of an object and hash every block of it. Raises: BlockCorrupt, NotInBackend, BackendFailed."""
    for window in _windows(each):
        begin_bytes = window[0].offset_bytes
        end_bytes = window[-1].offset_bytes + window[-1].length_bytes
        longer = window[-1] is each.parts[-1]  # asks for one byte more: the file may not go on
        content = memoryview(backend.get(root, each.name, Range(begin_bytes, end_bytes - begin_bytes + longer)))
        for part in window:
            at = part.offset_bytes - begin_bytes
            end = None if longer and part is window[-1] else at + part.length_bytes
            verify_block(part.cid, bytes(content[at:end]))


def _windows(each: Object) -> Iterator[list[Part]]:
    window: list[Part] = []
    for part in each.parts:
        if window and part.offset_bytes + part.length_bytes - window[0].offset_bytes > WINDOW_BYTES:
            yield window
            window = []
        window.append(part)
    if window:
        yield window
