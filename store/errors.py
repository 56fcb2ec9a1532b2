"""Everything the store can refuse or fail at. Each message is one line that a person may be shown as it is."""

from typing import ClassVar

from store.cid_text import cid_text


class StoreError(Exception):
    """Base class. A bug is never a `StoreError`: it propagates and stops the daemon."""

    retryable: ClassVar[bool] = False


class BadCid(StoreError):
    """The text or bytes are no CID, or one whose hash function we cannot check."""

    def __init__(self, given: str | bytes, why: str) -> None:
        shown = given if isinstance(given, str) else given.hex()
        super().__init__(f"not a usable CID: {_shortened(shown)!r}: {why}")
        self.given = given
        self.why = why


class BlockNotFound(StoreError):
    """No block of this CID is here. Another peer may have it."""

    def __init__(self, cid: bytes) -> None:
        super().__init__(f"block {cid_text(cid)} is not here")
        self.cid = cid


class BlockCorrupt(StoreError):
    """The bytes do not hash to their CID. Never served, never retried.

    Attributes:
        cid: the block that was asked for.
        found: the CID that the bytes would have, in the same codec and hash function.
    """

    def __init__(self, cid: bytes, found: bytes) -> None:
        super().__init__(f"block {cid_text(cid)}: bytes hash to {cid_text(found)}")
        self.cid = cid
        self.found = found


class DagMalformed(StoreError):
    """The bytes hash to their CID, and yet are not what its codec or UnixFS prescribes."""

    def __init__(self, why: str, cid: bytes | None = None) -> None:
        super().__init__(why if cid is None else f"block {cid_text(cid)}: {why}")
        self.cid = cid
        self.why = why


class DagUnsupported(StoreError):
    """A codec or kind of node that we do not read, or not in this place; the message names it."""

    def __init__(self, what: str, cid: bytes | None = None) -> None:
        super().__init__(what if cid is None else f"block {cid_text(cid)}: {what}")
        self.cid = cid
        self.what = what


class DagTooLarge(StoreError):
    """A DAG or block exceeds a bound on depth, link count, blocks or bytes. Never retried."""

    def __init__(self, what: str, found: int, limit: int, cid: bytes | None = None) -> None:
        prefix = "" if cid is None else f"block {cid_text(cid)}: "
        super().__init__(f"{prefix}{what}: {found} is above the limit of {limit}")
        self.cid = cid
        self.what = what
        self.found = found
        self.limit = limit


class PathNotFound(StoreError):
    """The DAG is here, and has nothing at this path."""

    def __init__(self, root: bytes, path: str, why: str) -> None:
        super().__init__(f"{cid_text(root)}/{_shortened(path)}: {why}")
        self.root = root
        self.path = path


class StoreFull(StoreError):
    """The disk or the configured limit has no room. Nothing was written; trying later may work.

    `needed_bytes` is 0 where nobody knows: the catalogue wanted to grow.
    """

    retryable: ClassVar[bool] = True

    def __init__(self, needed_bytes: int, free_bytes: int) -> None:
        needed = f": {needed_bytes} bytes needed, {free_bytes} free" if needed_bytes else ""
        super().__init__(f"the store is full{needed}")
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class BackendFull(StoreFull):
    """A backend beside the embedded store has no room; the disk of this peer may have."""

    def __init__(self, place: str) -> None:
        StoreError.__init__(self, f"{place}: no room left")
        self.needed_bytes = self.free_bytes = 0


class DiskFailed(StoreError):
    """The disk refused, and not for want of room. What was asked for was not done; trying later may work.

    Attributes:
        path: what was being read or written.
        hint: what a person may do about it.
    """

    retryable: ClassVar[bool] = True

    def __init__(
        self, path: str, why: str, hint: str = "see whether the disk is mounted, writable and healthy"
    ) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why
        self.hint = hint


class StoreDamaged(StoreError):
    """What the store wrote is not what it reads: the catalogue, a segment or a pack needs recovery."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the store is damaged: {what}")
        self.what = what


class StoreInUse(StoreError):
    """Another daemon holds the lock file of this store."""

    retryable: ClassVar[bool] = True

    def __init__(self, path: str, pid: int | None) -> None:
        by = "another daemon" if pid is None else f"pid {pid}"
        super().__init__(f"the store at {path} is in use by {by}")
        self.path = path
        self.pid = pid


class NotInBackend(StoreError):
    """A backend that answers has nothing of that name."""

    def __init__(self, place: str, name: str) -> None:
        super().__init__(f"{place}: {_shortened(name)} is not there")
        self.place = place
        self.name = name


class BackendFailed(DiskFailed):
    """A backend did not do what was asked of it: for whoever reads blocks the same as a disk that failed."""

    retryable: ClassVar[bool] = False

    def __init__(self, place: str, why: str, hint: str = "") -> None:
        super().__init__(place, why, hint)
        self.place = place


class BackendRefused(BackendFailed):
    """It understood and will not: credentials, permissions, a name it cannot have. Trying again does not help."""

    def __init__(
        self, place: str, why: str, hint: str = "see whether its credentials may read and write there"
    ) -> None:
        super().__init__(place, why, hint)


class BackendUnavailable(BackendFailed):
    """It could not be asked, failed, or took too long; or it is not the store it was. Trying later may work."""

    retryable: ClassVar[bool] = True

    def __init__(self, place: str, why: str, hint: str = "see whether it runs and can be reached from here") -> None:
        super().__init__(place, why, hint)


class ImageRejected(StoreError):
    """The bytes are not an image that we accept; `reason` says why, for the person who sent them."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"image rejected: {reason}")
        self.reason = reason


def _shortened(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
