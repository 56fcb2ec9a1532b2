"""What an editor needs of the daemon, a part of `node.service`: sessions in the workspace that change a picture.

A session holds an image's original and a list of operations, which are always applied to that original: nothing is
encoded twice. Until it is saved nothing is stored, and the daemon's restart ends it.
"""

from dataclasses import dataclass
from typing import Annotated, Protocol

from msgspec import Meta

from node.add_options import Count, Seconds
from node.rows import Added, Content


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEdit:
    """Begin to edit the image `ref`; `flow`: the one in which that is meant."""

    ref: str
    flow: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEdit:
    """What is to be done to the original, instead of what was to be done before.

    Attributes:
        operations: in order, each `crop X,Y,W,H`, `rotate DEG`, `flip h`, `flip v` or `resize WxH`.
        frame: of an animation, counted from 0.
    """

    operations: Annotated[tuple[str, ...], Meta(max_length=63)] = ()
    frame: Annotated[int, Meta(ge=0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveEdit:
    """How to take the edited image in.

    Attributes:
        name: of its pin; None: the parent's, marked as edited.
        flow: None: the parent's.
        wait, timeout_s: as of `AddOptions`.
    """

    name: str | None = None
    flow: str | None = None
    wait: Count = 1
    timeout_s: Seconds = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRow:
    """A session. `width_px`, `height_px`, `size_bytes`: of the picture as it would be saved; `root`: of its parent."""

    edit: str
    root: str
    name: str
    flow: str
    frames: int
    frame: int
    operations: tuple[str, ...]
    media_type: str
    width_px: int
    height_px: int
    size_bytes: int


class EditService(Protocol):
    """The daemon, as its editors use it."""

    async def open_edit(self, request: OpenEdit) -> EditRow:
        """Begin a session: the original is fetched into the workspace. Raises `Failed` where it cannot be edited."""

    async def change_edit(self, edit: str, request: ChangeEdit) -> EditRow:
        """Apply other operations. Raises `Usage` where one is none, or leaves the picture; the session stays as it was."""

    async def edited(self, edit: str) -> Content:
        """The picture as it would be saved."""

    async def edit_frame(self, edit: str, frame: str) -> Content:
        """A composed frame of an animation as a PNG; the first call composes all into the workspace."""

    async def save_edit(self, edit: str, request: SaveEdit) -> Added:
        """Store the edited picture as a new image, whose pin names its parent and the operations."""

    async def close_edit(self, edit: str) -> EditRow:
        """End a session and forget its files."""
