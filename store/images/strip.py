"""Take location, camera data, comments and trailing bytes out of an original, and leave every pixel as it is.

Nothing is decoded: segments, chunks and blocks that may say where, when, by whom and with what a picture was taken are
left out. What is needed to show it stays: colour profiles, and the orientation, alone in an Exif of its own. AVIF and
HEIC hold Exif and XMP as items at fixed places of the file: they are overwritten. Formats of which this is
not possible (TIFF, SVG, video) are refused.
"""

import re
import struct
from collections.abc import Iterator
from zlib import crc32

from PIL import ExifTags, Image

from store.errors import ImageRejected
from store.images.containers import after_sub_blocks, table_bytes, truncated
from store.images.heif_items import metadata_extents
from store.images.sniff import AVIF, GIF, HEIC, JPEG, PNG, WEBP, Format

_JPEG_KEPT_APPS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
"""Application segments that change how a JPEG looks, by marker, with their name."""
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_PNG_KEPT = frozenset(
    {
        b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"hIST", b"pHYs",
        b"sPLT", b"acTL", b"fcTL", b"fdAT",
    }
)  # fmt: skip
"""Ancillary chunks that change how a PNG looks; others say who and where, those of C2PA (`caBX`) among them."""
_PNG_ANCILLARY = 0x20
"""Bit of a type's first letter. Source: PNG, third edition, section 5.4."""
_WEBP_KEPT = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_VP8X_EXIF, _VP8X_XMP = 0x08, 0x04
_HEIF_EMPTY_EXIF = bytes(4) + b"II*\0" + struct.pack("<IHI", 8, 0, 0)
"""No tags at all. Zeros alone would be called damaged. Source: ISO/IEC 23008-12, annex A.2."""
_GIF_KEPT_APPLICATIONS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")


def strip_metadata(content: bytes, kind: Format, orientation: int) -> bytes:
    """Return the original without its metadata.

    Args:
        kind: one that `check_strippable` passes.
        orientation: its EXIF value, 1 to 8, which is kept.

    Raises:
        ImageRejected: it is cut.
    """
    if kind is JPEG:
        return b"".join(_jpeg(content, orientation))
    if kind is PNG:
        return b"".join(_png(content, orientation))
    if kind is WEBP:
        return _webp(content, orientation)
    if kind is GIF:
        return b"".join(_gif(content))
    return _heif(content)


def check_strippable(kind: Format) -> None:
    """Raises: ImageRejected for a format whose metadata cannot be taken out."""
    if kind not in (JPEG, PNG, WEBP, GIF, AVIF, HEIC):
        raise ImageRejected(
            f"the metadata of {kind.name} cannot be taken out without encoding it anew, and the flow wants it stripped"
        )


def left_in(content: bytes, image: Image.Image) -> str | None:
    """What is still in an image that went through `strip_metadata`; None: nothing that could say where it was taken."""
    tags = exif_tags(image) - {ExifTags.Base.Orientation}
    if tags:
        return f"Exif tag {min(tags):#06x}"
    return "XMP" if b"<x:xmpmeta" in content or b"http://ns.adobe.com/xap/" in content else None


def exif_tags(image: Image.Image) -> set[int]:
    """The tags of an image's Exif; none where that cannot be read."""
    try:
        return set(image.getexif())
    except Exception:  # noqa: BLE001 - a stranger's bytes, or zeros where they were
        return set()


def _orientation_exif(orientation: int) -> bytes:
    """A TIFF structure with this one tag; nothing where the picture is upright."""
    if orientation == 1:
        return b""
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, ExifTags.Base.Orientation, 3, 1, orientation, 0, 0)


def _jpeg(content: bytes, orientation: int) -> Iterator[bytes]:
    """Source: ITU-T T.81, annex B. What follows the end of the image is left out: trailers hold videos and locations."""
    yield content[:2]
    exif = _orientation_exif(orientation)
    if exif:
        yield b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0" + exif
    at = 2
    while True:
        at = content.find(b"\xff", at)
        while at >= 0 and content[at : at + 2] == b"\xff\xff":
            at += 1
        if at < 0 or at + 1 >= len(content):
            raise truncated(len(content))
        marker = content[at + 1]
        if marker == 0xD9:
            yield content[at : at + 2]
            return
        if marker in _JPEG_ALONE:
            at += 2
            continue
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if end > len(content) or end < at + 4:
            raise truncated(len(content))
        if marker == 0xDA:
            found = _JPEG_SCAN_END.search(content, end)
            if found is None:
                raise truncated(len(content))
            end = found.start()
        if _is_kept(marker, content[at + 4 : at + 20]):
            yield content[at:end]
        at = end


def _is_kept(marker: int, start: bytes) -> bool:
    if 0xE0 <= marker <= 0xEF:
        return start.startswith(_JPEG_KEPT_APPS.get(marker, b"\xff"))
    return marker != 0xFE


def _png(content: bytes, orientation: int) -> Iterator[bytes]:
    """Source: PNG, third edition, section 5."""
    yield content[:8]
    at = 8
    while at < len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + size
        if end > len(content):
            raise truncated(len(content))
        if not kind[0] & _PNG_ANCILLARY or kind in _PNG_KEPT:
            yield content[at:end]
        exif = _orientation_exif(orientation)
        if kind == b"IHDR" and exif:
            yield png_chunk(b"eXIf", exif)
        if kind == b"IEND":
            return
        at = end
    raise truncated(len(content))


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc32(kind + content))


def _webp(content: bytes, orientation: int) -> bytes:
    """Source: RFC 9649, section 2.7."""
    kept: list[bytes] = []
    exif = _orientation_exif(orientation)
    at, announced = 12, 8 + int.from_bytes(content[4:8], "little")
    if announced > len(content):
        raise truncated(len(content))
    while at + 8 <= announced:
        kind, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        chunk = content[at : at + 8 + size + size % 2]
        if kind == b"VP8X":
            flags = chunk[8] & ~(_VP8X_EXIF | _VP8X_XMP) | (_VP8X_EXIF if exif else 0)
            chunk = chunk[:8] + bytes([flags]) + chunk[9:]
        if kind in _WEBP_KEPT:
            kept.append(chunk)
        at += 8 + size + size % 2
    if exif:
        kept.append(b"EXIF" + struct.pack("<I", len(exif)) + exif)
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _gif(content: bytes) -> Iterator[bytes]:
    """Source: GIF89a, W3C copy. Comments, plain text and applications that do not concern the picture are left out."""
    at = 13 + table_bytes(content[10] if len(content) > 10 else 0)
    yield content[:at]
    while at < len(content) and content[at] != 0x3B:
        if content[at] == 0x21:
            end = after_sub_blocks(content, at + 2)
            label, name = content[at + 1 : at + 2], content[at + 3 : at + 14]
            if label == b"\xf9" or (label == b"\xff" and name in _GIF_KEPT_APPLICATIONS):
                yield content[at:end]
        elif content[at] == 0x2C:
            flags = content[at + 9] if at + 9 < len(content) else 0
            end = after_sub_blocks(content, at + 11 + table_bytes(flags))
            yield content[at:end]
        else:
            end = at + 1
        at = end
    yield b"\x3b"


def _heif(content: bytes) -> bytes:
    cleared = bytearray(content)
    for start, size_bytes, begins_exif in metadata_extents(content):
        empty = _HEIF_EMPTY_EXIF if begins_exif and size_bytes >= len(_HEIF_EMPTY_EXIF) else b""
        cleared[start : start + size_bytes] = empty.ljust(size_bytes, b"\0")
    return bytes(cleared)
