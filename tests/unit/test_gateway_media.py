"""Media types by name and by content, and which of them browsers run."""

import pytest

from node.gateway.media import SNIFF_BYTES, is_active, type_by_content, type_by_name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("small.webp", "image/webp"),
        ("a/b/PHOTO.JPG", "image/jpeg"),
        ("image.json", "application/json"),
        ("x.avif", "image/avif"),
        ("index.html", "text/html; charset=utf-8"),
        ("a.tar.gz", None),
        ("notes", None),
        ("data:text/html,x", None),
    ],
)
def test_names(name: str, kind: str | None) -> None:
    assert type_by_name(name) == kind


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0 ftypavif", "image/avif"),
        (b"", "application/octet-stream"),
        (b"\0\1\2", "application/octet-stream"),
        (b"words\n", "text/plain; charset=utf-8"),
        (("ü" * SNIFF_BYTES).encode()[: SNIFF_BYTES - 1], "text/plain; charset=utf-8"),
        (b"<html><script>alert(1)</script>", "text/plain; charset=utf-8"),
    ],
)
def test_content(start: bytes, kind: str) -> None:
    assert type_by_content(start) == kind


@pytest.mark.parametrize(
    "kind", ["text/html; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript", "x/y"]
)
def test_active(kind: str) -> None:
    assert is_active(kind)


@pytest.mark.parametrize("kind", ["image/png", "video/mp4", "text/plain; charset=utf-8", "application/octet-stream"])
def test_inert(kind: str) -> None:
    assert not is_active(kind)
