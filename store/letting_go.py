"""Holding roots no longer, each in the caller's transaction: released for good, or retracted until they are whole again."""

from collections.abc import Iterable

from store import holdings, ownership
from store.commits import Batch
from store.holdings import Holding
from store.ownership import Owner


def release(batch: Batch, root: bytes, kind: str, now_ms: int) -> Holding | None:
    """Hold a root no longer; its blocks are unowned from now on. Returns: None if it was not held."""
    removed = holdings.remove(batch.db, root, kind)
    if removed is None:
        return None
    if removed[1]:
        ownership.drop(batch.db, Owner("root", root), now_ms)
    return removed[0]


def retract(batch: Batch, roots: Iterable[bytes], kind: str, now_ms: int) -> list[Holding]:
    """Hold these no longer; what is here of them belongs to the fetches that are to complete them."""
    gone = []
    for root in roots:
        removed = holdings.remove(batch.db, root, kind)
        if removed is not None:
            gone.append(removed[0])
            if removed[1]:
                ownership.become_fetch(batch.db, root, now_ms)
    return gone
