"""Formats whose decoders are optional dependencies; without them the refusal names the extra to install."""

from importlib import import_module
from io import BytesIO
from types import ModuleType
from typing import cast

from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile

from store.errors import ImageRejected
from store.images.sniff import HEIC, SVG, Format

SVG_WIDTH_PX = 1600
"""A drawing has no pixels of its own: it is drawn this wide."""


def open_heic(file: BytesIO) -> ImageFile.ImageFile:
    """Open a HEIC image. Raises: ImageRejected without the extra `heif`."""
    return cast(ImageFile.ImageFile, _required("pillow_heif", HEIC).HeifImageFile(file))


def open_svg(file: BytesIO) -> ImageFile.ImageFile:
    """Draw an SVG. Raises: ImageRejected without the extra `svg`."""
    drawn = _required("resvg_py", SVG).svg_to_bytes(svg_string=file.getvalue().decode(), width=SVG_WIDTH_PX)
    return PngImageFile(BytesIO(bytes(drawn)))


def _required(module: str, kind: Format) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImageRejected(
            f"{kind.name} needs the extra {kind.extra!r}: pip install 'pinakothek[{kind.extra}]'"
        ) from error
