"""Two short fingerprints of a picture: pHash finds near-duplicates, thumbhash draws a placeholder.

Both sum in integers, so that every processor and every BLAS gives the same bits.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FRACTION_BITS = 16
"""Of fixed-point cosines and colours: products of three, summed over 100 × 100 pixels, stay below 2⁶²."""
_ONE = 1 << FRACTION_BITS
_TIE = 1e-4
"""Symmetric pictures have many terms of exactly one half, which round up in spite of fixed point's error."""


def phash(image: Image.Image) -> str:
    """Hash the low frequencies of an RGB or RGBA picture, transparency on white; 16 hexadecimal digits.

    Each bit tells whether one of the 8 × 8 lowest frequencies of a 32 × 32 grey picture lies above their median.

    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
    """
    grey = _on_white(image).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    cosines = _cosines(32, 8)
    frequencies = cosines @ np.asarray(grey, dtype=np.int64) @ cosines.T
    ordered = np.sort(frequencies, axis=None)
    # Above the median means above both of the middle two's mean; doubled, to stay in integers.
    bits = 2 * frequencies.ravel() > ordered[31] + ordered[32]
    return np.packbits(bits).tobytes().hex()


def thumbhash(image: Image.Image) -> bytes:
    """Hash a picture, RGB or RGBA, to at most 25 bytes that hold its aspect, average colour and lowest frequencies.

    Source: Evan Wallace, https://evanw.github.io/thumbhash/ (the reference JavaScript, public domain).
    """
    small = image.convert("RGBA")
    small.thumbnail((100, 100), Image.Resampling.BOX)
    width, height = small.size
    lpqa = _luminance_and_chroma(np.asarray(small, dtype=np.float64) / 255)
    has_alpha = bool(lpqa[3].min() < 1)
    most = 5 if has_alpha else 7
    longer = max(width, height)
    lx, ly = max(1, _rounded(most * width / longer)), max(1, _rounded(most * height / longer))
    l_dc, l_ac, l_scale = _encode_channel(lpqa[0], max(3, lx), max(3, ly))
    p_dc, p_ac, p_scale = _encode_channel(lpqa[1], 3, 3)
    q_dc, q_ac, q_scale = _encode_channel(lpqa[2], 3, 3)
    landscape = width > height
    header24 = (
        _rounded(63 * l_dc)
        | _rounded(31.5 + 31.5 * p_dc) << 6
        | _rounded(31.5 + 31.5 * q_dc) << 12
        | _rounded(31 * l_scale) << 18
        | has_alpha << 23
    )
    header16 = (ly if landscape else lx) | _rounded(63 * p_scale) << 3 | _rounded(63 * q_scale) << 9 | landscape << 15
    hashed = header24.to_bytes(3, "little") + header16.to_bytes(2, "little")
    terms = [*l_ac, *p_ac, *q_ac]
    if has_alpha:
        a_dc, a_ac, a_scale = _encode_channel(lpqa[3], 5, 5)
        hashed += bytes([_rounded(15 * a_dc) | _rounded(15 * a_scale) << 4])
        terms += a_ac
    nibbles = [_rounded(15 * term + _TIE) for term in terms]
    nibbles += [0] * (len(nibbles) % 2)
    return hashed + bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


def _luminance_and_chroma(rgba: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Split into luminance, yellow-blue, red-green and alpha, transparency filled with the average colour."""
    alpha = rgba[..., 3]
    weight = int(_fixed(alpha).sum())
    filled = []
    for channel in range(3):
        premultiplied = rgba[..., channel] * alpha
        average = int(_fixed(premultiplied).sum()) / weight if weight else 0.0
        filled.append(average * (1 - alpha) + premultiplied)
    red, green, blue = filled
    return (red + green + blue) / 3, (red + green) / 2 - blue, red - green, alpha


def _encode_channel(channel: Floats, nx: int, ny: int) -> tuple[float, list[float], float]:
    """Return constant term, varying terms in 0..1 and their scale, of the lower left triangle of frequencies."""
    height, width = channel.shape
    sums = _cosines(height, ny) @ _fixed(channel) @ _cosines(width, nx).T
    terms = [
        [int(sums[cy, cx]) / (_ONE * _ONE * _ONE * width * height) for cx in range(nx) if cx * ny < nx * (ny - cy)]
        for cy in range(ny)
    ]
    constant, *varying = [term for row in terms for term in row]
    scale = max((abs(term) for term in varying), default=0.0)
    return constant, [0.5 + 0.5 * term / scale if scale else 0.0 for term in varying], scale


def _cosines(length: int, count: int) -> Ints:
    """Rows of cos(π·f·(x+½)/length) for the frequencies f below `count`, in fixed point."""
    return np.array(
        [
            [round(_ONE * math.cos(math.pi / length * frequency * (x + 0.5))) for x in range(length)]
            for frequency in range(count)
        ],
        dtype=np.int64,
    )


def _fixed(values: Floats) -> Ints:
    return np.rint(values * _ONE).astype(np.int64)


def _rounded(value: float) -> int:
    """JavaScript's Math.round, as the reference rounds."""
    return math.floor(value + 0.5)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white
