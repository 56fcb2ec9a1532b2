"""Where an AVIF or HEIC keeps its Exif and XMP: as items, whose places the `meta` box lists.

Source: ISO/IEC 14496-12, sections 8.11.3 (iloc) and 8.11.6 (iinf). Orientation is no metadata there: `irot` and `imir`
are properties of the picture.
"""

from collections.abc import Iterator
from typing import NamedTuple

from store.errors import ImageRejected

MAX_ITEMS = 4096
"""A picture in tiles has some hundreds."""
_METADATA_TYPES = frozenset({b"Exif", b"mime", b"uri "})


class Box(NamedTuple):
    """A box of the file: its type, and where its content lies."""

    kind: bytes
    start: int
    end: int


class Extent(NamedTuple):
    """A piece of an item; `begins_exif` where it is the first of an Exif item."""

    start: int
    size_bytes: int
    begins_exif: bool


def metadata_extents(content: bytes) -> list[Extent]:
    """Each piece of the file's Exif and other metadata items.

    Raises:
        ImageRejected: the boxes do not fit one another.
    """
    found: list[Extent] = []
    for box in boxes(content, 0, len(content)):
        if box.kind in (b"uuid", b"udta"):
            found.append(Extent(box.start, box.end - box.start, False))
        if box.kind == b"meta":
            found += _of_meta(content, box)
        if box.kind == b"moov":
            raise ImageRejected("the metadata of an image sequence cannot be taken out, and the flow wants it stripped")
    return found


def boxes(content: bytes, at: int, end: int) -> Iterator[Box]:
    """The boxes between two places. Raises: ImageRejected where one leaves them."""
    while at + 8 <= end:
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(content[at + 8 : at + 16], "big"), at + 16
        elif size == 0:
            size = end - at
        if size < start - at or at + size > end:
            raise _broken(kind)
        yield Box(kind, start, at + size)
        at += size


def _of_meta(content: bytes, meta: Box) -> list[Extent]:
    wanted: dict[int, bytes] = {}
    places: dict[int, list[tuple[int, int]]] = {}
    idat_start = 0
    for box in boxes(content, meta.start + 4, meta.end):
        if box.kind == b"iinf":
            wanted = _metadata_items(content, box)
        elif box.kind == b"idat":
            idat_start = box.start
    for box in boxes(content, meta.start + 4, meta.end):
        if box.kind == b"iloc":
            places = _places(content, box, idat_start)
    extents = [
        Extent(start, size, kind == b"Exif" and not number)
        for item, kind in wanted.items()
        for number, (start, size) in enumerate(places.get(item, []))
    ]
    if any(extent.start + extent.size_bytes > len(content) for extent in extents):
        raise _broken(b"iloc")
    return extents


def _metadata_items(content: bytes, iinf: Box) -> dict[int, bytes]:
    wide = content[iinf.start] != 0
    found: dict[int, bytes] = {}
    for count, box in enumerate(boxes(content, iinf.start + (8 if wide else 6), iinf.end)):
        if count > MAX_ITEMS:
            raise _broken(b"iinf")
        if box.kind != b"infe" or content[box.start] < 2:
            continue
        id_bytes = 2 if content[box.start] == 2 else 4
        at = box.start + 4
        kind = content[at + id_bytes + 2 : at + id_bytes + 6]
        if kind in _METADATA_TYPES:
            found[int.from_bytes(content[at : at + id_bytes], "big")] = kind
    return found


def _places(content: bytes, iloc: Box, idat_start: int) -> dict[int, list[tuple[int, int]]]:
    version = content[iloc.start]
    reader = _Reader(content, iloc.start + 4, iloc.end)
    sizes = reader.number(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    places: dict[int, list[tuple[int, int]]] = {}
    for _ in range(min(reader.number(4 if version == 2 else 2), MAX_ITEMS)):
        item = reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)
        base = reader.number(base_bytes) + (idat_start if method == 1 else 0)
        for _ in range(min(reader.number(2), MAX_ITEMS)):
            if version:
                reader.number(index_bytes)
            offset, size = reader.number(offset_bytes), reader.number(length_bytes)
            places.setdefault(item, []).append((base + offset, size))
    return places


class _Reader:
    def __init__(self, content: bytes, at: int, end: int) -> None:
        self._content, self._at, self._end = content, at, end

    def number(self, size: int) -> int:
        """The next `size` bytes as a number."""
        start, self._at = self._at, self._at + size
        if self._at > self._end:
            raise _broken(b"iloc")
        return int.from_bytes(self._content[start : self._at], "big")


def _broken(kind: bytes) -> ImageRejected:
    return ImageRejected(f"damaged image: its {kind.decode('latin-1')!r} box is broken")
