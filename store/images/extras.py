"""Formats whose decoders are optional dependencies; without them the refusal names the extra to install."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from types import ModuleType
from typing import cast

from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile

from store.errors import ImageRejected
from store.images.sniff import HEIC, SVG, Format

SVG_PX = 1600
"""A drawing has no pixels of its own: its longer side is drawn this long, whatever size it claims."""
CSS_DPI = 96
"""Of millimetres, inches and points; without it resvg takes them for nothing. Source: CSS Values 4, section 6.2."""


def open_heic(file: BytesIO) -> ImageFile.ImageFile:
    """Open a HEIC image. Raises: ImageRejected without the extra `heif`."""
    return cast(ImageFile.ImageFile, required("pillow_heif", HEIC).HeifImageFile(file))


def open_svg(file: BytesIO) -> ImageFile.ImageFile:
    """Draw an SVG, without text: fonts differ between machines, and equal bytes must give equal pictures.

    Raises: ImageRejected without the extra `svg`, or where it cannot be drawn.
    """
    resvg = required("resvg_py", SVG)
    markup = file.getvalue().decode()
    try:
        with no_files():
            drawn = resvg.svg_to_bytes(
                svg_string=markup, width=SVG_PX, height=SVG_PX, dpi=CSS_DPI, skip_system_fonts=True
            )
    except BaseException as error:  # a panic in Rust is no Exception
        raise ImageRejected(f"damaged SVG: {str(error)[:120]}") from error
    return PngImageFile(BytesIO(bytes(drawn)))


@contextmanager
def no_files() -> Iterator[None]:
    """Open no file: drawings and videos may name files of this machine, and their decoders would put them in."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def required(module: str, kind: Format) -> ModuleType:
    """The module that decodes `kind`. Raises: ImageRejected where it is not installed; the extra is named."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImageRejected(
            f"{kind.name} needs the extra {kind.extra!r}: pip install 'pinakothek[{kind.extra}]'"
        ) from error
