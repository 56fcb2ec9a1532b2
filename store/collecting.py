"""Let go of blocks that nobody owns any more, a few in each transaction."""

from dataclasses import dataclass

from store import ownership
from store.commits import Writer
from store.compaction import Compactor

UNLIST_AT_ONCE = 500
"""Blocks that one transaction takes, so that adds need not wait long for it. A guess."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect` let go."""

    blocks: int
    size_bytes: int
    packs: int
    segments: bool


def collect(writer: Writer, compactor: Compactor, now_ms: int) -> Collected:
    """See `Store.collect`."""
    blocks = size_bytes = 0
    before_ms = now_ms - ownership.UNOWNED_MS
    count = UNLIST_AT_ONCE
    while count == UNLIST_AT_ONCE:
        count, bytes_now = writer.run(lambda batch: ownership.unlist(batch, before_ms, UNLIST_AT_ONCE))
        blocks, size_bytes = blocks + count, size_bytes + bytes_now
    return Collected(blocks, size_bytes, compactor.packs(), compactor.segments())
