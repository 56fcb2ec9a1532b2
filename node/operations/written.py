"""Pins as rows: what people and programs see of them."""

from node.events import instant
from node.operations.standing import Measured
from node.rows import ImageRow, PinRow, Removed, Replicas, TrashRow
from protocol import fields
from protocol.life import ends_ms
from protocol.pin import Pin
from store.cid import cid_text


def instant_or_none(ms: int | None) -> str | None:
    """An instant as text, where there is one."""
    return None if ms is None else instant(ms)


def added_at(pin: Pin) -> str:
    """When a pin was added; where its author did not say, when it was written."""
    return instant(pin.stamp.ms if pin.added_at_ms is None else pin.added_at_ms)


def replicas_row(replicas: fields.Replicas) -> Replicas:
    """A record's factor as rows have it."""
    return Replicas(min=replicas.min, max=replicas.max)


def image_row(pin: Pin, replicas: fields.Replicas, measured: Measured) -> ImageRow:
    """A row of `ls`."""
    return ImageRow(
        root=cid_text(pin.root),
        name=pin.name or "",
        flow=pin.flow,
        size_bytes=pin.size_bytes,
        width_px=pin.width_px,
        height_px=pin.height_px,
        media_type=pin.media_type,
        added_at=added_at(pin),
        copies=measured.copies,
        replicas=replicas_row(replicas),
        state=measured.state,
    )


def pin_row(pin: Pin, replicas: fields.Replicas, measured: Measured) -> PinRow:
    """A row of `pin ls`."""
    return PinRow(
        id=pin.id.hex(),
        cid=cid_text(pin.root),
        name=pin.name or "",
        flow=pin.flow,
        content=pin.content,
        size_bytes=pin.size_bytes,
        copies=measured.copies,
        replicas=replicas_row(replicas),
        state=measured.state,
        added_at=added_at(pin),
        expires_at=instant_or_none(pin.expires_ms),
    )


def trash_row(pin: Pin, trash_days: int) -> TrashRow:
    """A row of `trash ls`, of a pin that is in the trash."""
    return TrashRow(
        root=cid_text(pin.root),
        name=pin.name or "",
        flow=pin.flow,
        trashed_at=instant(pin.trashed_ms or 0),
        until=instant(ends_ms(pin, trash_days) or 0),
    )


def removed_row(pin: Pin, trash_days: int) -> Removed:
    """What `rm` or `undelete` says of a pin as it is now."""
    until_ms = ends_ms(pin, trash_days) if pin.trashed_ms is not None and not pin.deleted else None
    return Removed(root=cid_text(pin.root), name=pin.name or "", flow=pin.flow, until=instant_or_none(until_ms))
