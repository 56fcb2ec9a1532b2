"""Uploads that a store or backend does not take for now: what is done again, what is kept, and what is not."""

import itertools
from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from node.add_options import AddOptions
from node.errors import Failed
from node.ingest.uploaded import TRIES
from node.jobs.errors import Trouble
from node.jobs.job import State
from store.backends import UPLOADS, Range
from store.errors import BackendRefused, BackendUnavailable, DagMalformed, StoreError, StoreFull
from tests.unit.test_uploads import PICTURE, Bucket, asked, pieces, running


def failed_for(cause: StoreError) -> Failed:
    """As the intake words what the store refuses."""
    failed = Failed(str(cause))
    failed.__cause__ = cause
    return failed


@pytest.mark.parametrize("cause", [StoreFull(0, 0), BackendRefused("s3", "answered 403 forbidden")], ids=repr)
async def test_a_store_that_refuses_for_now_gives_up_no_upload(tmp_path: Path, cause: StoreError) -> None:
    """Its bytes are acknowledged, and nobody else may have them."""
    async with running(tmp_path) as house:
        house.jobs._now_ms = itertools.count(0, 10_000_000).__next__
        opened = await house.uploads.open(asked())
        await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        house.taking.trouble = failed_for(cause)
        failed = await house.done(opened)
        assert (failed.state, failed.attempts) == (State.FAILED, TRIES)
        assert str(cause) in (failed.error or "")
        house.taking.trouble = None
        await house.jobs.retry(failed.id)
        assert (await house.done(opened)).state is State.DONE


async def test_one_that_is_kept_for_a_retry_goes_when_it_is_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        house.jobs._now_ms = itertools.count(0, 10_000_000).__next__
        opened = await house.uploads.open(asked())
        await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        house.taking.trouble = Trouble("the store is full")
        failed = await house.done(opened)
        assert house.jobs.workplace.used_bytes()
        await house.jobs.cancel(failed.id)
        await house.uploads.sweep()
        assert not house.jobs.workplace.used_bytes()


async def test_a_bucket_that_refuses_to_be_read_for_now_loses_no_upload(tmp_path: Path) -> None:
    refusals = [BackendRefused("s3", "answered 403 forbidden")]

    class Locked(Bucket):
        def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
            if refusals:
                raise refusals.pop()
            return super().get(root, name, part)

    bucket = Locked()
    async with running(tmp_path, bucket) as house:
        house.jobs._now_ms = itertools.count(0, 10_000_000).__next__
        opened = await house.uploads.open(asked(options=AddOptions(flow="bucket")))
        bucket.put(UPLOADS, opened.ticket.id, [PICTURE])
        assert (await house.done(opened)).state is State.DONE


async def test_a_bucket_that_is_left_out_of_the_configuration_for_now_loses_no_upload(tmp_path: Path) -> None:
    bucket = Bucket()
    async with running(tmp_path, bucket) as house:
        opened = await house.uploads.open(asked(options=AddOptions(flow="bucket")))
        bucket.put(UPLOADS, opened.ticket.id, [PICTURE])
    async with running(tmp_path) as house:
        await house.uploads.complete(opened.ticket.id)
        with trio.fail_after(30):
            async with aclosing(house.jobs.since(0)) as happenings:
                async for told in happenings:
                    if told.happening.kind in ("retrying", "failed"):
                        break
        assert told.happening.kind == "retrying"
    async with running(tmp_path, bucket) as house:
        assert (await house.done(opened)).state is State.DONE


async def test_what_a_job_takes_in_stays_although_its_ticket_does_not_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon was killed, or its asker left, between the job and the ticket; and the ticket has expired since."""

    class Away(Bucket):
        away = True

        def get(self, root: bytes, name: str, part: Range | None = None) -> bytes:
            if self.away:
                raise BackendUnavailable("s3", "did not answer in time")
            return super().get(root, name, part)

    bucket = Away()

    def killed(upload_id: str, job: int) -> None:
        raise Failed("killed")

    async with running(tmp_path, bucket) as house:
        opened = await house.uploads.open(asked(options=AddOptions(flow="bucket")))
        bucket.put(UPLOADS, opened.ticket.id, [PICTURE])
        with monkeypatch.context() as patch:
            patch.setattr(house.uploads._tickets, "taken_in_by", killed)
            with pytest.raises(Failed, match="killed"):
                await house.uploads.complete(opened.ticket.id)
        with monkeypatch.context() as patch:
            patch.setattr("node.ingest.uploads.wall_ms", lambda: opened.ticket.expires_ms)
            await house.uploads.sweep()
        assert bucket.stat(UPLOADS, opened.ticket.id)
        bucket.away = False
        assert (await house.done(opened)).state is State.DONE


async def test_what_is_no_image_is_not_tried_again(tmp_path: Path) -> None:
    async with running(tmp_path) as house:
        opened = await house.uploads.open(asked())
        await house.uploads.receive(opened.ticket.id, opened.secret, pieces(PICTURE))
        house.taking.trouble = failed_for(DagMalformed("not what it says"))
        failed = await house.done(opened)
        assert (failed.state, failed.attempts) == (State.FAILED, 1)
        await house.uploads.sweep()
        assert not house.jobs.workplace.used_bytes()
