"""What can be done to a picture, as text: `crop X,Y,W,H`, `rotate DEG`, `flip h`, `flip v`, `resize WxH`.

An edited image's pin lists these texts in order, so that anyone can tell what was done to its parent. Pixels count from
the top left of the upright picture; degrees turn clockwise.
"""

import re
from dataclasses import dataclass

_NUMBER = r"\d{1,6}"
_CROP = re.compile(rf"({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})")
_RESIZE = re.compile(rf"({_NUMBER})x({_NUMBER})")
_DEGREES = re.compile(r"-?\d{1,3}(\.\d{1,3})?")


class BadOperation(ValueError):
    """The text is no operation, or one that this picture does not allow; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Crop:
    """Keep a rectangle."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Rotate:
    """Turn clockwise; the canvas grows where the angle is none of 90, 180 and 270 degrees."""

    degrees: float


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror, left to right or top to bottom."""

    sideways: bool


@dataclass(frozen=True, slots=True)
class Resize:
    """Make it this large, whatever its shape was."""

    width_px: int
    height_px: int


Operation = Crop | Rotate | Flip | Resize


def parse_operation(text: str) -> Operation:
    """The operation that a text stands for. Raises: BadOperation: none."""
    name, _, value = text.partition(" ")
    if name == "crop" and (found := _CROP.fullmatch(value)):
        operation: Operation = Crop(*map(int, found.groups()))
    elif name == "resize" and (found := _RESIZE.fullmatch(value)):
        operation = Resize(*map(int, found.groups()))
    elif name == "rotate" and _DEGREES.fullmatch(value):
        operation = Rotate(float(value))
    elif text in ("flip h", "flip v"):
        operation = Flip(text == "flip h")
    else:
        raise BadOperation(f"{text[:64]!r}: expected crop X,Y,W,H, rotate DEG, flip h, flip v or resize WxH")
    if isinstance(operation, Crop | Resize) and not (operation.width_px and operation.height_px):
        raise BadOperation(f"{text}: leaves no pixels")
    return operation
