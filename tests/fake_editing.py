"""The editor's part of a daemon's service in memory: one session at a time, of a picture that is text."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any

from node import rows
from node.edit_service import ChangeEdit, EditRow, OpenEdit, SaveEdit
from node.errors import NotFound, Usage
from store.images.operations import BadOperation, parse_operation

EDIT = "00c0ffee00c0ffee"


class FakeEditing:
    """One peer's editor. `_find` gives the row of an image."""

    _find: Callable[[str, str | None], rows.ImageRow]

    def __init__(self) -> None:
        self.edit: EditRow | None = None

    async def open_edit(self, request: OpenEdit) -> EditRow:
        image = self._find(request.ref, request.flow)
        self.edit = EditRow(
            edit=EDIT, root=image.root, name=image.name, flow=image.flow, frames=1, frame=0, operations=(),
            media_type="image/png", width_px=640, height_px=480, size_bytes=6,
        )  # fmt: skip
        return self.edit

    def _now(self, edit: str) -> EditRow:
        if self.edit is None or edit != EDIT:
            raise NotFound(f"edit {edit}: no such session")
        return self.edit

    async def change_edit(self, edit: str, request: ChangeEdit) -> EditRow:
        try:
            for text in request.operations:
                parse_operation(text)
        except BadOperation as problem:
            raise Usage(str(problem)) from problem
        self.edit = replace(self._now(edit), operations=request.operations, frame=request.frame)
        return self.edit

    async def edited(self, edit: str) -> rows.Content:
        return self._content(self._now(edit), " then ".join(self._now(edit).operations).encode())

    async def edit_frame(self, edit: str, frame: str) -> rows.Content:
        if frame != "0":
            raise NotFound(f"frame {frame}: there are 1, counted from 0")
        return self._content(self._now(edit), b"IMAGE1")

    async def save_edit(self, edit: str, request: SaveEdit) -> rows.Added:
        now = self._now(edit)
        name = request.name or "edited.png"
        return rows.Added(path=name, root=now.root, original=now.root, new=True, size_bytes=6, copies=1)

    async def close_edit(self, edit: str) -> EditRow:
        now, self.edit = self._now(edit), None
        return now

    def _content(self, now: EditRow, content: bytes) -> rows.Content:
        async def chunks() -> AsyncGenerator[bytes, Any]:
            yield content

        return rows.Content(
            root=now.root,
            name="edited.png",
            cid=now.root,
            media_type="image/png",
            size_bytes=len(content),
            chunks=chunks(),
        )
