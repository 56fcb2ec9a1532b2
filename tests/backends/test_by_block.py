"""A backend that keeps blocks by their CIDs: what it lists of a root that has gone bad, which is to be erased."""

from collections.abc import Iterator

from store.backends import Entry, Range
from store.backends.by_block import ByBlock
from store.cid import RAW, cid_text, codec_of
from store.errors import NotInBackend
from tests.backends.images import image, put_image


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


def test_a_root_with_a_bad_block_is_listed_and_can_be_let_go() -> None:
    backend, one = Blocks(), image("one")
    put_image(backend, one)  # type: ignore[arg-type]
    whole = {entry.name for entry in backend.list(one.root)}
    assert whole == set(map(cid_text, one.blocks))
    bad = next(cid for cid in one.blocks if codec_of(cid) == RAW)
    backend.blocks[bad] = b"rotten"
    assert {entry.name for entry in backend.list(one.root)} == whole
    backend.blocks[one.root] = b"rotten"
    assert {entry.name for entry in backend.list(one.root)} == {cid_text(one.root)}
    backend.delete(one.root, cid_text(one.root))
    assert not list(backend.list(one.root))
