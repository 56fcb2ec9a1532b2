"""pHash finds what looks alike, thumbhash is the public one, and both are exact."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from store.images.fingerprint import phash, thumbhash
from tests.pictures import PHOTOS, saved

NEAR_BITS = 8
"""FACTS of near-duplicates: at most this far apart; unrelated pictures start at 21."""


def small(photo: Image.Image) -> Image.Image:
    photo = photo.convert("RGB")
    photo.thumbnail((200, 200), Image.Resampling.LANCZOS)
    return photo


def apart(one: Image.Image, other: Image.Image) -> int:
    return (int(phash(small(one)), 16) ^ int(phash(small(other)), 16)).bit_count()


@pytest.mark.parametrize("path", PHOTOS, ids=lambda p: p.stem)
def test_copies_are_near(path: Path) -> None:
    photo = Image.open(path).convert("RGB")
    width, height = photo.size
    copies = {
        "worse JPEG": Image.open(io.BytesIO(saved(photo, "JPEG", quality=40))),
        "worse WebP": Image.open(io.BytesIO(saved(photo, "WEBP", quality=50))),
        "half size": photo.resize((width // 2, height // 2)),
        "brighter": photo.point(lambda level: min(255, round(level * 1.1))),
    }
    assert {name: far for name, copy in copies.items() if (far := apart(photo, copy)) > NEAR_BITS} == {}


def test_different_photos_are_far() -> None:
    hashes = [int(phash(small(Image.open(path))), 16) for path in PHOTOS]
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 2 * NEAR_BITS


def test_phash_is_sixteen_digits_even_for_pictures_without_content() -> None:
    for picture in (Image.new("RGB", (200, 200)), Image.new("RGB", (1, 1)), Image.new("RGBA", (5, 200))):
        assert len(phash(picture)) == 16
        assert int(phash(picture), 16) >= 0


def test_transparency_is_white_to_the_phash() -> None:
    photo = small(Image.open(PHOTOS[0]))
    left = photo.copy()
    left.paste("white", (0, 0, 60, photo.height))
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, 60, photo.height))
    photo.putalpha(alpha)
    assert phash(photo) == phash(left)


def coloured(width_px: int, height_px: int, alpha: bool) -> Image.Image:
    x, y = np.meshgrid(np.arange(width_px), np.arange(height_px))
    channels = [(x * 3 + y) % 256, (255 - x * 2 + x * y // 31) % 256, (y * 5 + x * x // 7) % 256]
    if alpha:
        channels.append(np.where((x - 20) ** 2 + (y - 25) ** 2 < 300, 255, 40))
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "alpha", "wanted"),
    [
        ((90, 60), False, "ZVkFHZIHS4ljeIZmZniIdwqDDLF0"),
        ((50, 97), False, "YrgFLCSD52cId2SmV3iUnzIHtw=="),
        ((60, 50), True, "5viADIYmU3QwlHarDGbNUHfpMneHCKSIBg=="),
        ((100, 100), True, "YniBDQYUTWafhmI3hSqfMgKzrzXeaXcnNA=="),
    ],
)
def test_thumbhash_equals_the_reference(size: tuple[int, int], alpha: bool, wanted: str) -> None:
    """Hashes made with `rgbaToThumbHash` of the npm package thumbhash 0.1.1."""
    assert base64.b64encode(thumbhash(coloured(*size, alpha))).decode() == wanted


def test_thumbhash_is_short_whatever_the_shape() -> None:
    for size in ((1, 1), (200, 1), (1, 200), (200, 200)):
        assert 5 < len(thumbhash(Image.new("RGBA", size, (9, 200, 30, 77)))) <= 25
