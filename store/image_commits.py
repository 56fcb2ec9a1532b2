"""Hold a root on any kind: what it is made of comes from wherever it lies, and one commit says that it is held."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from store import holdings, ownership
from store.blocks import key_of
from store.cid import inline_block
from store.commits import Batch, Writer
from store.errors import BlockNotFound
from store.holdings import EMBEDDED, Holding
from store.kinds import Kinds
from store.ownership import Owner
from store.record_lines import RecordEntry
from store.records import put as put_records

GATHER_BYTES = 8 << 20
"""Of blocks on other backends that come to the embedded store in one go."""


class Blocks(Protocol):
    """What is asked of `Store`."""

    def get(self, cid: bytes) -> bytes: ...

    def size(self, cid: bytes) -> int | None: ...

    def is_here(self, key: bytes) -> bool: ...

    def put(self, blocks: Iterable[tuple[bytes, bytes]], *, owner: Owner, verified: bool = False) -> int: ...


class ImageCommits:
    """Of one store."""

    def __init__(self, blocks: Blocks, writer: Writer, kinds: Kinds, clock_ms: Callable[[], int]) -> None:
        self._blocks = blocks
        self._writer = writer
        self._kinds = kinds
        self._clock_ms = clock_ms

    def commit(
        self,
        root: bytes,
        kind: str,
        blocks: Iterable[bytes],
        size_bytes: int,
        frm: Owner | None,
        records: Sequence[RecordEntry],
        patience_s: float | None = None,
    ) -> Holding:
        """See `Store.commit_image`."""

        def add(batch: Batch, count: int, *, frm: Owner | None, unowned_ms: int) -> Holding:
            if frm is not None:
                ownership.drop(batch.db, frm, unowned_ms)
            put_records(batch, records)
            return holdings.add(batch.db, root, kind, size_bytes, count, now_ms)

        now_ms = self._clock_ms()
        if kind != EMBEDDED:
            # What came here on its way has no further use: it may go at once.
            gone_ms = now_ms - ownership.UNOWNED_MS
            return self._kinds.keep(
                root,
                kind,
                self._blocks.get,
                self._size_of,
                lambda batch, count: add(batch, count, frm=frm, unowned_ms=gone_ms),
                patience_s,
            )
        keys = [key_of(cid) for cid in blocks if inline_block(cid) is None]

        def commit(batch: Batch, frm: Owner | None = frm) -> Holding:
            row = ownership.begin(batch.db, Owner("root", root), now_ms)
            return add(batch, ownership.hand_on(batch.db, keys, row, frm), frm=frm, unowned_ms=now_ms)

        try:
            return self._writer.run(commit)
        except BlockNotFound:
            if not self._kinds:
                raise
        brought = frm or Owner("fetch", root)
        self._bring_here(keys, brought)
        return self._writer.run(lambda batch: commit(batch, brought))

    def _size_of(self, cid: bytes, _said: int | None) -> int:
        size_bytes = self._blocks.size(cid)
        if size_bytes is None:
            raise BlockNotFound(cid)
        return size_bytes

    def _bring_here(self, keys: Sequence[bytes], owner: Owner) -> None:
        """Copy blocks that lie on other backends only. Raises: BlockNotFound: one lies nowhere."""
        batch: list[tuple[bytes, bytes]] = []
        batch_bytes = 0
        for key in keys:
            if self._blocks.is_here(key):
                continue
            batch.append((key, self._kinds.get(key)))
            batch_bytes += len(batch[-1][1])
            if batch_bytes >= GATHER_BYTES:
                self._blocks.put(batch, owner=owner, verified=True)
                batch, batch_bytes = [], 0
        if batch:
            self._blocks.put(batch, owner=owner, verified=True)
