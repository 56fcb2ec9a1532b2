"""Uploads: what is refused before and while it comes, what a restart changes, and a place in a backend."""

import errno
import hashlib
import itertools
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from node.add_options import AddOptions
from node.errors import Failed, NotFound, RefusedByPolicy, TimedOut, UserError
from node.ingest import tickets, uploads
from node.ingest.taking import Given
from node.ingest.uploaded import TRIES, Upload
from node.ingest.uploads import Opened, Uploads
from node.job_service import NewUpload
from node.jobs.errors import Trouble
from node.jobs.job import Job, State
from node.jobs.ledger import Ledger
from node.jobs.queue import Jobs
from node.jobs.workplace import Workplace
from node.rows import Added
from store.backends import UPLOADS, PresignedPut, Range
from store.backends.memory import MemoryBackend
from tests.pictures import saved, scene

PICTURE = saved(scene(), "PNG")


class Taking:
    """Takes anything in, and remembers it."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.trouble: UserError | None = None

    def check(self, name: str, options: AddOptions) -> None:
        if options.flow == "closed":
            raise RefusedByPolicy("flow closed: this peer is none of those who may add to it")

    async def take(self, given: Given) -> Added:
        if self.trouble is not None:
            raise self.trouble
        self.taken.append(given.path.read_bytes())
        return Added(path=given.told, root="bafy", original="bafk", new=True, size_bytes=1, copies=1)


class Bucket(MemoryBackend):
    """A backend that can be sent to."""

    kind = "s3"

    def presign_put(self, upload_id: str, size_bytes: int, media_type: str) -> PresignedPut | None:
        headers = {"content-length": str(size_bytes), "content-type": media_type}
        return PresignedPut(f"https://bucket/{upload_id}", headers, 600)


class House:
    """Uploads and the queue of one data directory."""

    def __init__(self, folder: Path, bucket: Bucket | None = None) -> None:
        self.ledger = Ledger.opened(folder)
        self.jobs = Jobs(self.ledger, Workplace(folder / "workspace", 1 << 20))
        self.taking = Taking()

        def staging() -> Mapping[str, Any]:
            return {"s3": bucket} if bucket else {}

        self.uploads = Uploads(
            self.jobs, self.taking, staging=staging, kind_of=lambda flow: "s3" if flow == "bucket" else "ipfs",
            check_room=self.check_room,
        )  # fmt: skip
        self.jobs.register(Upload(self.jobs.workplace, self.taking, staging))
        self.folder = folder / "workspace" / "uploads"

    async def check_room(self, size_bytes: int) -> None:
        """There is."""

    async def done(self, opened: Opened) -> Job:
        with trio.fail_after(30):
            return await self.jobs.ended((await self.uploads.complete(opened.ticket.id)).id)


@asynccontextmanager
async def running(folder: Path, bucket: Bucket | None = None) -> AsyncIterator[House]:
    house = House(folder, bucket)
    async with trio.open_nursery() as nursery:
        await nursery.start(house.jobs.run)
        yield house
        nursery.cancel_scope.cancel()
    house.ledger.close()


class Pieces:
    """A body, a kilobyte at a time."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def __aiter__(self) -> "Pieces":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        await trio.lowlevel.checkpoint()
        piece, self._left = self._left[:1000], self._left[1000:]
        return piece


def pieces(content: bytes) -> Pieces:
    return Pieces(content)


def asked(**fields: Any) -> NewUpload:
    return NewUpload(**({"size_bytes": len(PICTURE), "media_type": "image/png"} | fields))


async def test_an_upload_goes_in_once_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        opened = await house.uploads.open(asked(sha256=hashlib.sha256(PICTURE).hexdigest()))
        assert opened.presigned is None
        with pytest.raises(Failed, match="nothing has come"):
            await house.uploads.complete(opened.ticket.id)
        await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        with pytest.raises(Failed, match="it has been used"):
            await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        job = await house.done(opened)
        assert (job.state, house.taking.taken) == (State.DONE, [PICTURE])
        assert await house.uploads.complete(opened.ticket.id) == job, "asked again, the same job"
        await house.uploads.sweep()
        assert list(house.folder.iterdir()) == []
        with pytest.raises(NotFound):
            await house.uploads.complete(opened.ticket.id)


@pytest.mark.parametrize(
    ("fields", "content", "why"),
    [
        ({}, PICTURE + b"x", f"more than the {len(PICTURE)} bytes that were said"),
        ({}, PICTURE[:-1], f"{len(PICTURE) - 1} of {len(PICTURE)} bytes came"),
        ({"media_type": "image/jpeg"}, PICTURE, "it is image/png, and image/jpeg was said"),
        ({"media_type": None, "size_bytes": 5}, b"words", "not an image"),
        ({"media_type": None, "size_bytes": 3000}, b"words" * 600, "not an image"),
    ],
)
async def test_what_was_not_said_is_refused_and_may_be_sent_right(
    tmp_path: Path, fields: dict[str, Any], content: bytes, why: str
) -> None:
    async with running(tmp_path) as house:
        opened = await house.uploads.open(asked(**fields))
        for _ in range(2):
            with pytest.raises(UserError, match=why):
                await house.uploads.receive(opened.ticket.id, opened.secret, pieces(content))
        assert list(house.folder.iterdir()) == []


async def test_another_hash_fails_the_job(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        opened = await house.uploads.open(asked(sha256="00" * 32))
        await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        job = await house.done(opened)
        assert (job.state, house.taking.taken) == (State.FAILED, [])
        assert "was said" in (job.error or "")


async def test_nobody_gets_in_without_the_secret(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        opened, other = await house.uploads.open(asked()), await house.uploads.open(asked())
        for upload_id, secret in ((opened.ticket.id, other.secret), ("0" * 16, opened.secret), ("../x", opened.secret)):
            with pytest.raises(NotFound, match="no such upload, or it has expired"):
                await house.uploads.receive(upload_id, secret, pieces(PICTURE))
        assert opened.secret.encode() not in (tmp_path / "jobs.db-wal").read_bytes()


async def test_what_policy_or_size_forbids_is_refused_before_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as house:
        with pytest.raises(RefusedByPolicy, match="flow closed"):
            await house.uploads.open(asked(options=AddOptions(flow="closed")))
        with pytest.raises(Failed, match="too large"):
            await house.uploads.open(asked(size_bytes=1 << 40))
        with pytest.raises(UserError, match="the workspace has room for"):
            await house.uploads.open(asked(size_bytes=2 << 20))
        monkeypatch.setattr(tickets, "MAX_TICKETS", 1)
        await house.uploads.open(asked())
        with pytest.raises(RefusedByPolicy, match="1 uploads are expected already"):
            await house.uploads.open(asked())


async def test_an_upload_outlives_a_restart_until_it_expires(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        kept, late = await house.uploads.open(asked()), await house.uploads.open(asked(expires_s=0.001))
        await house.uploads.receive(kept.ticket.id, kept.secret, pieces(PICTURE))
        (house.folder / "of-nobody").write_bytes(b"x")
        (house.folder / f"{kept.ticket.id}.part").write_bytes(b"half")
    async with running(tmp_path) as house:
        await house.uploads.sweep()
        assert [path.name for path in house.folder.iterdir()] == [kept.ticket.id]
        with pytest.raises(NotFound, match="has expired"):
            await house.uploads.receive(late.ticket.id, late.secret, pieces(PICTURE))
        assert (await house.done(kept)).state is State.DONE


async def test_a_client_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield PICTURE[:2000]
        raise Failed("body: the client left after 2000 bytes")

    async with running(tmp_path) as house:
        opened = await house.uploads.open(asked())
        with pytest.raises(Failed, match="the client left"):
            await house.uploads.receive(opened.ticket.id, opened.secret, broken())
        assert list(house.folder.iterdir()) == []
        await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))


async def test_of_two_who_send_at_once_one_gets_in(tmp_path: Path) -> None:
    refused: list[str] = []

    async def send() -> None:
        try:
            await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        except Failed as error:
            refused.append(error.message)

    async with running(tmp_path) as house:
        opened = await house.uploads.open(asked())
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(send)
        assert refused == [f"upload {opened.ticket.id}: it has been used"] * 3
        assert (await house.done(opened)).state is State.DONE


async def test_what_was_promised_room_does_not_go_beyond_the_quota(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        size_bytes = house.jobs.workplace.quota_bytes // 2 + 1
        content = PICTURE.ljust(size_bytes, b"\0")
        first, second = [await house.uploads.open(asked(size_bytes=size_bytes)) for _ in range(2)]
        await house.uploads.receive(first.ticket.id, first.secret, pieces(content))
        with pytest.raises(Trouble, match="the workspace has room for"):
            await house.uploads.receive(second.ticket.id, second.secret, pieces(content))
        assert [path.name for path in house.folder.iterdir()] == [first.ticket.id]
        house.jobs.workplace.quota_bytes *= 2
        await house.uploads.receive(second.ticket.id, second.secret, pieces(content))


async def test_who_sends_for_hours_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield PICTURE[:1]
        await trio.sleep_forever()

    monkeypatch.setattr(uploads, "LONGEST_S", 0.0)
    async with running(tmp_path) as house:
        opened = await house.uploads.open(asked())
        with pytest.raises(TimedOut, match="took longer than"):
            await house.uploads.receive(opened.ticket.id, opened.secret, slowly())
        assert list(house.folder.iterdir()) == []


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


async def test_a_flow_in_a_bucket_is_uploaded_there_and_checked_here(tmp_path: Path, bucket: Bucket) -> None:
    async with running(tmp_path, bucket) as house:
        options = AddOptions(flow="bucket")
        opened = await house.uploads.open(asked(options=options))
        assert opened.presigned is not None
        assert opened.presigned.url == f"https://bucket/{opened.ticket.id}"
        with pytest.raises(UserError, match="its place is not here"):
            await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        bucket.put(UPLOADS, opened.ticket.id, [PICTURE])
        assert (await house.done(opened)).state is State.DONE
        assert house.taking.taken == [PICTURE]
        assert list(bucket.list(UPLOADS)) == []

        untyped = await house.uploads.open(asked(options=options, media_type=None))
        assert untyped.presigned is None, "what is signed names the type"

        absent = await house.uploads.open(asked(options=options))
        assert "nothing has come" in ((await house.done(absent)).error or "")
        short = await house.uploads.open(asked(options=options))
        bucket.put(UPLOADS, short.ticket.id, [PICTURE[:-1]])
        assert f"{len(PICTURE) - 1} of {len(PICTURE)} bytes came" in ((await house.done(short)).error or "")
        await house.uploads.sweep()
        assert list(bucket.list(UPLOADS)) == []


async def test_what_comes_while_a_backend_is_slow_to_forget_another_is_kept(tmp_path: Path) -> None:
    """Bytes that were acknowledged during a look, and a job that was queued during it, at the last moment."""
    asked_to_forget, may_go_on = threading.Event(), threading.Event()

    class Slow(Bucket):
        def delete(self, root: bytes, name: str) -> None:
            asked_to_forget.set()
            assert may_go_on.wait(60)
            super().delete(root, name)

    async with running(tmp_path, Slow()) as house, trio.open_nursery() as nursery:
        while True:  # the slow one is looked at before the other: ids are random
            slow = await house.uploads.open(asked(options=AddOptions(flow="bucket"), expires_s=0.001))
            last = await house.uploads.open(asked())
            if slow.ticket.id < last.ticket.id:
                break
        await house.uploads.receive(last.ticket.id, last.secret, pieces(PICTURE))
        nursery.start_soon(house.uploads.sweep)
        await trio.to_thread.run_sync(asked_to_forget.wait)
        during = await house.uploads.open(asked())
        await house.uploads.receive(during.ticket.id, during.secret, pieces(PICTURE))
        house.jobs.handlers["upload"].at_once = 0
        queued = await house.uploads.complete(last.ticket.id)
        with house.ledger.transaction() as db:
            db.execute("UPDATE uploads SET expires_ms = 1 WHERE id = ?", (last.ticket.id,))
        may_go_on.set()
    with trio.fail_after(60):
        async with running(tmp_path) as house:
            assert {path.name for path in house.folder.iterdir()} >= {during.ticket.id}
            assert (await house.done(during)).state is State.DONE
            assert (await house.jobs.ended(queued.id)).state is State.DONE


async def test_a_folder_that_cannot_be_looked_into_does_not_end_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, thrice = 0, trio.Event()

    def failing(_: Workplace) -> list[str]:
        nonlocal looks
        looks += 1
        if looks == 3:
            trio.from_thread.run_sync(thrice.set)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Workplace, "uploads", failing)
    monkeypatch.setattr(uploads, "SWEEP_S", 0.0)
    house = House(tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.uploads.run)
        with trio.fail_after(60):
            await thrice.wait()
        nursery.cancel_scope.cancel()
    house.ledger.close()


async def test_a_bucket_that_sends_wrong_bytes_once_loses_no_upload(tmp_path: Path) -> None:
    answers = [b"short", b"?" * len(PICTURE)]

    class Garbling(Bucket):
        def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
            return answers.pop(0) if answers else super().get(root, name, part)

    bucket = Garbling()
    async with running(tmp_path, bucket) as house:
        house.jobs._now_ms = itertools.count(0, 10_000_000).__next__
        opened = await house.uploads.open(asked(options=AddOptions(flow="bucket")))
        bucket.put(UPLOADS, opened.ticket.id, [PICTURE])
        assert (await house.done(opened)).state is State.DONE
        assert (house.taking.taken, answers) == ([PICTURE], [])


@pytest.mark.parametrize("flow", ["bucket", "here"])
async def test_what_could_not_be_taken_in_for_long_can_be_tried_again(tmp_path: Path, flow: str) -> None:
    bucket = Bucket()
    async with running(tmp_path, bucket) as house:
        house.jobs._now_ms = itertools.count(0, 10_000_000).__next__  # every back-off is over at once
        opened = await house.uploads.open(asked(options=AddOptions(flow=flow)))
        if opened.presigned:
            bucket.put(UPLOADS, opened.ticket.id, [PICTURE])
        else:
            await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        house.taking.trouble = Trouble("the store is full")
        failed = await house.done(opened)
        assert (failed.state, failed.attempts) == (State.FAILED, TRIES)
        await house.uploads.sweep()
        house.taking.trouble = None
        assert (await house.uploads.complete(opened.ticket.id)).id == failed.id
        await house.jobs.retry(failed.id)
        assert (await house.done(opened)).state is State.DONE
        assert house.taking.taken == [PICTURE]
        await house.uploads.sweep()
        assert not house.jobs.workplace.used_bytes()
