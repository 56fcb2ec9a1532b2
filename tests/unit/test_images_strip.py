"""What a flow strips from originals: places, cameras, people, comments, trailers; every pixel and colour stays."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from PIL.PngImagePlugin import PngInfo

from store.errors import ImageRejected
from store.images.build import strip_original
from store.images.limits import ImageLimits
from store.images.strip import png_chunk
from tests.pictures import PHOTOS, built, profile_of_another_space, saved, scene

SECRET = b"secret"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>secret</x:xmpmeta>"


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010E] = made[0x010F] = made[0x0110] = made[0x013B] = "secret"
    made.get_ifd(0x8825)[1] = "N"
    made.get_ifd(0x8825)[29] = "secret"
    made.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0secret"
    return made


def stripped(folder: Path, content: bytes) -> bytes:
    path = folder / "original"
    path.write_bytes(content)
    return strip_original(path, ImageLimits()).content


def pixels(content: bytes) -> list[np.ndarray]:
    return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(content)))]


def with_metadata(kind: str, orientation: int, **options: object) -> bytes:
    options |= {"exif": exif(orientation), "icc_profile": profile_of_another_space().tobytes()}
    if kind == "PNG":
        notes = PngInfo()
        notes.add_text("Comment", "secret")
        notes.add_itxt("XML:com.adobe.xmp", XMP.decode())
        return saved(scene(), kind, pnginfo=notes, **options)
    if kind == "JPEG":
        options["comment"] = SECRET
    return saved(scene(), kind, xmp=XMP, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_only_pixels_profile_and_orientation_are_left(tmp_path: Path, kind: str, orientation: int) -> None:
    content = with_metadata(kind, orientation)
    assert SECRET in content
    clean = stripped(tmp_path, content)
    assert SECRET not in clean
    before, after = built(tmp_path, content), built(tmp_path, clean)
    for name in before.files:
        assert name == "image.json" or before.files[name] == after.files[name]
    assert after.facts.blake3 != before.facts.blake3
    assert all(np.array_equal(a, b) for a, b in zip(pixels(content), pixels(clean), strict=True))
    profiles = {Image.open(io.BytesIO(each)).info["icc_profile"] for each in (content, clean)}
    assert len(profiles) == 1
    assert stripped(tmp_path, clean) == clean, "what is clean stays as it is"


def test_what_nobody_knows_goes_too(tmp_path: Path) -> None:
    made = saved(scene(), "PNG")
    for name in (b"caBX", b"prVt"):  # as C2PA's manifests, which say where and with what
        clean = stripped(tmp_path, made[:33] + png_chunk(name, SECRET) + made[33:])
        assert clean == made
    made = saved(scene(), "WEBP", icc_profile=profile_of_another_space().tobytes())
    body = made[8:] + b"C2PA" + (6).to_bytes(4, "little") + SECRET
    assert stripped(tmp_path, b"RIFF" + len(body).to_bytes(4, "little") + body) == made


def test_a_real_photo_comes_out_the_same_picture(tmp_path: Path) -> None:
    for photo in PHOTOS[:4]:
        content = photo.read_bytes()
        assert all(
            np.array_equal(a, b) for a, b in zip(pixels(content), pixels(stripped(tmp_path, content)), strict=True)
        )


def test_progressive_jpegs_and_what_follows_their_end(tmp_path: Path) -> None:
    content = saved(scene(), "JPEG", progressive=True, restart_marker_blocks=2)
    clean = stripped(tmp_path, content + b"a film that says where it was taken: secret")
    assert SECRET not in clean
    assert clean.endswith(b"\xff\xd9")
    assert all(np.array_equal(a, b) for a, b in zip(pixels(content), pixels(clean), strict=True))


def test_a_gif_keeps_its_frames_and_loses_its_comment(tmp_path: Path) -> None:
    frames = [scene().rotate(turn) for turn in range(0, 50, 10)]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=70, loop=3, comment=SECRET)
    clean = stripped(tmp_path, content)
    assert SECRET in content
    assert SECRET not in clean
    assert built(tmp_path, content).files["preview.webp"] == built(tmp_path, clean).files["preview.webp"]
    assert Image.open(io.BytesIO(clean)).info["loop"] == 3


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    written = io.BytesIO()
    heif.from_pillow(scene()).save(written, exif=exif(1).tobytes(), xmp=XMP)
    content = written.getvalue()
    clean = stripped(tmp_path, content)
    assert SECRET in content
    assert SECRET not in clean
    assert built(tmp_path, content).files["display.webp"] == built(tmp_path, clean).files["display.webp"]


@pytest.mark.parametrize(
    "content", [saved(scene(), "TIFF"), b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"]
)
def test_what_cannot_be_stripped_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageRejected, match="cannot be taken out"):
        stripped(tmp_path, content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
@pytest.mark.parametrize("part", [0.05, 0.4, 0.9])
def test_a_cut_image_is_rejected_and_nothing_else(tmp_path: Path, kind: str, part: float) -> None:
    content = saved(scene(), kind)
    with pytest.raises(ImageRejected):
        stripped(tmp_path, content[: int(len(content) * part)])
