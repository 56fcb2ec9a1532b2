"""What workers hand back besides `facts.BuiltImage`: plain values, so that the daemon imports no decoder to read them."""

from dataclasses import dataclass
from typing import NamedTuple


class Stripped(NamedTuple):
    """An original without its metadata; `changed`: it had some."""

    content: bytes
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """An edited picture, encoded; or the `problem` with one of the operations. `frames`: of the original."""

    content: bytes = b""
    media_type: str = ""
    width_px: int = 0
    height_px: int = 0
    frames: int = 1
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBatch:
    """Some composed frames as PNGs, in order; `more`: others follow."""

    frames: tuple[bytes, ...]
    more: bool
