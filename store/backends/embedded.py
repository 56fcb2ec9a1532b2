"""The embedded store, `ipfs`, behind the same contract as every other kind.

The daemon itself uses `Store`, which can do more. To put a root here is to hold it, and to delete it to release it: each
is a step of the holdings, which whoever calls has to tell the swarm of.
"""

from collections.abc import Iterator

from store.backends.by_block import ByBlock
from store.backends.contract import Entry, Health, PresignedPut, Range, Stream, part_of, pieces_of
from store.dag import walk
from store.errors import BackendUnavailable, NotInBackend
from store.store import Owner, Store

KIND = "ipfs"
UPLOAD = "upload-"


class EmbeddedBackend(ByBlock):
    """See `contract.Backend` for what each method promises."""

    kind = KIND
    place = "the embedded store"

    def __init__(self, store: Store) -> None:
        self._store = store

    def store_id(self, otherwise: str | None = None) -> str:
        return self._store.store_id

    def roots(self) -> Iterator[bytes]:
        return (held.root for held in self._store.holdings() if held.kind == KIND)

    def presign_put(self, upload_id: str, size_bytes: int, media_type: str) -> PresignedPut | None:
        return None

    def presign_get(self, root: bytes, name: str, expires_s: int) -> str | None:
        return None

    def health(self) -> Health:
        probe = self._store.condition.probe()
        if probe.dead or not probe.present:
            raise BackendUnavailable(self.place, "its blocks cannot be read", "see whether the disk is mounted")
        return Health()

    def _put_block(self, root: bytes, cid: bytes, block: bytes) -> None:
        self._store.put([(cid, block)], owner=Owner("fetch", root), verified=True)

    def _get_block(self, cid: bytes) -> bytes:
        return self._store.get(cid)

    def _keep(self, root: bytes) -> None:
        blocks = list(walk(root, self._store.get))
        size_bytes = sum(block.size_bytes for block in blocks)
        cids = [block.cid for block in blocks]
        self._store.hold(root, kind=KIND, blocks=cids, size_bytes=size_bytes, frm=Owner("fetch", root))

    def _let_go(self, root: bytes) -> None:
        self._store.release(root, KIND)

    def _is_kept(self, root: bytes) -> bool:
        return root in set(self.roots())

    def _put_upload(self, upload_id: str, stream: Stream) -> int:
        path = self._store.workspace / f"{UPLOAD}{upload_id}"
        with path.with_suffix(".part").open("wb") as file:
            size_bytes = sum(file.write(piece) for piece in pieces_of(stream))
        path.with_suffix(".part").rename(path)
        return size_bytes

    def _get_upload(self, upload_id: str, part: Range | None) -> bytes:
        try:
            return part_of((self._store.workspace / f"{UPLOAD}{upload_id}").read_bytes(), part)
        except FileNotFoundError as error:
            raise NotInBackend(self.place, upload_id) from error

    def _upload_bytes(self, upload_id: str) -> int:
        try:
            return (self._store.workspace / f"{UPLOAD}{upload_id}").stat().st_size
        except FileNotFoundError as error:
            raise NotInBackend(self.place, upload_id) from error

    def _delete_upload(self, upload_id: str) -> None:
        (self._store.workspace / f"{UPLOAD}{upload_id}").unlink(missing_ok=True)

    def _uploads(self) -> Iterator[Entry]:
        for path in self._store.workspace.glob(f"{UPLOAD}*"):
            yield Entry(path.name.removeprefix(UPLOAD), path.stat().st_size)
