"""Orientation, ICC, 16 bits, CMYK and alpha of files that other programs wrote, against the pixels that they mean."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from store.images.build import build_image
from store.images.limits import ImageLimits
from tests.corpora import corpus_folder
from tests.pictures import psnr_db

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]

TURNED = [
    *((f"hopper_orientation_{n}.{kind}", "hopper.jpg") for n in range(2, 9) for kind in ("jpg", "webp")),
    *((f"g4_orientation_{n}.tif", "g4_orientation_1.tif") for n in range(2, 9)),
    *((f"avif/rot{turn}mir{flip}.avif", "avif/rot0mir0.avif") for turn in range(4) for flip in range(2)),
]
ALIKE = [
    ("hopper.Lab.tif", "hopper.png"),
    ("hopper.gif", "hopper.png"),
    ("hopper.webp", "hopper.png"),
    ("hopper.iccprofile.tif", "hopper.png"),
    ("avif/hopper.avif", "hopper.png"),
    ("pil_sample_cmyk.jpg", "pil_sample_rgb.jpg"),
    ("avif/icc_profile.avif", "avif/icc_profile_none.avif"),
    ("16bit.cropped.tif", "16bit.MM.cropped.tif"),
    ("16bit.deflate.tif", "16bit.MM.deflate.tif"),
]
PORTRAIT = "Giunchedi%2C_Filippo_January_2015_01"


def ours(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(build_image(path, ImageLimits()).files["display.webp"]))


@pytest.mark.parametrize(("name", "meant"), TURNED + ALIKE)
def test_what_other_programs_wrote_looks_as_it_should(name: str, meant: str) -> None:
    folder = corpus_folder("pillow")
    found, wanted = ours(folder / name), ours(folder / meant)
    assert found.size == wanted.size
    assert psnr_db(found.convert("RGB"), wanted.convert("RGB")) > 22, "another turn would be below 15"


@pytest.mark.parametrize(("suffix", "turn"), [("-cmyk", None), ("-cmyk-orientation-exif", Image.Transpose.ROTATE_270)])
def test_cmyk_photos_of_people_have_their_colours(suffix: str, turn: Image.Transpose | None) -> None:
    folder = corpus_folder("thumbor") / "tests/fixtures/images"
    with Image.open(folder / f"{PORTRAIT}.jpg") as photo:
        wanted = photo.convert("RGB") if turn is None else photo.convert("RGB").transpose(turn)
    found = ours(folder / f"{PORTRAIT}{suffix}.jpg")
    assert found.size == wanted.size
    assert psnr_db(found, wanted) > 22


def test_16_bits_are_scaled() -> None:
    path = corpus_folder("pillow") / "16bit.cropped.tif"
    deep = np.asarray(Image.open(path))
    assert deep.max() > 255
    assert psnr_db(ours(path).convert("L"), Image.fromarray((deep >> 8).astype(np.uint8))) > 30


def test_a_cmyk_profile_is_followed() -> None:
    path = corpus_folder("thumbor") / "tests/fixtures/images/cmyk-icc.jpg"
    with Image.open(path) as photo:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.info["icc_profile"]))
        wanted = ImageCms.profileToProfile(photo, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert wanted is not None
    assert psnr_db(ours(path), wanted) > 25


def test_alpha_is_what_the_file_says() -> None:
    path = corpus_folder("pillow") / "avif/transparency.avif"
    wanted = np.asarray(Image.open(path).getchannel("A")).astype(int)
    assert wanted.min() < 10
    assert np.abs(np.asarray(ours(path).getchannel("A")).astype(int) - wanted).mean() < 2
