"""A backend in memory: for tests, and the plainest reading of the contract."""

import threading
from collections.abc import Iterator

from store.backends.contract import (
    UPLOADS,
    Entry,
    Health,
    PresignedPut,
    Range,
    Stream,
    believed,
    checked_name,
    part_of,
    pieces_of,
)
from store.errors import NotInBackend


class MemoryBackend:
    """Lost when the process ends. See `contract.Backend` for what each method promises."""

    kind = "memory"
    place = "memory"
    whole_files = True

    def __init__(self) -> None:
        self._objects: dict[tuple[bytes, str], bytes] = {}
        self._store_id: str | None = None
        self._changing = threading.Lock()

    def store_id(self, otherwise: str | None = None) -> str:
        with self._changing:
            self._store_id = self._store_id or otherwise
        if self._store_id is None:
            raise NotInBackend(self.place, "the store's id")
        return self._store_id

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        content = b"".join(pieces_of(stream))
        self._objects[root, checked_name(self.place, name)] = content
        return len(content)

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        return believed(name, part_of(self._object(root, name), part), part)

    def stat(self, root: bytes, name: str) -> Entry:
        return Entry(name, len(self._object(root, name)))

    def delete(self, root: bytes, name: str) -> None:
        self._objects.pop((root, name), None)

    def copy_from(self, root: bytes, name: str, upload_id: str) -> int:
        return self.put(root, name, [self._object(UPLOADS, upload_id)])

    def list(self, root: bytes) -> Iterator[Entry]:
        objects = list(self._objects.items())
        return (Entry(name, len(content)) for (under, name), content in objects if under == root)

    def roots(self) -> Iterator[bytes]:
        return iter({root for root, _ in list(self._objects) if root != UPLOADS})

    def presign_put(self, upload_id: str, size_bytes: int, media_type: str) -> PresignedPut | None:
        return None

    def presign_get(self, root: bytes, name: str, expires_s: int) -> str | None:
        return None

    def health(self) -> Health:
        return Health()

    def _object(self, root: bytes, name: str) -> bytes:
        try:
            return self._objects[root, name]
        except KeyError:
            raise NotInBackend(self.place, name) from None
