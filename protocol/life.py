"""How long a pin lives and its tombstone stays: computed from the record and the charter, never written.

A pin is live until it is deleted or past `expires_ms` or past `trashed_ms` and the charter's `trash_days`. From then on
it is a tombstone of that instant, and leaves every peer at 00:00 UTC of the day on which the instant turns 30 days old,
so that peers that know the same records have the same digest whenever they look.
"""

from typing import Final

from protocol.limits import MS_PER_DAY, TOMBSTONE_DAYS
from protocol.records import Flow, Pin, Record

TRASH_SHARE: Final = 2
"""Part of `trash_days` that a removal has to lie in the trash here: less if it comes from afar, where it was hidden. Guess."""


def ends_ms(record: Record, trash_days: int) -> int | None:
    """Return the wall-clock millisecond from which a record is a tombstone, or None if it never will be."""
    if not isinstance(record, Pin):
        return record.stamp.ms if isinstance(record, Flow) and record.deleted else None
    if record.deleted:
        return record.stamp.ms
    ends = record.expires_ms
    if record.trashed_ms is not None:
        emptied = record.trashed_ms + trash_days * MS_PER_DAY
        ends = emptied if ends is None else min(ends, emptied)
    return ends


def leaves_ms(ends_ms: int) -> int:
    """Return when the tombstone of that instant leaves state and digest."""
    return (ends_ms // MS_PER_DAY + TOMBSTONE_DAYS) * MS_PER_DAY


def is_deleted(record: Record) -> bool:
    """Tell whether a record is the deletion of what it is about."""
    return isinstance(record, Pin | Flow) and record.deleted


def cut_short(before: Record, now: Record | None, trash_days: int, now_ms: int) -> str:
    """Say why a pin that counted wants its root no longer, or hardly, without a removal that people had time to see.

    A removal lies in the trash first, and only a steward purges. But a curator dates his own removals and may have a
    pin name another root; and a pin may cease to count because of who signed it: roles change with records that come
    late, and with a charter that is forked.

    Args:
        now: what counts in its place, if anything.

    Returns:
        A few words for people; "" where all is as it should be.
    """
    if not isinstance(before, Pin):
        return ""
    ended = ends_ms(before, trash_days)
    if ended is not None and ended <= now_ms:
        return ""
    if not isinstance(now, Pin):
        return "whoever pinned it may not any more"
    if now.deleted:
        return ""
    if now.root != before.root:
        return "its pin names another root now"
    ends = ends_ms(now, trash_days)
    if ends is None or (ended is not None and ends >= ended):
        return ""
    lies_ms = trash_days * MS_PER_DAY // TRASH_SHARE  # none where the charter wants no trash
    return "its pin ends before its time in the trash" if lies_ms and ends < now_ms + lies_ms else ""
