"""Holding roots no longer, each in the caller's transaction: released for good, or retracted until they are whole again."""

from collections.abc import Iterable

from store import holdings, kept, ownership
from store.commits import Batch
from store.holdings import EMBEDDED, Holding
from store.ownership import Owner


def release(batch: Batch, root: bytes, kind: str, now_ms: int) -> Holding | None:
    """Hold a root no longer; its blocks are unowned from now on. Returns: None if it was not held."""
    removed = holdings.remove(batch.db, root, kind)
    if removed is None:
        return None
    if kind == EMBEDDED:
        ownership.drop(batch.db, Owner("root", root), now_ms)
    else:
        kept.change(batch.db, root, kind, kept.GOING, now_ms)
    return removed


def retract(batch: Batch, roots: Iterable[bytes], kind: str, now_ms: int) -> list[Holding]:
    """Hold these no longer; what is here of them belongs to the fetches that are to complete them."""
    gone = []
    for root in roots:
        removed = holdings.remove(batch.db, root, kind)
        if removed is not None:
            gone.append(removed)
            if kind == EMBEDDED:
                ownership.become_fetch(batch.db, root, now_ms)
            else:
                kept.change(batch.db, root, kind, kept.RETRACTED, now_ms)
    return gone


def end_recovery(batch: Batch, now_ms: int) -> None:
    """The roots wanted are held again: what nobody came to want may go from an hour from now."""
    ownership.end_recovery(batch.db, now_ms)
    kept.wait_again(batch.db, now_ms)
