"""Apply operations to an original, at full size, and encode what comes of it as a new original.

A JPEG stays a JPEG, of high quality; anything else becomes a PNG, without loss. The colour profile stays, everything
else that is no pixel goes. Of an animation one composed frame is edited, the first unless another is asked for.
"""

from io import BytesIO
from pathlib import Path

from PIL import Image

from store.errors import ImageRejected
from store.images.colour import resizable, to_srgb
from store.images.decode import Opened, open_image, orientation_of, read_original, rejecting
from store.images.limits import ImageLimits
from store.images.made import Edited, FrameBatch
from store.images.operations import BadOperation, Crop, Flip, Operation, Resize, Rotate, parse_operation
from store.images.sniff import HEAD_BYTES, JPEG, PNG, Format, sniff
from store.images.variants import UPRIGHT

JPEG_QUALITY = 95
"""Above it files grow much and pictures hardly get better. Source: Pillow's documentation of `quality`."""
BATCH_BYTES = 32 << 20
"""Frames handed over at a time."""
_RIGHT_ANGLES = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
"""Pillow turns the other way round."""


def edit_image(path: Path, limits: ImageLimits, operations: tuple[str, ...], frame: int) -> Edited:
    """Edit a frame of the image at `path`.

    Raises:
        ImageRejected: it is no image, a video, damaged or beyond the limits.
    """
    content = read_original(path, limits)
    with rejecting(len(content), limits):
        opened = _open(content, limits)
        try:
            if not 0 <= frame < opened.frames:
                raise BadOperation(f"frame {frame}: there are {opened.frames}, counted from 0")
            picture = _composed(opened, frame)
            for text in operations:
                picture = _apply(picture, text, parse_operation(text), limits)
        except BadOperation as problem:
            return Edited(problem=str(problem), frames=opened.frames)
        kind = JPEG if opened.kind is JPEG else PNG
        return Edited(
            content=_encode(picture, kind, opened.image.info.get("icc_profile")),
            media_type=kind.media_type,
            width_px=picture.width,
            height_px=picture.height,
            frames=opened.frames,
        )


def compose_frames(path: Path, limits: ImageLimits, start: int) -> FrameBatch:
    """Every frame of an animation from the number `start` on, as a viewer shows it, as far as one batch goes.

    Raises: as `edit_image`.
    """
    content = read_original(path, limits)
    with rejecting(len(content), limits):
        opened = _open(content, limits)
        frames: list[bytes] = []
        size_bytes = 0
        for number in range(start, opened.frames):
            frames.append(_encode(_composed(opened, number), PNG, opened.image.info.get("icc_profile")))
            size_bytes += len(frames[-1])
            if size_bytes > BATCH_BYTES:
                break
        return FrameBatch(frames=tuple(frames), more=start + len(frames) < opened.frames)


def _open(content: bytes, limits: ImageLimits) -> Opened:
    kind = sniff(content[:HEAD_BYTES])
    if kind.video:
        raise ImageRejected(f"{kind.name} is a video; get one of its frames and edit that")
    return open_image(content, limits)


def _composed(opened: Opened, frame: int) -> Image.Image:
    """A frame upright, in a mode that can be edited without loss of meaning."""
    image: Image.Image = opened.image
    canvas_px = image.size
    if opened.frames > 1:
        image.seek(opened.first_frame + frame)
    image.load()
    turn = UPRIGHT.get(orientation_of(image))
    if opened.frames > 1 and image.size != canvas_px:
        image = image.crop((0, 0, *canvas_px))
    picture = resizable(image)
    return picture.copy() if turn is None else picture.transpose(turn)


def _apply(picture: Image.Image, text: str, operation: Operation, limits: ImageLimits) -> Image.Image:
    match operation:
        case Crop(left_px, top_px, width_px, height_px):
            if left_px + width_px > picture.width or top_px + height_px > picture.height:
                raise BadOperation(f"{text}: leaves the picture of {picture.width} × {picture.height}")
            return picture.crop((left_px, top_px, left_px + width_px, top_px + height_px))
        case Rotate(degrees):
            right_angle = _RIGHT_ANGLES.get(int(degrees % 360)) if degrees % 90 == 0 else None
            if degrees % 360 == 0:
                return picture
            if right_angle is not None:
                return picture.transpose(right_angle)
            _check_size(text, picture.width + picture.height, picture.width + picture.height, limits)
            return _rotated(picture, degrees)
        case Flip(sideways):
            turn = Image.Transpose.FLIP_LEFT_RIGHT if sideways else Image.Transpose.FLIP_TOP_BOTTOM
            return picture.transpose(turn)
        case Resize(width_px, height_px):
            _check_size(text, width_px, height_px, limits)
            return picture.resize((width_px, height_px), Image.Resampling.LANCZOS)


def _rotated(picture: Image.Image, degrees: float) -> Image.Image:
    """Corners are transparent where the picture can be, else white."""
    white: dict[str, tuple[int, ...] | int] = {"L": 255, "RGB": (255, 255, 255), "CMYK": (0, 0, 0, 0)}
    fill = white.get(picture.mode, (0,) * len(picture.getbands()))
    return picture.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)


def _check_size(text: str, width_px: int, height_px: int, limits: ImageLimits) -> None:
    if width_px * height_px > limits.canvas_px:
        raise BadOperation(f"{text}: makes {width_px} × {height_px} pixels, at most {limits.canvas_px}")


def _encode(picture: Image.Image, kind: Format, profile: bytes | None) -> bytes:
    written = BytesIO()
    picture.info = {}
    if kind is JPEG:
        if picture.mode not in ("L", "RGB", "CMYK"):
            picture = picture.convert("RGB")
        picture.save(written, "JPEG", quality=JPEG_QUALITY, subsampling=0, icc_profile=profile)
    else:
        if picture.mode == "CMYK":
            picture, profile = to_srgb(picture, profile), None
        picture.save(written, "PNG", icc_profile=profile)
    return written.getvalue()
