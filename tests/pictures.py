"""Small pictures and files for the tests of images, made in code."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from store.images.build import build_image
from store.images.facts import BuiltImage
from store.images.limits import ImageLimits

PHOTOS = sorted((Path(__file__).parent.parent / "node/demo/photos").glob("*.jpg"))


FILMS = {
    "mp4": ("libx264", "video/mp4"),
    "mov": ("libx264", "video/quicktime"),
    "webm": ("libvpx-vp9", "video/webm"),
    "matroska": ("libx264", "video/matroska"),
}
"""Containers by FFmpeg's name, each with a codec and the media type that it has with us."""


def scene(width_px: int = 320, height_px: int = 200) -> Image.Image:
    """A smooth RGB picture whose four corners differ: red, green, blue, yellow from the top left, clockwise."""
    x = np.linspace(0, 1, width_px)[None, :, None]
    y = np.linspace(0, 1, height_px)[:, None, None]
    red, green, blue, yellow = (
        np.array(c, dtype=float) for c in ((230, 20, 20), (20, 200, 30), (20, 30, 220), (230, 220, 20))
    )
    top, bottom = red * (1 - x) + green * x, yellow * (1 - x) + blue * x
    return Image.fromarray(np.rint(top * (1 - y) + bottom * y).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of `image` in a format of Pillow's."""
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def built(folder: Path, content: bytes, *, variants: bool = True, **limits: int) -> BuiltImage:
    """Build an image from bytes under a name that says nothing."""
    path = folder / "something.bin"
    path.write_bytes(content)
    return build_image(path, ImageLimits(**limits), variants=variants)


def shown(image: BuiltImage, name: str = "display.webp") -> Image.Image:
    """A variant, decoded."""
    picture = Image.open(io.BytesIO(image.files[name]))
    picture.load()
    return picture


def psnr_db(one: Image.Image, other: Image.Image) -> float:
    """Peak signal to noise of two pictures of one size, compared as RGB."""
    apart = np.asarray(one.convert("RGB"), dtype=float) - np.asarray(other.convert("RGB"), dtype=float)
    return float(10 * np.log10(255**2 / max(1e-9, np.square(apart).mean())))


def profile_of_another_space() -> ImageCms.ImageCmsProfile:
    """sRGB with red and green primaries changed over: any picture that ignores it looks quite different."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = int.from_bytes(content[128:132], "big")
    where = {bytes(content[at : at + 4]): at for at in range(132, 132 + 12 * tags, 12)}
    red, green = where[b"rXYZ"], where[b"gXYZ"]
    content[red : red + 4], content[green : green + 4] = b"gXYZ", b"rXYZ"
    return ImageCms.ImageCmsProfile(io.BytesIO(content))


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk, with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_size(width_px: int, height_px: int) -> bytes:
    """A grey PNG that announces a size and compresses its zeros: a bomb, where the size is large."""
    rows = zlib.compress(bytes(min(1 << 20, (width_px + 1) * height_px)))
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def gif_of_size(width_px: int, height_px: int, frames: int) -> bytes:
    """A GIF whose every frame is one pixel on a canvas of any size."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width_px, height_px, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return screen + frame * frames + b"\x3b"


def webp_of_size(width_px: int, height_px: int, frames: int) -> bytes:
    """An animated WebP that announces a canvas, with frames of a few bytes."""
    small = saved(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    canvas = struct.pack("<I", 2) + _u24(width_px - 1) + _u24(height_px - 1)
    frame = _riff_chunk(b"ANMF", _u24(0) * 2 + _u24(0) * 2 + _u24(100) + b"\0" + small)
    body = b"WEBP" + _riff_chunk(b"VP8X", canvas) + _riff_chunk(b"ANIM", bytes(6)) + frame * frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _u24(value: int) -> bytes:
    return struct.pack("<I", value)[:3]


def film(frames: list[Image.Image], container: str = "mp4", rate: int = 10) -> bytes:
    """Encode a video of some frames."""
    import av

    written = io.BytesIO()
    with av.open(written, "w", format=container) as out:
        stream = out.add_stream(FILMS[container][0], rate=rate)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            out.mux(stream.encode(av.VideoFrame.from_image(picture)))
        out.mux(stream.encode(None))
    return written.getvalue()
