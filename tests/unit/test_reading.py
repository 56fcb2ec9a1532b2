"""Reading a block that should be here, on a backend that cannot be asked: others have it."""

from collections.abc import Sequence

import pytest

from node.reading import BlockReader
from store.cid import RAW, cid_of
from store.errors import BackendUnavailable

BLOCK = b"a picture"
CID = cid_of(RAW, BLOCK)


class Down:
    """A store whose backend is down."""

    def get(self, cid: bytes) -> bytes:
        raise BackendUnavailable("s3 bucket archive", "nobody listens there")


class Others:
    """A session with peers that have the block."""

    async def want(self, cids: Sequence[bytes]) -> None:
        assert cids == [CID]

    def __aiter__(self) -> "Others":
        return self

    async def __anext__(self) -> tuple[bytes, bytes]:
        return CID, BLOCK


async def test_what_a_backend_cannot_give_others_are_asked_for() -> None:
    assert await BlockReader(Down(), Others()).get(CID) == BLOCK  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailable):
        await BlockReader(Down(), None).get(CID)  # type: ignore[arg-type]
