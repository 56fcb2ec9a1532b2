"""A Kubo in memory, as far as blocks and roots go."""

from collections.abc import Iterator

from store.backends import Entry, Range
from store.backends.by_block import ByBlock
from store.cid import cid_text
from store.errors import NotInBackend


class Blocks(ByBlock):
    """In memory, and without uploads."""

    place = "blocks"
    kind = "kubo"

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}
        self.kept: set[bytes] = set()

    def _put_block(self, root: bytes, cid: bytes, block: bytes) -> None:
        self.blocks[cid] = block

    def _get_block(self, cid: bytes) -> bytes:
        if cid not in self.blocks:
            raise NotInBackend(self.place, cid_text(cid))
        return self.blocks[cid]

    def _keep(self, root: bytes) -> None:
        self.kept.add(root)

    def _let_go(self, root: bytes) -> None:
        self.kept.discard(root)

    def _is_kept(self, root: bytes) -> bool:
        return root in self.kept

    def _put_upload(self, upload_id: str, stream: object) -> int:
        raise NotImplementedError

    def _get_upload(self, upload_id: str, part: Range | None) -> bytes:
        raise NotImplementedError

    def _upload_bytes(self, upload_id: str) -> int:
        raise NotImplementedError

    def _delete_upload(self, upload_id: str) -> None:
        raise NotImplementedError

    def _uploads(self) -> Iterator[Entry]:
        raise NotImplementedError
