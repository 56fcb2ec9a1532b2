"""A backend around another: what is done to every call is written once, in `_call` of a subclass."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TypeVar

from store.backends.contract import Backend, Entry, Health, PresignedPut, Range, Stream

T = TypeVar("T")


class Wrapped(ABC):
    """Has the contract of the backend within. Listings are read to their end first."""

    def __init__(self, within: Backend) -> None:
        self.within = within
        self.kind = within.kind
        self.place = within.place
        self.whole_files = within.whole_files

    @abstractmethod
    def _call(self, operation: str, function: Callable[[], T], *, once: bool = False) -> T:
        """Return what `function` returns. `once`: it cannot be called a second time."""

    def store_id(self, otherwise: str | None = None) -> str:
        return self._call("store_id", lambda: self.within.store_id(otherwise))

    def put(self, root: bytes, name: str, stream: Stream) -> int:
        return self._call("put", lambda: self.within.put(root, name, stream), once=iter(stream) is stream)

    def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
        return self._call("get", lambda: self.within.get(root, name, part))

    def stat(self, root: bytes, name: str) -> Entry:
        return self._call("stat", lambda: self.within.stat(root, name))

    def delete(self, root: bytes, name: str) -> None:
        self._call("delete", lambda: self.within.delete(root, name))

    def copy_from(self, root: bytes, name: str, upload_id: str) -> int:
        return self._call("copy_from", lambda: self.within.copy_from(root, name, upload_id))

    def list(self, root: bytes) -> Iterator[Entry]:
        return iter(self._call("list", lambda: tuple(self.within.list(root))))

    def roots(self) -> Iterator[bytes]:
        return iter(self._call("roots", lambda: tuple(self.within.roots())))

    def presign_put(self, upload_id: str, size_bytes: int, media_type: str) -> PresignedPut | None:
        return self.within.presign_put(upload_id, size_bytes, media_type)

    def presign_get(self, root: bytes, name: str, expires_s: int) -> str | None:
        return self.within.presign_get(root, name, expires_s)

    def health(self) -> Health:
        return self._call("health", self.within.health)
