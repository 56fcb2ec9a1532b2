"""Real photos for the slow end-to-end tests and the bench: 3840 × 2160 crops of Debian's wallpapers."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageOps

CROP_PX = (3840, 2160)
LEAST_PX = (2560, 1600)
SUFFIXES = {".jpg", ".png", ".webp"}
TURNS: tuple[Callable[[Image.Image], Image.Image], ...] = (lambda crop: crop, ImageOps.mirror, ImageOps.flip)
"""Where more are wanted than there are photos, the same ones mirrored: other bytes, other pictures."""
QUALITY = 88
"""Makes crops of about 1 MB, as the figures of IPFS Cluster that we compare with were taken on."""


def photo_folder() -> Path:
    """Where `scripts/get-photos` puts them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("PINAKOTHEK_PHOTOS", cache / "pinakothek/photos"))


def photos_available() -> bool:
    """Whether `scripts/get-photos` ran."""
    return (photo_folder() / "complete").exists()


def make_crops(count: int, home: Path) -> list[Path]:
    """Write `count` different 4K JPEGs into `home` (kept from an earlier call where they are there)."""
    home.mkdir(parents=True, exist_ok=True)
    wanted = [home / f"photo-{i:03}.jpg" for i in range(count)]
    if not all(p.exists() for p in wanted):
        _cut(wanted)
    return wanted


def _cut(wanted: list[Path]) -> None:
    sources = sorted(p for p in photo_folder().rglob("*") if p.suffix in SUFFIXES and _large_enough(p))
    for number, path in enumerate(wanted):
        turn, which = divmod(number, len(sources))
        with Image.open(sources[which]) as image:
            crop = ImageOps.fit(image.convert("RGB"), CROP_PX)
        crop = TURNS[turn](crop)
        partial = path.with_suffix(".partial")
        crop.save(partial, "JPEG", quality=QUALITY)
        partial.rename(path)


def _large_enough(path: Path) -> bool:
    if path.is_symlink():
        return False
    with Image.open(path) as image:
        return image.width >= LEAST_PX[0] and image.height >= LEAST_PX[1]


def crops(count: int, home: Path | None = None) -> list[Path]:
    """Crops for a test, which is skipped (or failed, where everything is required) without the photos."""
    if not photos_available():
        reason = "the photos are missing: scripts/get-photos"
        if os.environ.get("PINAKOTHEK_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return make_crops(count, home or photo_folder().parent / "crops")
