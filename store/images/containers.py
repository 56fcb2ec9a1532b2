"""Count the frames of an animation from its container, without decoding any.

Pillow learns a GIF's frame count by seeking through it (11 s for 4.6 KB), and allocates a WebP's canvas on opening it
(2.7 GB for 472 KB): the budget has to be held before that.
"""

from typing import NamedTuple

from store.errors import ImageRejected


class Canvas(NamedTuple):
    """What a container announces, before anything is decoded."""

    width_px: int
    height_px: int
    frames: int


def gif_canvas(content: bytes) -> Canvas:
    """Walk a GIF's blocks; bytes between them and a missing trailer are forgiven. Source: GIF89a, W3C copy.

    Raises: ImageRejected where a block is cut.
    """
    width_px, height_px = _u16(content, 6), _u16(content, 8)
    at = 13 + table_bytes(_u8(content, 10))
    frames = 0
    while at < len(content):
        kind = content[at]
        if kind == 0x3B:
            break
        if kind == 0x21:
            at = after_sub_blocks(content, at + 2)
        elif kind == 0x2C:
            width_px = max(width_px, _u16(content, at + 1) + _u16(content, at + 5))
            height_px = max(height_px, _u16(content, at + 3) + _u16(content, at + 7))
            at = after_sub_blocks(content, at + 11 + table_bytes(_u8(content, at + 9)))
            frames += 1
        else:
            at += 1
    return Canvas(width_px, height_px, frames)


def webp_canvas(content: bytes) -> Canvas:
    """Walk a WebP's chunks. Source: RFC 9649.

    Raises: ImageRejected where a chunk is cut.
    """
    announced = 8 + int.from_bytes(content[4:8], "little")
    if announced > len(content):
        raise truncated(len(content))
    width_px = height_px = frames = 0
    at = 12
    while at + 8 <= announced:
        kind, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        start = at + 8
        if kind == b"VP8X":
            width_px, height_px = 1 + _u24(content, start + 4), 1 + _u24(content, start + 7)
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"VP8 " and not width_px:
            width_px, height_px = _u16(content, start + 6) & 0x3FFF, _u16(content, start + 8) & 0x3FFF
        elif kind == b"VP8L" and not width_px:
            packed = int.from_bytes(content[start + 1 : start + 5], "little")
            width_px, height_px = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        at = start + size + size % 2
    return Canvas(width_px, height_px, max(1, frames))


def truncated(at: int) -> ImageRejected:
    """The reason for an image that ends too early."""
    return ImageRejected(f"truncated after {at} bytes")


def after_sub_blocks(content: bytes, at: int) -> int:
    """Where a GIF's sub-blocks that begin at `at` end. Raises: ImageRejected where they are cut."""
    end = len(content)
    while at < end and (size := content[at]):
        at += size + 1
    if at >= end:
        raise truncated(end)
    return at + 1


def table_bytes(flags: int) -> int:
    """The size of the colour table that a GIF's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _u8(content: bytes, at: int) -> int:
    if at >= len(content):
        raise truncated(len(content))
    return content[at]


def _u16(content: bytes, at: int) -> int:
    return _u8(content, at) | _u8(content, at + 1) << 8


def _u24(content: bytes, at: int) -> int:
    return _u16(content, at) | _u8(content, at + 2) << 16
