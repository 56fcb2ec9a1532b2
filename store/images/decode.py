"""Open an image of a known format and decode its first frame, within the limits.

Each format goes straight to its own decoder of Pillow's: none of the forty others (PDF, EPS, FITS, …) is ever tried.
"""

import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType

from PIL import AvifImagePlugin, ExifTags, Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from store.errors import ImageRejected
from store.images import containers, extras
from store.images.limits import ImageLimits, too_much_memory
from store.images.sniff import AVIF, GIF, HEAD_BYTES, HEIC, JPEG, PNG, SVG, TIFF, WEBP, Format, sniff

# The pool runs one worker a core; more threads in each would only compete.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_DECODERS: Mapping[Format, Callable[[BytesIO], ImageFile.ImageFile]] = MappingProxyType(
    {
        JPEG: JpegImageFile,
        PNG: PngImageFile,
        GIF: GifImageFile,
        WEBP: WebPImageFile,
        TIFF: TiffImageFile,
        AVIF: AvifImageFile,
        HEIC: extras.open_heic,
        SVG: extras.open_svg,
    }
)
_ANIMATED = (PNG, GIF, WEBP, AVIF)
DRAFT_MARGIN = 1.2
"""JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves this much more than the largest picture to be made.

Source: on 48 photos of 4K, 1.2 takes a third off the whole pipeline against 1.5 or 2, which decode 3840 px in full for
1600; the display variant loses 0.2 dB (mean; at most 1.7) against plain Lanczos from the full size, WebP included.
"""


@dataclass(frozen=True, slots=True)
class Opened:
    """An image whose header was read and found within the limits.

    Attributes:
        image: not yet decoded; of animations seekable.
        frames: of the animation, 1 for stills.
        first_frame: where an APNG's animation begins: its default image may not be part of it.
    """

    kind: Format
    image: ImageFile.ImageFile
    frames: int
    first_frame: int


@dataclass(frozen=True, slots=True)
class Still:
    """The decoded picture as it lies in the file: not upright, not sRGB, perhaps smaller than the original.

    Attributes:
        original_px: width and height of the original, as it lies in the file.
        orientation: the EXIF value, 1 to 8.
        profile: the embedded ICC profile.
    """

    image: Image.Image
    original_px: tuple[int, int]
    orientation: int
    profile: bytes | None

    @property
    def upright_px(self) -> tuple[int, int]:
        """Width and height of the original as people see it."""
        width_px, height_px = self.original_px
        return (height_px, width_px) if self.orientation >= 5 else (width_px, height_px)


def read_original(path: Path, limits: ImageLimits) -> bytes:
    """Read a regular file whole. Raises: ImageRejected where it cannot be read, is none or is too large."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageRejected("not a regular file")
            content = file.read(limits.file_bytes + 1)
    except OSError as error:
        raise ImageRejected(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(content) > limits.file_bytes:
        raise ImageRejected(f"too large: at most {limits.file_bytes} bytes")
    return content


@contextmanager
def rejecting(size_bytes: int, limits: ImageLimits) -> Iterator[None]:
    """Turn whatever a decoder raises into ImageRejected: with hostile bytes any exception is to be expected."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except ImageRejected:
        raise
    except MemoryError as error:
        raise too_much_memory(limits) from error
    except Exception as error:
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise containers.truncated(size_bytes) from error
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise ImageRejected(f"damaged image: {said}") from error


def open_image(content: bytes, limits: ImageLimits) -> Opened:
    """Read the header and hold it against the limits, before anything is decoded.

    Raises: ImageRejected, and what `rejecting` is for.
    """
    kind = sniff(content[:HEAD_BYTES])
    frames = 1
    if kind in (GIF, WEBP):
        canvas = containers.gif_canvas(content) if kind is GIF else containers.webp_canvas(content)
        _check_canvas(*canvas, limits)
        frames = canvas.frames
    image = _DECODERS[kind](BytesIO(content))
    first_frame = 0
    if kind in (PNG, AVIF):
        frames = getattr(image, "n_frames", 1)
        if kind is PNG and frames > 1 and image.info.get("default_image"):
            first_frame, frames = 1, frames - 1
    _check_canvas(*image.size, frames, limits)
    return Opened(kind, image, frames, first_frame)


def decode_still(opened: Opened, largest_px: int) -> Still:
    """Decode the first frame, no larger than is needed to make a picture of `largest_px` from it."""
    image = opened.image
    original_px = image.size
    wanted = DRAFT_MARGIN * largest_px / max(original_px)
    if wanted < 1:
        image.draft(None, (max(1, int(original_px[0] * wanted)), max(1, int(original_px[1] * wanted))))
    image.load()
    if opened.kind is TIFF:
        original_px = image.size  # Pillow turns TIFFs upright itself
    return Still(image, original_px, orientation_of(image), image.info.get("icc_profile"))


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8. EXIF is a stranger's too, and a picture with damaged EXIF is still a picture."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001
        return 1
    return value if value in range(1, 9) else 1


def _check_canvas(width_px: int, height_px: int, frames: int, limits: ImageLimits) -> None:
    if width_px < 1 or height_px < 1:
        raise ImageRejected(f"no pixels: {width_px} × {height_px}")
    if width_px * height_px > limits.canvas_px:
        raise ImageRejected(f"too many pixels: {width_px} × {height_px}, at most {limits.canvas_px}")
    if frames > 1 and width_px * height_px * frames > limits.animation_px:
        raise ImageRejected(
            f"too many pixels: {frames} frames of {width_px} × {height_px}, at most {limits.animation_px}"
        )
