"""Make the pictures that people are shown from a decoded original.

One resize takes the original to the largest variant, and each smaller one is made from the one before; colours are
converted and the picture is turned upright on the largest variant, not on the original.
"""

from io import BytesIO
from typing import NamedTuple

from PIL import Image

from store.images.colour import resizable, to_srgb

VARIANTS_PX = {"display.webp": 1600, "large.webp": 800, "medium.webp": 400, "small.webp": 200}
"""The longer side at most, largest first; an original that is smaller is not enlarged."""
QUALITY = 80
METHOD = 2
"""Source: WebP q80 method 2 is 29 % smaller than JPEG q82 for 20 % more time; method 4 is 3 % smaller for twice the time."""
REDUCING_GAP = 2.0

UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation. Source: Exif 2.32, tag 0x0112."""


class Source(NamedTuple):
    """How to read pixels that a decoder gave: see `decode.Still`."""

    orientation: int
    profile: bytes | None


def fit(size: tuple[int, int], longer_px: int) -> tuple[int, int]:
    """The size of a picture that fits `longer_px`, never larger than it is, no side below 1."""
    longer = max(size)
    if longer <= longer_px:
        return size
    width, height = (max(1, (side * longer_px * 2 + longer) // (longer * 2)) for side in size)
    return width, height


def show(image: Image.Image, source: Source, longer_px: int, original_px: tuple[int, int]) -> Image.Image:
    """Return an upright RGB or RGBA picture in sRGB, without metadata, that fits `longer_px`.

    Args:
        original_px: of the original as it lies in the file, which `image` may be a smaller decoding of.
    """
    image = resizable(image)
    size = fit(original_px, longer_px)
    # Equal sizes give a copy, which `to_srgb` may use up: the decoder's own picture is needed for the next frame.
    image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    image = to_srgb(image, source.profile)
    turn = UPRIGHT.get(source.orientation)
    return image if turn is None else image.transpose(turn)


def smaller(image: Image.Image, longer_px: int) -> Image.Image:
    """Return `image` made to fit `longer_px`, or itself."""
    size = fit(image.size, longer_px)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def encode(image: Image.Image) -> bytes:
    """Encode as WebP, with nothing but pixels in it."""
    written = BytesIO()
    image.save(written, "WEBP", quality=QUALITY, method=METHOD, exif=b"", icc_profile=None, xmp=b"")
    return written.getvalue()


def make_variants(display: Image.Image) -> tuple[dict[str, bytes], Image.Image]:
    """Encode every variant from the largest; equal sizes share their bytes. Also returns the smallest picture."""
    files: dict[str, bytes] = {}
    encoded = b""
    made_px = (0, 0)
    for name, longer_px in VARIANTS_PX.items():
        display = smaller(display, longer_px)
        if display.size != made_px:
            encoded, made_px = encode(display), display.size
        files[name] = encoded
    return files, display
