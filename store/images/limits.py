"""What decoding one image may cost.

A file's size says little: 1,841 bytes of AVIF can take 1.27 GB. So canvas and frames are budgeted before anything is
decoded, and `worker` puts the system's own limits under what a decoder does in spite of that.
"""

from dataclasses import dataclass

from store.errors import ImageRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """Bounds for one image; the defaults take in every photograph that people are likely to have.

    Attributes:
        file_bytes: size of the original, which is held in memory whole.
        canvas_px: width × height. Default: where Pillow begins to warn of decompression bombs.
        animation_px: width × height × frames. Default: ten minutes of 320 × 240 at 20 frames/s and some more; a guess.
        video_s: duration of a video, of which only the beginning is decoded. A guess.
        address_space_bytes: of the worker. Source: 1,071 hostile and odd files under 1 GiB gave no crash, no time-out.
        cpu_s: processor seconds of one call; the kernel ends the worker beyond.
    """

    file_bytes: int = 256 << 20
    canvas_px: int = 89_478_485
    animation_px: int = 1 << 30
    video_s: int = 3600
    address_space_bytes: int = 1 << 30
    cpu_s: int = 30


def too_much_memory(limits: ImageLimits) -> ImageRejected:
    """The reason for an image that cannot be decoded within `address_space_bytes`."""
    return ImageRejected(f"takes more memory to decode than the {limits.address_space_bytes >> 20} MiB allowed")
