"""The kinds of store that images can lie in besides the embedded one, behind one contract: see `contract`."""

from store.backends.contract import UPLOADS, Backend, Entry, Health, PresignedPut, Range
from store.backends.local import local_backend
from store.backends.memory import MemoryBackend

__all__ = ["UPLOADS", "Backend", "Entry", "Health", "MemoryBackend", "PresignedPut", "Range", "local_backend"]
