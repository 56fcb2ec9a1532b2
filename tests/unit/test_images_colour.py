"""Every mode and colour space that a decoder may give comes out as the colours that were meant."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.pictures import built, profile_of_another_space, psnr_db, saved, scene, shown


def middle(image: Image.Image) -> tuple[int, ...]:
    found = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    return found


def near(found: tuple[int, ...], wanted: tuple[int, ...], by: int = 6) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= by for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF"])
def test_an_embedded_profile_is_followed(tmp_path: Path, kind: str) -> None:
    profile = profile_of_another_space()
    wanted = ImageCms.profileToProfile(scene(), profile, ImageCms.createProfile("sRGB"))
    assert wanted is not None
    image = built(tmp_path, saved(scene(), kind, icc_profile=profile.tobytes()))
    assert psnr_db(shown(image), wanted) > 25
    assert psnr_db(shown(image), scene()) < 20


@pytest.mark.parametrize("profile", [b"not a profile", bytes(200)])
def test_a_damaged_profile_is_passed_over(tmp_path: Path, profile: bytes) -> None:
    assert psnr_db(shown(built(tmp_path, saved(scene(), "PNG", icc_profile=profile))), scene()) > 25


def test_a_profile_for_another_kind_of_picture_is_passed_over(tmp_path: Path) -> None:
    grey = scene().convert("L")
    content = saved(grey, "PNG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert psnr_db(shown(built(tmp_path, content)), grey) > 25


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_grey_is_scaled_not_clipped(tmp_path: Path, mode: str) -> None:
    grey = np.asarray(scene().convert("L"))
    deep = {
        "I;16": Image.fromarray(grey.astype(np.uint16) * 257),
        "I": Image.fromarray(grey.astype(np.int32) * 257),
        "F": Image.fromarray(grey.astype(np.float32) / 255),
    }[mode]
    assert deep.mode == mode
    image = built(tmp_path, saved(deep, "TIFF"))
    assert psnr_db(shown(image), Image.fromarray(grey)) > 30


def test_deep_png_is_scaled_not_clipped(tmp_path: Path) -> None:
    grey = np.asarray(scene().convert("L"))
    content = saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")
    assert psnr_db(shown(built(tmp_path, content)), Image.fromarray(grey)) > 30


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_not_inverted(tmp_path: Path, kind: str) -> None:
    """Pillow writes CMYK JPEGs as Adobe does, inverted with a marker that says so."""
    content = saved(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), kind)
    assert near(middle(shown(built(tmp_path, content))), (255, 0, 0))


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    palette = Image.new("P", (64, 64), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (0, 0, 64, 16))
    image = shown(built(tmp_path, saved(palette, "PNG", transparency=1)))
    assert image.mode == "RGBA"
    assert near(middle(image), (255, 0, 0, 255))
    assert image.getpixel((32, 2))[3] == 0  # type: ignore[index]


def test_an_opaque_palette(tmp_path: Path) -> None:
    image = shown(built(tmp_path, saved(scene().quantize(), "PNG")))
    assert image.mode == "RGB"
    assert psnr_db(image, scene()) > 25


def test_grey_with_alpha(tmp_path: Path) -> None:
    image = shown(built(tmp_path, saved(Image.new("LA", (64, 64), (90, 128)), "PNG")))
    assert near(middle(image), (90, 90, 90, 128))


def test_black_and_white(tmp_path: Path) -> None:
    image = shown(built(tmp_path, saved(Image.new("1", (64, 64), 1), "PNG")))
    assert near(middle(image), (255, 255, 255))


def test_alpha_is_kept_and_hidden_colours_do_not_bleed(tmp_path: Path) -> None:
    half = Image.new("RGBA", (2000, 1000), (255, 0, 0, 0))
    half.paste((0, 255, 0, 255), (1000, 0, 2000, 1000))
    for name in ("display.webp", "small.webp"):
        image = shown(built(tmp_path, saved(half, "PNG")), name)
        assert image.getpixel((2, 2))[3] == 0  # type: ignore[index]
        edge = np.asarray(image)[image.height // 2]
        seen = edge[edge[:, 3] > 30]
        assert seen[:, 0].max() < 60


def test_alpha_that_is_opaque_everywhere_is_dropped(tmp_path: Path) -> None:
    assert shown(built(tmp_path, saved(scene().convert("RGBA"), "PNG"))).mode == "RGB"


def test_alpha_survives_a_profile(tmp_path: Path) -> None:
    picture = scene().convert("RGBA")
    picture.putalpha(100)
    image = shown(built(tmp_path, saved(picture, "PNG", icc_profile=profile_of_another_space().tobytes())))
    assert near(middle(image)[3:], (100,))
    assert psnr_db(image, scene()) < 20


def test_lab(tmp_path: Path) -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(scene(), to_lab)
    assert lab is not None
    assert psnr_db(shown(built(tmp_path, saved(lab, "TIFF"))), scene()) > 25
