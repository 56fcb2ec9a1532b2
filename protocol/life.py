"""How long a pin lives and its tombstone stays: computed from the record and the charter, never written.

A pin is live until it is deleted or past `expires_ms` or past `trashed_ms` and the charter's `trash_days`. From then on
it is a tombstone of that instant, and leaves every peer at 00:00 UTC of the day on which the instant turns 30 days old,
so that peers that know the same records have the same digest whenever they look.
"""

from protocol.limits import MS_PER_DAY, TOMBSTONE_DAYS
from protocol.records import Flow, Pin, Record


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
