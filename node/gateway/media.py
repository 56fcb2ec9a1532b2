"""The media type of a file: from its name, else from how it begins. The same on every machine."""

from mimetypes import MimeTypes

SNIFF_BYTES = 512
OCTETS = "application/octet-stream"

_BY_NAME = MimeTypes()
for _kind, _suffix in (
    ("image/webp", ".webp"),
    ("image/avif", ".avif"),
    ("image/heic", ".heic"),
    ("image/heif", ".heif"),
    ("image/jxl", ".jxl"),
    ("text/markdown", ".md"),
    ("font/woff2", ".woff2"),
):
    _BY_NAME.add_type(_kind, _suffix)

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypmp42", "video/mp4"),
    (4, b"ftypisom", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"%PDF", "application/pdf"),
)
"""Offset, bytes there, type: the formats that we keep. Whatever a browser would run is never guessed."""

_INERT = ("image/", "audio/", "video/", "font/", "text/plain", "application/pdf", "application/json", OCTETS)


def type_by_name(name: str) -> str | None:
    """The type that the suffix of `name` stands for, None if it stands for none."""
    kind, encoding = _BY_NAME.guess_type(f"/{name.rpartition('/')[2]}") if "." in name else (None, None)
    if kind is None or encoding is not None:
        return None
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def type_by_content(start: bytes) -> str:
    """The type of a file of which these are the first `SNIFF_BYTES`, or all."""
    for at, magic, kind in _SIGNATURES:
        if start.startswith(magic, at):
            return kind
    text = start.decode("utf-8", "ignore")
    whole = len(text.encode()) > len(start) - 4
    if start and whole and all(char.isprintable() or char in "\t\n\r\f" for char in text):
        return "text/plain; charset=utf-8"
    return OCTETS


def is_active(media_type: str) -> bool:
    """Whether a browser may run scripts from it. Strangers' files share an origin with the gateway's own pages."""
    return "xml" in media_type or not media_type.startswith(_INERT)
