"""`export` and `import`: whole DAGs as CARv1 archives, which every IPFS tool reads and writes.

An import stores nothing of an archive before it has come whole, hashes every block, and pins a root only if all that it
leads to is there: in the archive, or here already. What it does not pin it leaves without an owner, to be collected.
"""

import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import trio

from node.errors import Failed, RefusedByPolicy, Usage
from node.events import wall_ms
from node.ingest.source import MAX_FILE_BYTES
from node.operations import policy
from node.operations.looking import Looking
from node.operations.receiving import receive
from node.parts import Parts
from node.reading import BlockReader
from node.rows import Added, Content, Page
from node.service import Export, ImportOptions
from protocol.pin import Pin, pin_id
from store.car import MAX_ROOTS, CarReader, car_header, frame_prefix
from store.cid import cid_text
from store.dag import plan_walk, walk
from store.errors import BlockNotFound, StoreError
from store.images.claimed import claimed_image
from store.store import Holding, Owner, RecordEntry
from store.traversal import drive_async
from store.unixfs import read_file

log = logging.getLogger("pinakothek.archives")

CAR = "application/vnd.ipld.car"
PUT_BYTES = 8 << 20
LOOK_S = 10.0
"""Before an archive is begun: whoever asked waits for its first byte a few times as long. Guess."""
MAX_ARCHIVE_BYTES = 16 << 30
"""Of one import: what the control socket takes in one body."""


class _Whole(NamedTuple):
    """A root all of whose blocks are in the store."""

    blocks: list[bytes]
    size_bytes: int


class Archives:
    """Writes and reads archives for an operator."""

    def __init__(self, parts: Parts, looking: Looking) -> None:
        self._parts = parts
        self._looking = looking

    # export

    async def export(self, request: Export) -> Content:
        """See `Service.export`."""
        if not request.refs:
            raise Usage("refs: expected at least one")
        roots = list(dict.fromkeys(self._looking.first_pin(ref, request.flow).root for ref in request.refs))
        if len(roots) > MAX_ROOTS:
            raise Usage(f"refs: {len(roots)} images, at most {MAX_ROOTS} fit one archive")
        await self._check_that_they_are_to_be_had(roots)
        first = cid_text(roots[0])
        return Content(
            root=first, name=f"{first}.car", cid=first, media_type=CAR, size_bytes=None, chunks=self._archive(roots)
        )

    async def _check_that_they_are_to_be_had(self, roots: Sequence[bytes]) -> None:
        """Before an archive is begun, which can only break off; of many images as far as time allows. Raises: Failed."""
        with trio.move_on_after(LOOK_S):
            for root in roots:
                try:
                    async with self._parts.reading.open(root) as reader:
                        await reader.get(root)
                except StoreError as error:
                    raise Failed(f"{cid_text(root)}: {error}", hint="`pinakothek show` lists who holds it") from error

    async def _archive(self, roots: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
        yield car_header(roots)
        sent: set[bytes] = set()
        for root in roots:
            async with self._parts.reading.open(root) as reader:
                read: list[tuple[bytes, bytes]] = []

                async def get(
                    cid: bytes, read: list[tuple[bytes, bytes]] = read, reader: BlockReader = reader
                ) -> bytes:
                    block = await reader.get(cid)
                    read.append((cid, block))
                    return block

                async with aclosing(drive_async(plan_walk(root), get)) as walked:
                    async for visited in walked:
                        cid, block = read[-1]
                        read.clear()
                        if visited.cid not in sent:
                            sent.add(cid)
                            yield frame_prefix(cid, len(block))
                            yield block

    # import

    async def import_archive(self, options: ImportOptions, body: AsyncIterator[bytes]) -> Page[Added]:
        """See `Service.import_archive`."""
        policy.check_may_write(self._parts)
        policy.check_flow(self._parts, options.flow)
        if policy.flow_limits(self._parts, options.flow).strip:
            raise RefusedByPolicy(
                f"flow {options.flow} has metadata stripped, and an archive goes in as it is",
                hint="name another --flow",
            )
        path = self._parts.store.workspace / f"import-{secrets.token_hex(8)}"
        owner = Owner("job", secrets.token_bytes(16))
        try:
            await receive(self._parts, path, body, MAX_ARCHIVE_BYTES)
            roots = await trio.to_thread.run_sync(self._store_blocks, path, owner)
            return Page(rows=tuple([await self._pin(root, options) for root in roots]))
        except StoreError as error:
            raise Failed(str(error)) from error
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._parts.store.drop, owner)
                await trio.Path(path).unlink(missing_ok=True)

    def _store_blocks(self, path: Path, owner: Owner) -> list[bytes]:
        """Every block of the archive into the store, each hashed; the archive's roots (in a thread)."""
        store = self._parts.store
        with path.open("rb") as file:
            reader = CarReader(file)
            if len(reader.roots) > MAX_ROOTS:
                raise Failed(f"archive of {len(reader.roots)} roots, at most {MAX_ROOTS} are taken")
            if not reader.roots:
                raise Failed("archive without a root: nothing to pin")
            batch: list[tuple[bytes, bytes]] = []
            size_bytes = 0
            for frame in reader:
                batch.append((frame.cid, frame.data))
                size_bytes += len(frame.data)
                if size_bytes >= PUT_BYTES:
                    store.put(batch, owner=owner, verified=True)
                    batch, size_bytes = [], 0
            if batch:
                store.put(batch, owner=owner, verified=True)
        return list(dict.fromkeys(reader.roots))

    async def _pin(self, root: bytes, options: ImportOptions) -> Added:
        text = cid_text(root)
        new = not self._parts.knowledge.own.kinds_of(root)
        try:
            whole = await trio.to_thread.run_sync(self._whole, root)
        except BlockNotFound as error:
            return _row(text, None, f"the archive lacks a block of it: {cid_text(error.cid)}")
        except StoreError as error:
            return _row(text, None, str(error))
        draft = await self._draft(root, whole.size_bytes)
        try:
            policy.flow_limits(self._parts, options.flow).check_pin(replace(draft, size_bytes=whole.size_bytes))
        except RefusedByPolicy as refusal:
            return _row(text, None, refusal.message)
        name = options.name or draft.name
        now_ms = wall_ms()
        backend = policy.backend_of(self._parts, options.flow)
        kind = self._parts.offering.keeps_on(backend, root)
        pin = replace(
            draft,
            id=pin_id(options.flow, root, name, None),
            flow=options.flow,
            name=name,
            backend=backend,
            replicas=None,
            added_at_ms=now_ms,
            trashed_ms=None,
            expires_ms=None,
            deleted=False,
        )

        def commit(record: RecordEntry) -> Holding:
            return self._parts.store.commit_image(root, kind, whole.blocks, whole.size_bytes, None, [record])

        with trio.CancelScope(shield=True):
            _, holding = await self._parts.records.write_along(pin, commit)
            self._parts.knowledge.holding_changed(holding, True)
        self._parts.events.tell("added", root=text, detail=f"{name or text} to {options.flow}, from an archive")
        original = None if pin.original is None else cid_text(pin.original)
        return Added(path=text, root=text, original=original, new=new, size_bytes=whole.size_bytes, copies=1)

    def _whole(self, root: bytes) -> _Whole:
        """What a root consists of, read from the store (in a thread). Raises: BlockNotFound, StoreError."""
        visited = list(walk(root, self._parts.store.get))
        return _Whole([block.cid for block in visited], sum(block.size_bytes for block in visited))

    async def _draft(self, root: bytes, size_bytes: int) -> Pin:
        """What a pin of the root says: an image's facts only where this peer makes the same root of the original.

        Else its thumbnails could show anything, and would be taken for the original's.
        """
        for known in self._parts.lookup.pins(root):
            return known
        draft = Pin(id=b"", flow="", root=root, content="dag", size_bytes=size_bytes)
        claimed = await trio.to_thread.run_sync(claimed_image, root, self._parts.store.get)
        if claimed is None:
            return draft
        path = self._parts.store.workspace / f"original-{secrets.token_hex(8)}"
        try:
            await trio.to_thread.run_sync(self._write_out, claimed.original.cid, path)
            remade = await self._parts.intake.remade(path, claimed.original.cid, variants=claimed.has_variants)
        except (StoreError, Failed) as error:
            log.info("%s is pinned as what it is, not as an image: %s", cid_text(root), error)
            return draft
        finally:
            await trio.Path(path).unlink(missing_ok=True)
        if remade is None or remade[0] != root:
            return draft
        facts = remade[1]
        return replace(
            draft, content="image", original=claimed.original.cid, media_type=facts.media_type,
            width_px=facts.width_px, height_px=facts.height_px, phash=facts.phash,
        )  # fmt: skip

    def _write_out(self, cid: bytes, path: Path) -> None:
        """A file of the store to the workspace (in a thread). Raises: StoreError, Failed."""
        try:
            with path.open("xb") as file:
                for part in read_file(cid, self._parts.store.get, 0, MAX_FILE_BYTES):
                    file.write(part)
        except OSError as error:
            raise Failed(f"the workspace: {(error.strerror or str(error)).lower()}") from error


def _row(path: str, root: str | None, error: str) -> Added:
    return Added(path=path, root=root, original=None, new=False, size_bytes=0, copies=0, error=error)
