"""Editing: sessions in the workspace, each with an image's original, its operations and what comes of them."""

import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import trio

from node.add_options import AddOptions
from node.edit_service import ChangeEdit, EditRow, OpenEdit, SaveEdit
from node.errors import Failed, NotFound, RefusedByPolicy, Usage
from node.ingest.source import MAX_FILE_BYTES
from node.ingest.taking import Given, Taking
from node.operations.content import Contents
from node.operations.looking import Looking
from node.operations.receiving import check_room, receive
from node.parts import Parts
from node.quantities import size_text
from node.rows import Added, Content
from protocol.limits import OPERATION_BYTES, OPERATIONS
from protocol.pin import Pin
from store.cid import cid_text
from store.errors import ImageRejected
from store.images.made import Edited
from store.images.sniff import format_of

SESSIONS = 16
IDLE_S = 900.0
"""A session that nobody used for so long goes; a guess."""
FRAMES_BYTES = 1 << 30
FRAMES = 20_000
"""All frames of one animation, in the workspace, and the files they are; guesses: ten minutes at 30 frames/s."""
READ_BYTES = 1 << 20


@dataclass(slots=True, kw_only=True)
class _Session:
    """One session. `frames_made`: how many composed frames lie in its folder; None: nobody asked for them."""

    name: str
    pin: Pin
    folder: Path
    edited: Edited
    path: Path
    size_bytes: int
    operations: tuple[str, ...] = ()
    frame: int = 0
    used_s: float
    frames_made: int | None = None
    turn: trio.Lock = field(default_factory=trio.Lock)


class Editing:
    """The sessions of one daemon; `run` is to be run."""

    def __init__(self, parts: Parts, looking: Looking, contents: Contents, taking: Taking) -> None:
        self._parts = parts
        self._looking = looking
        self._contents = contents
        self._taking = taking
        self._sessions: dict[str, _Session] = {}

    async def open_edit(self, request: OpenEdit) -> EditRow:
        """See `EditService.open_edit`."""
        pin = self._looking.first_pin(request.ref, request.flow)
        if pin.content != "image":
            raise Usage(f"{request.ref}: not an image", hint="only images are edited")
        await self._make_place()
        name = secrets.token_hex(8)
        folder = self._parts.store.workspace / f"edit-{name}"
        try:
            await trio.Path(folder).mkdir(mode=0o700)
            original = await self._contents.open(cid_text(pin.root), "original", None)
            await receive(self._parts, folder / "original", original.chunks, MAX_FILE_BYTES)
            edited, path = await self._edit(folder, (), 0)
            session = _Session(
                name=name, pin=pin, folder=folder, edited=replace(edited, content=b""), path=path,
                size_bytes=len(edited.content), used_s=trio.current_time(),
            )  # fmt: skip
        except BaseException:
            with trio.CancelScope(shield=True):
                await _remove(folder)
            raise
        self._sessions[name] = session
        return _row(session)

    async def change_edit(self, edit: str, request: ChangeEdit) -> EditRow:
        """See `EditService.change_edit`."""
        if len(request.operations) >= OPERATIONS:
            raise Usage(f"{len(request.operations)} operations: expected fewer than {OPERATIONS}")
        for text in request.operations:
            if len(text.encode()) > OPERATION_BYTES:
                raise Usage(f"operation {text[:32]!r}…: expected at most {OPERATION_BYTES} bytes")
        async with self._using(edit) as session:
            before = session.path
            edited, session.path = await self._edit(session.folder, request.operations, request.frame)
            session.edited, session.size_bytes = replace(edited, content=b""), len(edited.content)
            session.operations, session.frame = request.operations, request.frame
            await trio.Path(before).unlink(missing_ok=True)
            return _row(session)

    async def edited(self, edit: str) -> Content:
        """See `EditService.edited`."""
        async with self._using(edit) as session:
            return self._content(session, session.path, session.edited.media_type, session.size_bytes)

    async def edit_frame(self, edit: str, frame: str) -> Content:
        """See `EditService.edit_frame`."""
        async with self._using(edit) as session:
            if session.frames_made is None:
                session.frames_made = await self._compose(session)
            if not frame.isdecimal() or len(frame) > 9 or int(frame) >= session.frames_made:
                raise NotFound(f"frame {frame[:32]}: there are {session.frames_made}, counted from 0")
            path = _frame_path(session.folder, int(frame))
            return self._content(session, path, "image/png", (await trio.Path(path).stat()).st_size)

    async def save_edit(self, edit: str, request: SaveEdit) -> Added:
        """See `EditService.save_edit`."""
        async with self._using(edit) as session:
            name = request.name or _edited_name(session.pin, session.edited)
            options = AddOptions(
                flow=request.flow or session.pin.flow, name=name, wait=request.wait, timeout_s=request.timeout_s
            )
            operations = ((f"frame {session.frame}",) if session.frame else ()) + session.operations
            if not operations:
                raise Usage("nothing was done to it: there is nothing to save")
            self._taking.check(name, options)
            await check_room(self._parts, session.size_bytes)
            return await self._taking.take(
                Given(
                    path=session.path, told=name, name=name, options=options,
                    parent=session.pin.root, operations=operations,
                )
            )  # fmt: skip

    async def close_edit(self, edit: str) -> EditRow:
        """See `EditService.close_edit`."""
        async with self._using(edit) as session:
            self._sessions.pop(edit, None)
            await _remove(session.folder)
            return _row(session)

    @asynccontextmanager
    async def _using(self, edit: str) -> AsyncIterator[_Session]:
        """One call at a time is in a session. Raises: NotFound."""
        session = self._sessions.get(edit)
        if session is None:
            raise NotFound(
                f"edit {edit[:32]}: no such session", hint="it may have been idle for too long: open another"
            )
        async with session.turn:
            if edit not in self._sessions:
                raise NotFound(f"edit {edit[:32]}: was closed")
            session.used_s = trio.current_time()
            yield session

    async def run(self) -> None:
        """End the sessions that nobody uses: what they have in the workspace is room that others are refused."""
        while True:
            await trio.sleep(IDLE_S / 10)
            await self.sweep()

    async def sweep(self) -> None:
        """End the sessions that nobody has used for `IDLE_S`."""
        idle_since_s = trio.current_time() - IDLE_S
        idle = [each for each in self._sessions.values() if each.used_s <= idle_since_s and not each.turn.locked()]
        for session in idle:
            del self._sessions[session.name]  # all of them before the first wait: nobody else finds them
        for session in idle:
            await _remove(session.folder)

    async def _make_place(self) -> None:
        """Raises: RefusedByPolicy: there are too many sessions, all in use."""
        await self.sweep()
        if len(self._sessions) >= SESSIONS:
            raise RefusedByPolicy(f"{SESSIONS} images are being edited: no more at a time", hint="close a session")

    async def _edit(self, folder: Path, operations: tuple[str, ...], frame: int) -> tuple[Edited, Path]:
        """What comes of the original, and the new file of the workspace that holds it.

        Raises:
            Usage: one of the operations cannot be.
            Failed: the image cannot be edited.
        """
        try:
            edited = await self._parts.intake.edit(folder / "original", operations, frame)
        except ImageRejected as error:
            raise Failed(f"cannot be edited: {error.reason}") from error
        if edited.problem is not None:
            raise Usage(edited.problem)
        path = folder / f"edited-{secrets.token_hex(4)}.{format_of(edited.media_type).extension}"
        await self._check_room(len(edited.content))
        await self._write(path, edited.content)
        return edited, path

    async def _compose(self, session: _Session) -> int:
        """Write every frame to the workspace; how many there are."""
        made = 0
        size_bytes = 0
        more = True
        while more:
            try:
                batch = await self._parts.intake.frames(session.folder / "original", made)
            except ImageRejected as error:
                raise Failed(f"its frames cannot be read: {error.reason}") from error
            batch_bytes = sum(map(len, batch.frames))
            size_bytes += batch_bytes
            if size_bytes > FRAMES_BYTES:
                raise Failed(f"its frames take more than {size_text(FRAMES_BYTES)}")
            if made + len(batch.frames) > FRAMES:
                raise Failed(f"more than {FRAMES} frames")
            await self._check_room(batch_bytes)
            for content in batch.frames:
                await self._write(_frame_path(session.folder, made), content)
                made += 1
            more = batch.more
        return made

    async def _check_room(self, size_bytes: int) -> None:
        """Raises: Failed, Trouble: neither the store nor the workspace has it."""
        await check_room(self._parts, size_bytes)
        await trio.to_thread.run_sync(self._parts.jobs.workplace.check_room, size_bytes)

    async def _write(self, path: Path, content: bytes) -> None:
        try:
            await trio.Path(path).write_bytes(content)
        except OSError as error:
            raise Failed(f"the workspace: {(error.strerror or str(error)).lower()}") from error

    def _content(self, session: _Session, path: Path, media_type: str, size_bytes: int) -> Content:
        root = cid_text(session.pin.root)
        return Content(
            root=root, name=path.name, cid=root, media_type=media_type, size_bytes=size_bytes, chunks=_chunks(path)
        )  # fmt: skip


async def _chunks(path: Path) -> AsyncGenerator[bytes, None]:
    """A file of a session, which may be changed or closed meanwhile."""
    try:
        async with await trio.open_file(path, "rb") as file:
            while chunk := await file.read(READ_BYTES):
                yield chunk
    except FileNotFoundError as error:
        raise Failed("the session was changed or closed meanwhile") from error


async def _remove(folder: Path) -> None:
    await trio.to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))


def _frame_path(folder: Path, number: int) -> Path:
    return folder / f"frame-{number:06}.png"


def _edited_name(pin: Pin, edited: Edited) -> str:
    """`holiday/beach.jpg` becomes `holiday/beach-edited.jpg`, of the new picture's own kind."""
    stem = (pin.name or cid_text(pin.root)[:16]).rpartition(".")[0] or pin.name or cid_text(pin.root)[:16]
    return f"{stem}-edited.{format_of(edited.media_type).extension}"


def _row(session: _Session) -> EditRow:
    edited = session.edited
    return EditRow(
        edit=session.name,
        root=cid_text(session.pin.root),
        name=session.pin.name or "",
        flow=session.pin.flow,
        frames=edited.frames,
        frame=session.frame,
        operations=session.operations,
        media_type=edited.media_type,
        width_px=edited.width_px,
        height_px=edited.height_px,
        size_bytes=session.size_bytes,
    )
