"""A page of pins, read and checked in another process: what it found, packed.

Reading a pin from what its author signed takes 11 µs and checking his signature 40; taking over what another process
has found takes 2. That one says only which bytes are pins, and signed: everything else is for whoever has the bytes.
"""

from collections.abc import Sequence

import msgspec

from protocol.errors import Refused
from protocol.identity import PeerId, verify
from protocol.pin import Pin
from protocol.records import Record, Signed, read_record, signed_by


class _Page(msgspec.Struct, array_like=True, gc=False):
    """Of each of the bytes the pin, and whose: a number in `authors`."""

    pins: list[Pin | None]
    whose: list[int]
    authors: list[str]


_PACK, _UNPACK = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_Page)


def check_page(raws: Sequence[bytes]) -> bytes:
    """Find out which of these bytes are pins that their authors signed; packed, for `open_page`."""
    numbers: dict[str, int] = {}
    pins: list[Pin | None] = []
    whose: list[int] = []
    for raw in raws:
        signed = _checked(raw)
        pins.append(None if signed is None else signed.record)
        whose.append(0 if signed is None else numbers.setdefault(signed.author, len(numbers)))
    return _PACK.encode(_Page(pins, whose, list(numbers)))


def _checked(raw: bytes) -> Signed[Pin] | None:
    try:
        read = read_record(raw)
    except Refused:
        return None
    if read is None or not isinstance(read[0].record, Pin) or not verify(*read[1]):
        return None
    return read[0]  # type: ignore[return-value]


def open_page(raws: Sequence[bytes], packed: bytes) -> list[Signed[Record] | None]:
    """Return the pins that `check_page` found in these bytes, each in its place, and None for all others.

    Args:
        raws: those that `check_page` was given.
        packed: by a process of ours; nobody else's is to be believed.

    Raises:
        ValueError: it is not about these.
    """
    try:
        page = _UNPACK.decode(packed)
    except msgspec.ValidationError:  # some pin is not as this way of reading would have it: each is read by the caller
        return [None] * len(raws)
    authors = [PeerId(author) for author in page.authors]
    return [
        None if pin is None else signed_by(authors[whose], pin, raw)
        for raw, pin, whose in zip(raws, page.pins, page.whose, strict=True)
    ]
