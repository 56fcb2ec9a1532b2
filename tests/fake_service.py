"""A daemon's service in memory, for the control socket's and the command line's tests.

It keeps what it is given and answers as the protocol says, without a store or a swarm.
"""

import base64
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import trio

from node import rows, service, status_rows
from node.add_options import AddOptions
from node.control.server import serve
from node.errors import Ambiguous, Failed, NotFound, RefusedByPolicy, TimedOut
from node.quantities import unescape_path
from tests.fake_editing import FakeEditing
from tests.fake_governing import FakeGoverning
from tests.fake_jobs import FakeJobs
from tests.fake_orders import FakeOrders

ADA = "12D3KooWAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAdaAda"
BOB = "12D3KooWBobBobBobBobBobBobBobBobBobBobBobBobBobBobBob"
WHEN = "2026-05-31T12:00:00Z"
FACTOR = rows.Replicas(min=2, max=3)
CRASH = "crash"
KEEPERS = 2
FAR = "far.png"
"""The name of an image that this peer does not hold."""


def root_of(content: bytes) -> str:
    """A text shaped like a root CID."""
    return "bafybei" + base64.b32encode(hashlib.sha256(content).digest()).decode().lower().rstrip("=")


class FakeService(FakeGoverning, FakeOrders, FakeJobs, FakeEditing):
    """Two peers, images kept as bytes in a dictionary."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self.data_dir = data_dir
        self.bytes: dict[str, bytes] = {}
        self.pinned: list[rows.ImageRow] = []
        self.binned: list[rows.ImageRow] = []
        self.subscribers: list[trio.MemorySendChannel[rows.EventRow]] = []
        self.stuck = trio.Event()
        self.is_stuck = threading.Event()
        self.abandoned = trio.Event()

    def wait_until_stuck(self) -> None:
        """For another thread: until a request waits for ever."""
        assert self.is_stuck.wait(60)

    async def status(self) -> status_rows.Status:
        total = len(self.pinned)
        return status_rows.Status(
            peer_id=ADA,
            name="ada",
            version="0.1.0",
            data_dir=str(self.data_dir),
            addrs=("/ip4/127.0.0.1/tcp/4801/p2p/" + ADA,),
            state="active",
            zone="berlin",
            uptime_s=11_520.0,
            images=status_rows.ImageCounts(
                total=total,
                below_min=0,
                below_target=total,
                at_target=0,
                above_target=0,
                sought=0,
                lost=0,
                trashed=len(self.binned),
            ),
            peers=status_rows.PeerCounts(alive=2, suspect=0, down=0, left=0),
            store=status_rows.StoreUse(used_bytes=13 * 1024**3, capacity_bytes=100 * 1024**3, free_bytes=87 * 1024**3),
            work=status_rows.WorkCounts(queued=0, running=0, failed=0),
            swarm="bafyswarm",
            gateway="http://127.0.0.1:8480",
        )

    async def peers(self) -> tuple[rows.PeerRow, ...]:
        ada = rows.PeerRow(
            peer_id=ADA,
            name="ada",
            zone="berlin",
            state="active",
            sees="alive",
            roots=len(self.pinned),
            used_bytes=13 * 1024**3,
            capacity_bytes=100 * 1024**3,
            last_seen_s=0.0,
            addrs=("/ip4/127.0.0.1/tcp/4801",),
        )
        return ada, replace(ada, peer_id=BOB, name="bob", zone="", sees="suspect", last_seen_s=17.4)

    async def members(self) -> tuple[rows.MemberRow, ...]:
        return (rows.MemberRow(peer_id=ADA, name="ada", roles=("curator", "keeper"), admitted_at=WHEN, sees="alive"),)

    async def doctor(self, *, accept: bool) -> tuple[rows.CheckRow, ...]:
        return (
            rows.CheckRow(check="catalogue", ok=True, detail="whole"),
            rows.CheckRow(check="clock", ok=accept, detail="31 s ahead of the median"),
        )

    async def audit(self) -> rows.Audit:
        return rows.Audit(challenges=12, proven=10, wrong=1, silent=1)

    async def scrub(self) -> rows.Scrub:
        return rows.Scrub(blocks_checked=1204, bad=3, healed=2, seconds=2.5)

    async def verify(self, query: service.Verify) -> rows.Page[rows.Verified]:
        found = [image for image in self.pinned if query.ref in (None, image.name, image.root)]
        if query.ref is not None and not found:
            raise NotFound(f"{query.ref}: no such image")
        return rows.Page(rows=tuple(self._verified(image, deep=query.deep) for image in found))

    def _verified(self, image: rows.ImageRow, *, deep: bool) -> rows.Verified:
        if image.name == FAR:
            return rows.Verified(root=image.root, name=image.name, held=False, blocks_checked=0, ok=False)
        proofs = {"challenges": 2, "proven": 1, "wrong": 1} if deep else {}
        return rows.Verified(root=image.root, name=image.name, held=True, blocks_checked=9, ok=not deep, **proofs)

    async def add(self, request: service.AddFile) -> rows.Added:
        path = os.fsdecode(unescape_path(request.path))
        try:
            content = await trio.Path(path).read_bytes()
        except OSError as error:
            raise Failed((error.strerror or "unreadable").lower()) from error
        return self._take(content, request.path, request.options)

    async def upload(self, options: AddOptions, body: AsyncIterator[bytes]) -> rows.Added:
        return self._take(b"".join([part async for part in body]), options.name or "", options)

    def _take(self, content: bytes, path: str, options: AddOptions) -> rows.Added:
        if content == CRASH.encode():
            raise ZeroDivisionError("a bug")
        if not content.startswith(b"IMAGE"):
            raise Failed("image rejected: not an image that we know")
        if options.wait > KEEPERS:
            raise RefusedByPolicy(f"wait {options.wait}: only {KEEPERS} keepers are alive")
        root = root_of(content)
        new = root not in self.bytes
        self.bytes[root] = content
        name = options.name or path
        if not any(row.root == root and row.flow == options.flow for row in self.pinned):
            self.pinned.append(
                rows.ImageRow(
                    root=root,
                    name=name,
                    flow=options.flow,
                    size_bytes=len(content),
                    width_px=640,
                    height_px=480,
                    media_type="image/png",
                    added_at=WHEN,
                    copies=1,
                    replicas=options.replicas or FACTOR,
                    state="below_target",
                )
            )
        added = rows.Added(
            path=path, root=root, original=root_of(root.encode()), new=new, size_bytes=len(content), copies=1
        )
        if options.wait > 1:
            raise TimedOut(f"1 of {options.wait} keepers confirmed within {options.timeout_s:.0f} s", partial=added)
        return added

    async def images(self, query: service.ImageQuery) -> rows.Page[rows.ImageRow]:
        found = sorted((r for r in self.pinned if query.flow in (None, r.flow)), key=lambda r: r.name)
        start = int(query.after or 0)
        end = start + query.limit
        return rows.Page(rows=tuple(found[start:end]), next=str(end) if end < len(found) else None)

    def _find(self, ref: str, flow: str | None) -> rows.ImageRow:
        found = [r for r in self.pinned if (r.root.startswith(ref) or r.name == ref) and flow in (None, r.flow)]
        if not found:
            raise NotFound(f"{ref}: no such image")
        roots = sorted({row.root for row in found})
        if len(roots) > 1:
            raise Ambiguous(f"{ref}: {len(roots)} images", hint="give more of it", candidates=roots)
        return found[0]

    async def show(self, ref: str, flow: str | None) -> rows.ImageDetail:
        row = self._find(ref, flow)
        files = (rows.FileRow(name="original.png", cid=root_of(b"o"), size_bytes=row.size_bytes or 0),)
        holders = (rows.HolderRow(peer_id=ADA, name="ada", zone="berlin", state="alive", proven_at=None),)
        return rows.ImageDetail(
            root=row.root,
            name=row.name,
            flow=row.flow,
            size_bytes=row.size_bytes,
            width_px=row.width_px,
            height_px=row.height_px,
            media_type=row.media_type,
            added_at=row.added_at,
            copies=row.copies,
            replicas=row.replicas,
            files=files,
            holders=holders,
            state=row.state,
            flows=(row.flow,),
            original=root_of(b"o"),
            reason="1 of 3 copies: no other keeper has room",
        )

    async def resolve(self, ref: str, flow: str | None) -> rows.Resolved:
        row = self._find(ref, flow)
        return rows.Resolved(root=row.root, flow=row.flow, name=row.name)

    async def export(self, request: service.Export) -> rows.Content:
        found = [self._find(ref, request.flow) for ref in request.refs]

        async def chunks() -> AsyncIterator[bytes]:
            for row in found:
                yield b"CAR of " + row.root.encode() + b"\n"

        root = found[0].root
        return rows.Content(
            root=root, name=f"{root}.car", cid=root, media_type="application/vnd.ipld.car", size_bytes=None,
            chunks=chunks(),
        )  # fmt: skip

    async def similar(self, request: service.SimilarTo) -> tuple[rows.SimilarRow, ...]:
        if request.ref is not None:
            self._find(request.ref, request.flow)
        found = enumerate(row for row in self.pinned if row.root != request.ref)
        return tuple(
            rows.SimilarRow(root=row.root, name=row.name, flow=row.flow, distance_bits=bits) for bits, row in found
        )

    async def import_archive(self, options: service.ImportOptions, body: AsyncIterator[bytes]) -> rows.Page[rows.Added]:
        content = b"".join([part async for part in body])
        if not content.startswith(b"CAR of "):
            raise Failed("archive: no frame at byte 0")
        roots = [line.split()[-1].decode() for line in content.splitlines()]
        return rows.Page(
            rows=tuple(
                rows.Added(path=root, root=root, original=None, new=True, size_bytes=6, copies=1) for root in roots
            )
        )

    async def content(self, ref: str, variant: str, flow: str | None) -> rows.Content:
        row = self._find(ref, flow)
        if variant not in ("original", "broken", "endless"):
            raise NotFound(f"{ref}: no variant {variant}")
        content = self.bytes[row.root]
        size = {"original": len(content), "broken": len(content) + 1, "endless": 2**40}[variant]

        async def chunks() -> AsyncIterator[bytes]:
            yield content
            if variant == "broken":
                raise Failed("block is not here")
            while variant == "endless":
                yield bytes(64 * 1024)

        return rows.Content(
            root=row.root,
            name="original.png",
            cid=root_of(b"o"),
            media_type="image/png",
            size_bytes=size,
            chunks=chunks(),
        )

    async def remove(self, request: service.Remove) -> tuple[rows.Removed, ...]:
        if request.purge:
            raise RefusedByPolicy("purge: needs a steward's key", hint="run it on the steward's peer")
        row = self._find(request.ref, request.flow)
        flows = [r.flow for r in self.pinned if r.root == row.root]
        if request.flow is None and len(flows) > 1:
            raise Ambiguous(f"{request.ref}: in {len(flows)} flows", hint="name one with --flow", candidates=flows)
        self.pinned.remove(row)
        self.binned.append(row)
        return (rows.Removed(root=row.root, name=row.name, flow=row.flow, until="2026-06-30T12:00:00Z"),)

    async def undelete(self, ref: str, flow: str | None) -> tuple[rows.Removed, ...]:
        found = [r for r in self.binned if r.root.startswith(ref) or r.name == ref]
        if not found:
            raise NotFound(f"{ref}: not in the trash")
        self.binned.remove(found[0])
        self.pinned.append(found[0])
        return (rows.Removed(root=found[0].root, name=found[0].name, flow=found[0].flow),)

    async def trash(self, limit: int, after: str | None) -> rows.Page[rows.TrashRow]:
        return rows.Page(
            rows=tuple(
                rows.TrashRow(root=r.root, name=r.name, flow=r.flow, trashed_at=WHEN, until="2026-06-30T12:00:00Z")
                for r in self.binned
            )
        )

    async def pin_add(self, request: service.AddPin) -> rows.PinRow:
        if request.cid == "stuck":
            self.stuck.set()
            self.is_stuck.set()
            try:
                await trio.sleep_forever()
            finally:
                self.abandoned.set()
        return rows.PinRow(
            id="p1",
            cid=request.cid,
            name=request.name or "",
            flow=request.flow,
            content="dag",
            size_bytes=None,
            copies=1,
            replicas=request.replicas or FACTOR,
            state="below_target",
            added_at=WHEN,
        )

    async def pin_remove(self, cid: str, flow: str | None) -> tuple[rows.Removed, ...]:
        return await self.remove(service.Remove(ref=cid, flow=flow))

    async def pins(self, limit: int, after: str | None) -> rows.Page[rows.PinRow]:
        return rows.Page(rows=(await self.pin_add(service.AddPin(cid=root_of(b"dag"), name="a dag")),))

    async def invite(self, request: service.MakeInvite) -> rows.Invite:
        return rows.Invite(
            invite="pinakothek-invite-1:abc", role=",".join(request.roles), uses=request.uses, expires=WHEN
        )

    async def flows(self) -> tuple[rows.FlowRow, ...]:
        return (rows.FlowRow(name="default", backend="ipfs", replicas=None, images=len(self.pinned)),)

    async def set_flow(self, request: service.SetFlow) -> rows.FlowRow:
        return rows.FlowRow(name=request.name, backend=request.backend or "ipfs", replicas=request.replicas, images=0)

    async def events(self, after: int | None) -> AsyncIterator[rows.EventRow]:
        for seq in range((after or 0) + 1, 4):
            yield rows.EventRow(seq=seq, at=WHEN, kind="pinned", root=root_of(b"x"), detail=f"event {seq}")
        await trio.sleep_forever()

    async def settings(self) -> tuple[rows.SettingRow, ...]:
        return (
            rows.SettingRow(name="zone", value="berlin", source="config.toml"),
            rows.SettingRow(name="listen", value=["/ip4/127.0.0.1/tcp/0"], source="--listen"),
        )

    async def metrics(self) -> str:
        return f"# TYPE pinakothek_roots gauge\npinakothek_roots {len(self.pinned)}\n"

    async def block(self, cid: str, *, fetch: bool) -> bytes:
        if cid not in self.bytes:
            raise NotFound(f"block {cid} is not here")
        return self.bytes[cid]


@contextmanager
def serving(data_dir: Path) -> Iterator[FakeService]:
    """A fake that serves `data_dir` from a thread of its own, for tests that wait on a subprocess."""
    fake = FakeService(data_dir)
    started: SimpleQueue[tuple[trio.lowlevel.TrioToken, trio.Event] | BaseException] = SimpleQueue()

    async def run() -> None:
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, fake, data_dir, stop, version="0.1.0", grace_s=0.2))
            started.put((trio.lowlevel.current_trio_token(), stop))
            await stop.wait()

    def guarded() -> None:
        try:
            trio.run(run)
        except BaseException as error:
            started.put(error)
            raise

    thread = threading.Thread(target=guarded)
    thread.start()
    outcome = started.get(timeout=60)
    if isinstance(outcome, BaseException):
        raise outcome
    token, stop = outcome
    try:
        yield fake
    finally:
        token.run_sync_soon(stop.set)
        thread.join(60)
        assert not thread.is_alive(), "the server did not stop"
