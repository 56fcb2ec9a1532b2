"""Tell an image's format by its first bytes, never by its name."""

import codecs
from dataclasses import dataclass

from store.errors import ImageRejected

HEAD_BYTES = 1024
"""Enough for every signature here; an SVG may start with a comment or a document type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format that we take in.

    Attributes:
        name: as people write it.
        media_type: registered with IANA.
        extension: of `original.…` in the image directory.
        video: a video, of which the first frames are shown.
        extra: the optional dependency that decodes it; None where Pillow does.
    """

    name: str
    media_type: str
    extension: str
    extra: str | None = None
    video: bool = False


JPEG = Format(name="JPEG", media_type="image/jpeg", extension="jpg")
PNG = Format(name="PNG", media_type="image/png", extension="png")
GIF = Format(name="GIF", media_type="image/gif", extension="gif")
WEBP = Format(name="WebP", media_type="image/webp", extension="webp")
TIFF = Format(name="TIFF", media_type="image/tiff", extension="tiff")
AVIF = Format(name="AVIF", media_type="image/avif", extension="avif")
HEIC = Format(name="HEIC", media_type="image/heic", extension="heic", extra="heif")
SVG = Format(name="SVG", media_type="image/svg+xml", extension="svg", extra="svg")
MP4 = Format(name="MP4", media_type="video/mp4", extension="mp4", extra="video", video=True)
MOV = Format(name="MOV", media_type="video/quicktime", extension="mov", extra="video", video=True)
WEBM = Format(name="WebM", media_type="video/webm", extension="webm", extra="video", video=True)
MKV = Format(name="MKV", media_type="video/matroska", extension="mkv", extra="video", video=True)
FORMATS = (JPEG, PNG, GIF, WEBP, TIFF, AVIF, HEIC, SVG, MP4, MOV, WEBM, MKV)

_SIGNATURES = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_MP4_BRANDS = {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"MSNV", b"dash"}
_EBML = b"\x1aE\xdf\xa3"
"""Source: RFC 8794, section 11.2.1."""
_NOT_IMAGES = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"\x7fELF", "a program"),
    (b"BM", "a BMP picture, a format we do not take"),
    (b"8BPS", "a Photoshop picture, a format we do not take"),
    (b"\0\0\x01\0", "an icon, a format we do not take"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture, a format we do not take"),
    (b"\xff\x0a", "a JPEG XL picture, a format we do not take"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture, a format we do not take"),
    (_EBML, "a video, in a container that we do not take"),
)


def sniff(head: bytes) -> Format:
    """Name the format of a file that starts with `head` (`HEAD_BYTES`, or all of a shorter file).

    Raises:
        ImageRejected: none of `FORMATS`; the reason says what it looks like instead.
    """
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp" and (kind_of_brand := _by_brand(head)):
        return kind_of_brand
    if head.startswith(_EBML) and b"\x42\x82" in head[:64]:
        return WEBM if b"webm" in head[:64] else MKV
    if _looks_like_svg(head):
        return SVG
    raise ImageRejected(f"not an image: {_what_it_is(head)}")


def format_of(media_type: str) -> Format:
    """Return the format of a media type that `sniff` gave. Raises: ImageRejected for another."""
    for kind in FORMATS:
        if kind.media_type == media_type:
            return kind
    raise ImageRejected(f"not an image: {media_type}")


def _by_brand(head: bytes) -> Format | None:
    """ISO base media: the major brand, else the compatible ones. Source: ISO/IEC 14496-12, 23008-12, AVIF 1.1."""
    box = head[: min(int.from_bytes(head[:4], "big"), HEAD_BYTES)]
    brands = [box[8:12], *(box[at : at + 4] for at in range(16, len(box), 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return AVIF
        if brand in _HEIC_BRANDS:
            return HEIC
    if brands[0] == b"qt  ":
        return MOV
    return MP4 if _MP4_BRANDS & set(brands) else None


def _looks_like_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in text)


def _what_it_is(head: bytes) -> str:
    if not head:
        return "empty, 0 bytes"
    for signature, what in _NOT_IMAGES:
        if head.startswith(signature):
            return what
    if head[4:8] == b"ftyp":
        return "a video, or an image format that we do not take"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "unknown bytes"
    return "unknown bytes" if b"\0" in head else "text"
