"""The test images of Pillow and of thumbor, hostile and broken ones among them, where `scripts/get-images` puts them."""

import os
from pathlib import Path

import pytest

SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".heic", ".tif", ".tiff", ".svg", ".bmp", ".jp2", ".psd"}


def corpus_folder(name: str) -> Path:
    """The source tree of `pillow` or `thumbor`; the test is skipped, or fails where everything is required, without."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    images = Path(os.environ.get("PINAKOTHEK_IMAGES", cache / "pinakothek/images"))
    if not (images / "complete").exists():
        reason = "the images are missing: scripts/get-images"
        if os.environ.get("PINAKOTHEK_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    [folder] = images.glob(f"{name}-*")
    return folder / "Tests/images" if name == "pillow" else folder


def corpus(name: str) -> list[Path]:
    """Every file of a corpus, in order."""
    found = sorted(path for path in corpus_folder(name).rglob("*") if path.is_file() and path.name[0] != ".")
    return [path for path in found if name == "pillow" or path.suffix.lower() in SUFFIXES]
