"""Bring whatever mode and colour space a decoder gives to RGB or RGBA in sRGB.

Two steps, because the second is dear and works on the small picture as well as on the large one: `resizable` gives a
mode that can be resized without loss of meaning, `to_srgb` follows the embedded profile.
"""

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_PROFILE_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_RESIZABLE = {"RGB", "RGBA", "L", "LA", "CMYK"}
_DEEP = ("I", "F")
_UNSEEN = 1
"""Levels of 255: a profile that moves no colour further is not worth applying."""


def resizable(image: Image.Image) -> Image.Image:
    """Return L, LA, RGB, RGBA or CMYK, 8 bits a channel: palettes resolved, 16 bits scaled, a transparent colour applied."""
    if image.mode.startswith(_DEEP):
        return _scaled_to_8_bits(image)
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        return image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode in _RESIZABLE:
        return image
    if image.mode == "LAB":
        return ImageCms.applyTransform(image, _lab_to_srgb()) or image
    return image.convert({"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"}.get(image.mode, "RGB"))


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an RGB picture in sRGB, or RGBA where any pixel is transparent, with no metadata; `image` is used up.

    A profile that is damaged or for another kind of picture is passed over, as browsers do.

    Args:
        image: as `resizable` gives it.
        profile: the embedded ICC profile.
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    if alpha is not None:
        image = image.convert(image.mode[:-1])
        if alpha.getextrema() == (255, 255):
            alpha = None
    transform = _transform(profile, image.mode) if profile else None
    if transform:
        image = ImageCms.applyTransform(image, transform) or image
    elif image.mode != "RGB":
        image = image.convert("RGB")
    if alpha is not None:
        image.putalpha(alpha)
    image.info = {}
    return image


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Scale deep grey to 8 bits. What is no 16-bit range (32-bit, negative, floating) is stretched from its extremes."""
    deep = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((deep >> 8).astype(np.uint8))
    low, high = float(np.nanmin(deep)), float(np.nanmax(deep))
    if image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    if not high > low:
        return Image.new("L", image.size, 0)
    scaled = (np.nan_to_num(deep, nan=low).astype(np.float32) - low) * (255 / (high - low))
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


@cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != _PROFILE_SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "RGB" and _is_srgb(transform):
            return None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return transform


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    """Most profiles are sRGB under some name; a cube of 512 colours tells."""
    steps = np.linspace(0, 255, 8).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(8, 64, 3)
    moved = ImageCms.applyTransform(Image.fromarray(cube), transform)
    return moved is not None and int(np.abs(np.asarray(moved).astype(int) - cube).max()) <= _UNSEEN
