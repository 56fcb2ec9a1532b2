"""A backend that keeps blocks by their CIDs: what it lists of a root that has gone bad, which is to be erased."""

from store.cid import RAW, cid_text, codec_of
from tests.backends.blocks import Blocks
from tests.backends.images import image, put_image


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
