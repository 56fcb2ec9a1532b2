"""Scrub what lies on other backends after the embedded store: one pass, which goes on where the last call ended."""

import time
from collections.abc import Callable

from store import kept
from store.catalogue import Readers
from store.commits import Writer
from store.errors import BackendFailed
from store.kinds import Kinds
from store.scrub import PAGE_ROWS, ScrubResult

STATE = "scrubbed_kept"
"""0 while the embedded store is scrubbed, else one more than the last row looked at."""
NOTHING = ScrubResult(0, 0, (), (), 0.0, finished=True)


def scrub_both(
    embedded: Callable[[], ScrubResult],
    kinds: Kinds,
    readers: Readers,
    writer: Writer,
    max_bytes: int | None,
    anew: bool,
) -> ScrubResult:
    """See `Store.scrub`. `embedded` scrubs the embedded store with the same arguments."""
    reached = 0
    if kinds and max_bytes is not None and not anew:
        reached = int(readers.row("SELECT value FROM state WHERE name = ?", (STATE,))[0])
    first = NOTHING if reached else embedded()
    if not kinds or not first.finished:
        return first
    left_bytes = None if max_bytes is None else max_bytes - first.bytes_checked
    rest, reached = _scrub(kinds, readers, max(0, reached - 1), left_bytes)
    writer.run(lambda batch: batch.db.execute("UPDATE state SET value = ? WHERE name = ?", (reached, STATE)).fetchall())
    return ScrubResult(
        first.blocks_checked + rest.blocks_checked,
        first.bytes_checked + rest.bytes_checked,
        first.bad + rest.bad,
        first.unreadable,
        first.seconds + rest.seconds,
        rest.finished,
    )


def _scrub(kinds: Kinds, readers: Readers, last: int, left_bytes: int | None) -> tuple[ScrubResult, int]:
    """Hash blocks anew from the row after `last`. A backend that cannot be asked is passed over until the next pass."""
    began_s = time.monotonic()
    count = size_bytes = 0
    bad: list[bytes] = []
    failed: set[str] = set()
    while True:
        page = kept.after(readers, last, PAGE_ROWS)
        for key, block in page:
            if left_bytes is not None and size_bytes >= left_bytes:
                return _result(count, size_bytes, bad, began_s, finished=False), last + 1
            last = block.row
            if block.kind in failed:
                continue
            try:
                whole = kinds.check(block, key)
            except BackendFailed:
                failed.add(block.kind)
                continue
            bad += [] if whole else [key]
            count, size_bytes = count + 1, size_bytes + block.length_bytes
        if len(page) < PAGE_ROWS:
            return _result(count, size_bytes, bad, began_s, finished=True), 0


def _result(count: int, size_bytes: int, bad: list[bytes], began_s: float, *, finished: bool) -> ScrubResult:
    return ScrubResult(count, size_bytes, tuple(bad), (), time.monotonic() - began_s, finished)
