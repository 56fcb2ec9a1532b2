"""The yardstick of taking images in: two processes that make our variants with Pillow and do nothing else.

    python -m scripts.pillow_alone PHOTO…

No hashing, no fingerprints, no store, nothing written: photos come from the page cache and variants are forgotten.
"""

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from itertools import islice
from pathlib import Path

import pillow_heif
from PIL import Image, ImageSequence

from store.images.animation import PREVIEW_FRAMES, PREVIEW_PX, STILL_FRAMES, STILL_PX
from store.images.decode import DRAFT_MARGIN
from store.images.variants import METHOD, QUALITY, REDUCING_GAP, VARIANTS_PX, fit

PROCESSES = 2
pillow_heif.register_heif_opener()


def make_variants(path: Path) -> int:
    """Make every variant of one photo; how many bytes they came to."""
    written_bytes = 0
    largest_px = max(VARIANTS_PX.values())
    with Image.open(path) as image:
        original_px = image.size
        scale = DRAFT_MARGIN * largest_px / max(original_px)
        if scale < 1:
            image.draft(None, (int(original_px[0] * scale), int(original_px[1] * scale)))
        shown = image.convert("RGB") if image.mode == "P" else image
        shown = shown.resize(fit(original_px, largest_px), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
        if getattr(image, "n_frames", 1) > 1:
            written_bytes += make_previews(image)
    for longer_px in VARIANTS_PX.values():
        if max(shown.size) > longer_px:
            shown = shown.resize(fit(shown.size, longer_px), Image.Resampling.LANCZOS)
        variant = BytesIO()
        shown.save(variant, "WEBP", quality=QUALITY, method=METHOD)
        written_bytes += variant.tell()
    return written_bytes


def make_previews(image: Image.Image) -> int:
    """Make the stills and the moving preview of an animation; how many bytes they came to."""
    written_bytes = 0
    small = []
    for number, frame in enumerate(islice(ImageSequence.Iterator(image), PREVIEW_FRAMES)):
        shown = frame.convert("RGB")
        if number < STILL_FRAMES:
            still = BytesIO()
            shown.resize(fit(shown.size, STILL_PX), Image.Resampling.LANCZOS).save(
                still, "WEBP", quality=QUALITY, method=METHOD
            )
            written_bytes += still.tell()
        small.append(shown.resize(fit(shown.size, PREVIEW_PX), Image.Resampling.LANCZOS))
    preview = BytesIO()
    small[0].save(preview, "WEBP", save_all=True, append_images=small[1:], quality=QUALITY, method=METHOD)
    return written_bytes + preview.tell()


def pillow_alone(photos: Sequence[Path]) -> float:
    """Images a second, without the processes' start."""
    for photo in photos:
        photo.read_bytes()
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as processes:
        list(processes.map(make_variants, photos[: 2 * PROCESSES]))
        start_s = time.monotonic()
        list(processes.map(make_variants, photos))
        return len(photos) / (time.monotonic() - start_s)


def main() -> None:
    """Print the figure for the photos named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", nargs="+", type=Path)
    print(f"{pillow_alone(parser.parse_args().photo):.2f} images/s")


if __name__ == "__main__":
    main()
