"""What is not an image, or a hostile one, is rejected with a reason that a person understands."""

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from store.errors import ImageRejected
from store.images.build import build_image
from store.images.limits import ImageLimits
from store.images.sniff import FORMATS, HEAD_BYTES, sniff
from tests.pictures import built, gif_of_size, png_chunk, png_of_size, saved, scene, webp_of_size

STILLS = {kind: saved(scene(), kind) for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF")}


def reason(folder: Path, content: bytes, **limits: int) -> str:
    with pytest.raises(ImageRejected) as rejected:
        built(folder, content, **limits)
    assert "\n" not in rejected.value.reason
    return rejected.value.reason


@pytest.mark.parametrize("kind", STILLS)
def test_formats_are_told_by_content(tmp_path: Path, kind: str) -> None:
    assert built(tmp_path, STILLS[kind]).facts.media_type == f"image/{kind.lower()}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an image: empty, 0 bytes"),
        (b"Hello, this is no picture.\n" * 80, "not an image: text"),
        ("Grüße\n".encode() * 400, "not an image: text"),
        (b"%PDF-1.7\n", "not an image: a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image: a PostScript document"),
        (bytes(range(256)), "not an image: unknown bytes"),
        (b"\0" * 40, "not an image: unknown bytes"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isox", "not an image: a video, or an image format that we do not take"),
        (b"BM" + bytes(60), "not an image: a BMP picture, a format we do not take"),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    assert reason(tmp_path, content) == said


@pytest.mark.parametrize("kind", ["BMP", "PPM", "TGA", "ICO", "PCX", "EPS", "PDF", "DDS", "JPEG2000", "SGI"])
def test_no_other_decoder_of_pillow_is_tried(tmp_path: Path, kind: str) -> None:
    assert reason(tmp_path, saved(scene(), kind)).startswith("not an image: ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.97])
def test_a_cut_image_is_rejected(tmp_path: Path, kind: str, part: float) -> None:
    content = STILLS[kind]
    assert reason(tmp_path, content[: int(len(content) * part)])


def test_a_cut_jpeg_is_called_so(tmp_path: Path) -> None:
    content = saved(scene(3000, 2000), "JPEG")
    kept = len(content) // 2
    assert reason(tmp_path, content[:kept]) == f"truncated after {kept} bytes"


@given(kind=st.sampled_from(sorted(STILLS)), noise=st.binary(min_size=1, max_size=40), at=st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_are_decoded_or_rejected_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str, noise: bytes, at: float
) -> None:
    content = bytearray(STILLS[kind])
    start = int(at * len(content))
    content[start : start + len(noise)] = noise
    with contextlib.suppress(ImageRejected):
        image = built(tmp_path_factory.mktemp("damaged"), bytes(content), canvas_px=1 << 20, animation_px=1 << 22)
        assert image.files["small.webp"]


@given(st.binary(max_size=200) | st.sampled_from(FORMATS).flatmap(lambda _: st.binary(max_size=60)))
def test_sniffing_bears_any_bytes(head: bytes) -> None:
    with contextlib.suppress(ImageRejected):
        assert sniff(head) in FORMATS


def test_too_many_pixels(tmp_path: Path) -> None:
    assert reason(tmp_path, png_of_size(30_000, 30_000)) == "too many pixels: 30000 × 30000, at most 89478485"
    assert reason(tmp_path, STILLS["JPEG"], canvas_px=100) == "too many pixels: 320 × 200, at most 100"


def test_bombs_of_frames_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    said = "too many pixels: 400 frames of 4000 × 4000, at most 1073741824"
    assert reason(tmp_path, gif_of_size(4000, 4000, 400)) == said
    assert reason(tmp_path, webp_of_size(4000, 4000, 400)) == said
    assert reason(tmp_path, gif_of_size(60_000, 60_000, 1)) == "too many pixels: 60000 × 60000, at most 89478485"
    assert reason(tmp_path, webp_of_size(16_000, 16_000, 2)) == "too many pixels: 16000 × 16000, at most 89478485"


def test_an_avif_of_few_bytes_and_many_pixels(tmp_path: Path) -> None:
    content = saved(Image.new("L", (3_000, 2_000)), "AVIF", speed=10, quality=1)
    assert len(content) < 3_000
    assert reason(tmp_path, content, canvas_px=1_000_000) == "too many pixels: 3000 × 2000, at most 1000000"


def test_an_apng_that_promises_four_billion_frames(tmp_path: Path) -> None:
    content = saved(scene(), "PNG", save_all=True, append_images=[scene().rotate(90)])
    at = content.index(b"acTL") + 4
    lying = content[: at - 8] + png_chunk(b"acTL", b"\x7f\xff\xff\xff" + content[at + 4 : at + 8]) + content[at + 12 :]
    assert reason(tmp_path, lying).startswith("too many pixels: 2147483647 frames")


def test_a_file_beyond_the_limit(tmp_path: Path) -> None:
    assert reason(tmp_path, STILLS["PNG"], file_bytes=100) == "too large: at most 100 bytes"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    said = {}
    for name in ("absent", "loop", "pipe", "."):
        with pytest.raises(ImageRejected) as rejected:
            build_image(tmp_path / name, ImageLimits())
        said[name] = rejected.value.reason
    assert said["absent"] == "cannot be read: no such file or directory"
    assert said["loop"] == "cannot be read: too many levels of symbolic links"
    assert said["pipe"] == "not a regular file"
    assert re.match("cannot be read: is a directory|not a regular file", said["."])


@pytest.mark.parametrize(
    ("content", "module", "said"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pillow_heif", "HEIC needs the extra 'heif'"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "resvg_py", "SVG needs the extra 'svg'"),
        (b"<?xml version='1.0'?>\n<!-- a\ndrawing --><svg/>", "resvg_py", "SVG needs the extra 'svg'"),
    ],
)
def test_without_its_extra_a_format_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, module: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert reason(tmp_path, content).startswith(said)


def test_a_drawing_cannot_read_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    opened = []

    def draw(**_: object) -> bytes:
        with contextlib.suppress(OSError):
            opened.append(secret.read_bytes())
        return saved(scene(), "PNG")

    monkeypatch.setitem(sys.modules, "resvg_py", SimpleNamespace(svg_to_bytes=draw))
    assert built(tmp_path, b"<svg/>").facts.media_type == "image/svg+xml"
    assert opened == []
    assert secret.read_bytes() == b"secret"


@pytest.mark.parametrize("size", ["width='20mm' height='10mm'", "width='2in' height='1in'", "width='8pc' height='4pc'"])
def test_a_drawing_may_be_measured_in_millimetres(tmp_path: Path, size: str) -> None:
    """As Inkscape writes every drawing."""
    pytest.importorskip("resvg_py")
    facts = built(
        tmp_path, f"<svg xmlns='http://www.w3.org/2000/svg' {size}><path d='M0 0h9v9z'/></svg>".encode()
    ).facts
    assert facts.width_px == 2 * facts.height_px


def test_the_head_holds_what_sniffing_needs() -> None:
    for content in STILLS.values():
        assert sniff(content[:HEAD_BYTES]) == sniff(content)
    assert Image.open(io.BytesIO(STILLS["JPEG"])).size == (320, 200)
