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

SVG_WIDTH_PX = 1600
"""A drawing has no pixels of its own: it is drawn this wide."""


def open_heic(file: BytesIO) -> ImageFile.ImageFile:
    """Open a HEIC image. Raises: ImageRejected without the extra `heif`."""
    return cast(ImageFile.ImageFile, _required("pillow_heif", HEIC).HeifImageFile(file))


def open_svg(file: BytesIO) -> ImageFile.ImageFile:
    """Draw an SVG, without text: fonts differ between machines, and equal bytes must give equal pictures.

    Raises: ImageRejected without the extra `svg`, or where it cannot be drawn.
    """
    resvg = _required("resvg_py", SVG)
    markup = file.getvalue().decode()
    try:
        with _no_files():
            drawn = resvg.svg_to_bytes(svg_string=markup, width=SVG_WIDTH_PX, skip_system_fonts=True)
    except BaseException as error:  # a panic in Rust is no Exception
        raise ImageRejected(f"damaged SVG: {str(error)[:120]}") from error
    return PngImageFile(BytesIO(bytes(drawn)))


@contextmanager
def _no_files() -> Iterator[None]:
    """Open no file: a drawing may name pictures on this machine, and resvg would put them in, for all to see."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _required(module: str, kind: Format) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImageRejected(
            f"{kind.name} needs the extra {kind.extra!r}: pip install 'pinakothek[{kind.extra}]'"
        ) from error
