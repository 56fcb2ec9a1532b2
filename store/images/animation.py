"""Preview an animation: its first frames as stills, and a small animated WebP."""

from io import BytesIO

from PIL import Image

from store.images.decode import Opened
from store.images.variants import METHOD, QUALITY, Source, encode, show, smaller

STILL_FRAMES = 10
STILL_PX = 800
PREVIEW_FRAMES = 60
PREVIEW_PX = 400
"""Sixty frames of 400 px are a few seconds at most speeds and about a megabyte; guesses."""
MAX_DURATION_MS = 60_000
_VP8X_ALPHA = 0x10
"""Source: RFC 9649, section 2.7.1.1."""


def make_previews(opened: Opened, source: Source) -> dict[str, bytes]:
    """Return `frame-00.webp` … and `preview.webp` of an animation.

    Frames are composed: each is what a viewer would see. The preview is the first `PREVIEW_FRAMES`, each for as long as
    in the original, over and over.
    """
    files: dict[str, bytes] = {}
    small: list[Image.Image] = []
    durations_ms: list[int] = []
    canvas_px = opened.image.size
    for number in range(min(opened.frames, PREVIEW_FRAMES)):
        opened.image.seek(opened.first_frame + number)
        opened.image.load()
        # Pillow enlarges the canvas for a frame that leaves it; viewers cut such a frame off.
        picture = opened.image if opened.image.size == canvas_px else opened.image.crop((0, 0, *canvas_px))
        durations_ms.append(_duration_ms(opened.image))
        frame = show(picture, source, STILL_PX if number < STILL_FRAMES else PREVIEW_PX, canvas_px)
        if number < STILL_FRAMES:
            files[f"frame-{number:02}.webp"] = encode(frame)
        small.append(smaller(frame, PREVIEW_PX))
    files["preview.webp"] = encode_animation(small, durations_ms)
    return files


def _duration_ms(frame: Image.Image) -> int:
    return min(MAX_DURATION_MS, max(0, round(float(frame.info.get("duration", 0)))))


def encode_animation(frames: list[Image.Image], durations_ms: list[int]) -> bytes:
    """Encode frames of one size as a WebP that runs over and over, with nothing but pixels in it."""
    mode = "RGBA" if any(f.mode == "RGBA" for f in frames) else "RGB"
    first, *rest = [f if f.mode == mode else f.convert(mode) for f in frames]
    written = BytesIO()
    first.save(
        written,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=durations_ms,
        loop=0,
        quality=QUALITY,
        method=METHOD,
        background=(0, 0, 0, 0),
        exif=b"",
        icc_profile=None,
        xmp=b"",
    )
    content = bytearray(written.getvalue())
    if mode == "RGBA" and content[12:16] == b"VP8X":
        # libwebp cuts transparent margins off its frames and then takes the canvas for opaque where the rest is.
        content[20] |= _VP8X_ALPHA
    return bytes(content)
