"""Take an image in: read → check → variants → store → pin. One pipeline for whatever source.

1. The file is read: its CID and its BLAKE3 are computed. A small one stays in memory.
2. A worker process decodes the same path and makes the variants. It reports the BLAKE3 of what it read: where that is
   not ours, the file changed in between and is refused.
3. Original (a large one is read again), variants and directory are stored, owned by the job; the root is held, the pin
   is written; each of them is durable before the answer.

What is refused was never stored. A job that is cut short leaves nothing: its blocks lose their owner.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import trio

from node.errors import Failed
from node.events import wall_ms
from node.ingest.decoder import DecoderPool
from node.ingest.flow_limits import FlowLimits
from node.ingest.shared_url import shared_url
from node.ingest.source import SourceFile
from node.kinds import EMBEDDED
from node.swarm.records import SharedRecords
from protocol.pin import Pin, pin_id
from protocol.records import Replicas, Signed
from store.cid import cid_text
from store.errors import BackendUnavailable, ImageRejected, StoreError
from store.images.directory import image_directory
from store.images.facts import BuiltImage, ImageFacts
from store.images.made import Edited, FrameBatch
from store.store import Holding, Owner, RecordEntry, Store
from store.unixfs import Block

log = logging.getLogger("pinakothek.intake")

JOBS_AT_ONCE = 8
"""Files being read, decoded or stored at a time: enough to keep two decoders busy while others wait for the disk."""
PUT_BYTES = 8 << 20
"""Stored in one go, and so the size of a small original: most photographs are below."""

OnHolding = Callable[[Holding, bool], None]
Keep = Callable[[Callable[[], Awaitable[BuiltImage]], str], Awaitable[BuiltImage]]
"""Given how to build, and the original's BLAKE3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to take in, and how its pin is to read.

    Attributes:
        path: where the bytes are.
        name: the pin's.
        limits: of the flow.
        parent, operations: the root that it was edited from, and how.
        origin: URL or page it came from; the pin has of it what all members may read.
        patience_s: how long a backend beside the embedded store may take with it; None: as long as its calls do.
        keep: stands between this and the decoder: it may have what an earlier run of a job has built.
    """

    path: Path
    name: str
    flow: str
    backend: str
    replicas: Replicas | None = None
    expires_ms: int | None = None
    original_only: bool = False
    limits: FlowLimits = field(default_factory=FlowLimits)
    parent: bytes | None = None
    operations: tuple[str, ...] = ()
    origin: str | None = None
    patience_s: float | None = None
    keep: Keep | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of it.

    Attributes:
        new: this peer did not hold the image before.
        waited_s: for a backend that could not be asked, so that it is kept embedded meanwhile.
        stripped: the original is not what was given: the flow has metadata taken out, and there were some.
    """

    root: bytes
    original: bytes
    new: bool
    size_bytes: int
    pin: Signed[Pin]
    stripped: bool = False
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Original:
    """A file as it was read. `blocks`: the CIDs of its DAG; `kept`: these blocks, None where they are too many."""

    cid: bytes
    size_bytes: int
    tsize_bytes: int
    blake3: str
    blocks: tuple[bytes, ...]
    kept: tuple[Block, ...] | None


class Intake:
    """The pipeline of one peer.

    Args:
        kinds_of: the kinds on which this peer holds a root.
        keeps_on: the kind on which this peer keeps a root that is pinned to one.
        on_holding: called when a root was taken, after that is durable.
    """

    def __init__(
        self,
        store: Store,
        decoder: DecoderPool,
        records: SharedRecords,
        *,
        kinds_of: Callable[[bytes], Sequence[str]],
        keeps_on: Callable[[str, bytes], str],
        on_holding: OnHolding,
    ) -> None:
        self._store = store
        self._decoder = decoder
        self._records = records
        self._kinds_of = kinds_of
        self._keeps_on = keeps_on
        self._on_holding = on_holding
        self._slots = trio.CapacityLimiter(JOBS_AT_ONCE)
        self.running = 0

    async def take(self, request: Request) -> Taken:
        """Take one file in.

        Raises:
            Failed: the file cannot be read or is no image we keep; the message says why.
            RefusedByPolicy: the flow does not take it.
            StoreError: the disk refuses.
        """
        async with self._slots:
            self.running += 1
            owner = Owner("job", secrets.token_bytes(16))
            try:
                return await (self._take_stripped if request.limits.strip else self._take)(request, owner)
            except ImageRejected as error:
                raise Failed(str(error)) from error
            except StoreError as error:
                raise Failed(str(error)) from error
            finally:
                self.running -= 1

    async def _take_stripped(self, request: Request, owner: Owner) -> Taken:
        """Take in, by way of the workspace, what is left of the file without its metadata."""
        stripped = await self._decoder.strip(request.path)
        path = self._store.workspace / f"stripped-{owner.id.hex()}"
        try:
            await trio.Path(path).write_bytes(stripped.content)
            return replace(await self._take(replace(request, path=path), owner), stripped=stripped.changed)
        except OSError as error:
            raise Failed(f"the workspace: {(error.strerror or str(error)).lower()}") from error
        finally:
            with trio.CancelScope(shield=True):
                await trio.Path(path).unlink(missing_ok=True)

    async def _take(self, request: Request, owner: Owner) -> Taken:
        original = await trio.to_thread.run_sync(self._read, request.path)
        request.limits.check_bytes(original.size_bytes)
        known = self._known(original.cid)
        if known is not None:
            request.limits.check_pin(known)
            again = await self._records.write_one(_pin(request, replace(known, id=b"", added_at_ms=None)))
            return Taken(root=known.root, original=original.cid, new=False, size_bytes=known.size_bytes or 0, pin=again)
        build = partial(self._decoder.build, request.path, variants=not request.original_only)
        built = await (build() if request.keep is None else request.keep(build, original.blake3))
        if built.facts.blake3 != original.blake3:
            raise _changed()
        made = image_directory(original.cid, original.tsize_bytes, built)  # hashes the variants: half a millisecond
        root, facts = made[-1].cid, built.facts
        request.limits.check(facts.media_type, facts.width_px, facts.height_px)
        size_bytes = original.tsize_bytes + sum(len(block.data) for block in made)
        request.limits.check_bytes(size_bytes)
        pin = _pin(
            request,
            Pin(
                id=b"", flow=request.flow, root=root, content="image", original=original.cid,
                media_type=facts.media_type, width_px=facts.width_px, height_px=facts.height_px, phash=facts.phash,
                size_bytes=size_bytes,
            ),
        )  # fmt: skip
        kind = self._keeps_on(request.backend, root)
        store = partial(self._store_image, request.path, original, made, size_bytes, owner, kind, request.patience_s)
        begun_s = trio.current_time()
        # A step of the holdings that is never told would hold back all that follow.
        with trio.CancelScope(shield=True):
            try:
                signed, holding = await self._records.write_along(pin, store)
            except BaseException:
                await trio.to_thread.run_sync(self._store.drop, owner)
                raise
            self._on_holding(holding, True)
        waited_s = 0.0 if holding.kind == kind else trio.current_time() - begun_s
        return Taken(root=root, original=original.cid, new=True, size_bytes=size_bytes, pin=signed, waited_s=waited_s)

    async def phash_of(self, path: Path) -> str:
        """The perceptual hash of the image in a file. Raises: ImageRejected, Failed."""
        async with self._slots:
            await trio.to_thread.run_sync(self._read, path)  # says what is wrong with the file, if anything is
            return (await self._decoder.build(path, variants=True)).facts.phash

    async def edit(self, path: Path, operations: tuple[str, ...], frame: int) -> Edited:
        """A frame of the image in a file, edited. Raises: ImageRejected."""
        async with self._slots:
            return await self._decoder.edit(path, operations, frame)

    async def frames(self, path: Path, start: int) -> FrameBatch:
        """Composed frames of the animation in a file, from one on. Raises: ImageRejected."""
        async with self._slots:
            return await self._decoder.frames(path, start)

    async def remade(self, path: Path, original: bytes, *, variants: bool) -> tuple[bytes, ImageFacts] | None:
        """The root that the image in a file has when it is made here, and its facts; None where it is no image we keep.

        Args:
            original: CID that the file's bytes should have; None as well where they have another.
        """
        async with self._slots:
            read = await trio.to_thread.run_sync(self._read, path)
            if read.cid != original:
                return None
            try:
                built = await self._decoder.build(path, variants=variants)
            except ImageRejected:
                return None
            return image_directory(read.cid, read.tsize_bytes, built)[-1].cid, built.facts

    def _known(self, original: bytes) -> Pin | None:
        """A live pin of these bytes whose image this peer holds: then only this flow's pin is to be written."""
        for pin in self._records.counting.pins_by_original(original):
            record = pin.record
            if record.content == "image" and self._kinds_of(record.root):
                return record
        return None

    def _read(self, path: Path) -> _Original:
        """Read the file, storing nothing (in a thread)."""
        with closing(SourceFile(path)) as source:
            cids: dict[bytes, None] = {}
            kept: list[Block] | None = []
            kept_bytes = 0
            for block in source.blocks():
                cids[block.cid] = None
                kept_bytes += len(block.data)
                if kept is not None and kept_bytes <= PUT_BYTES:
                    kept.append(block)
                else:
                    kept = None
            done = source.imported
            return _Original(
                cid=done.root, size_bytes=done.size_bytes, tsize_bytes=done.tsize_bytes, blake3=source.blake3,
                blocks=tuple(cids), kept=None if kept is None else tuple(kept),
            )  # fmt: skip

    def _store_image(
        self,
        path: Path,
        original: _Original,
        made: list[Block],
        size_bytes: int,
        owner: Owner,
        kind: str,
        patience_s: float | None,
        pin: RecordEntry,
    ) -> Holding:
        """Store original, variants and directory, hold the root and write its pin, the last two in one (in a thread).

        For a backend that cannot be asked it is kept embedded, as where that is known before: who offers it fetches it.
        """
        if original.kept is None:
            self._store_large(path, original, owner)
        self._store.put([*(original.kept or ()), *made], owner=owner, verified=True)
        blocks = [*original.blocks, *(block.cid for block in made)]
        commit = partial(self._store.commit_image, made[-1].cid, blocks=blocks, size_bytes=size_bytes, frm=owner)
        try:
            return commit(kind, records=[pin], patience_s=patience_s)
        except BackendUnavailable as error:
            log.warning("%s is kept embedded for now: %s", cid_text(made[-1].cid), error)
            return commit(EMBEDDED, records=[pin])

    def _store_large(self, path: Path, original: _Original, owner: Owner) -> None:
        """Read the file again, into the store."""
        with closing(SourceFile(path)) as source:
            for batch in _batches(source.blocks()):
                self._store.put(batch, owner=owner, verified=True)
            if source.imported.root != original.cid:
                raise _changed()


def _pin(request: Request, draft: Pin) -> Pin:
    """The pin that is to be written, out of what is known of the image."""
    origin = shared_url(request.origin or "") or None
    return replace(
        draft,
        id=pin_id(request.flow, draft.root, request.name, origin),
        flow=request.flow,
        name=request.name,
        backend=request.backend,
        replicas=request.replicas,
        expires_ms=request.expires_ms,
        parent=request.parent,
        operations=request.operations,
        origin=origin,
        added_at_ms=wall_ms(),
        trashed_ms=None,
        deleted=False,
    )


def _changed() -> Failed:
    return Failed("changed while it was read", hint="add it again")


def _batches(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    batch: list[Block] = []
    size = 0
    for block in blocks:
        batch.append(block)
        size += len(block.data)
        if size >= PUT_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
