"""The queue that runs jobs: steps once, retries, pause, cancel, stop, and what is cleaned up."""

import errno
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from node.errors import Failed, RefusedByPolicy
from node.events import Events
from node.jobs.errors import Trouble
from node.jobs.handler import Run
from node.jobs.job import Job, State
from node.jobs.ledger import Ledger
from node.jobs.queue import Jobs
from node.jobs.workplace import Workplace

TICKS = itertools.count(0, 10_000_000)
Work = Callable[[Run], Awaitable[Mapping[str, Any]]]


class Doing:
    """A handler that does what a test says."""

    keeps_failed = False

    def __init__(self, work: Work, *, kind: str = "work", at_once: int = 2) -> None:
        self.work = work
        self.kind = kind
        self.at_once = at_once
        self.steps: tuple[str, ...] = ("fetched", "stored")

    async def run(self, run: Run) -> Mapping[str, Any]:
        return await self.work(run)


@asynccontextmanager
async def running(folder: Path, *handlers: Doing, events: Events | None = None) -> AsyncIterator[Jobs]:
    """A queue on a data directory, stopped in good order; its clock runs so fast that every back-off is over."""
    ledger = Ledger.opened(folder)
    jobs = Jobs(ledger, Workplace(folder / "workspace", 1 << 20), events, now_ms=lambda: next(TICKS), luck=lambda: 0.5)
    for handler in handlers:
        jobs.register(handler)
    async with trio.open_nursery() as nursery:
        await nursery.start(jobs.run)
        yield jobs
        nursery.cancel_scope.cancel()
    ledger.close()


async def until(true: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not true():  # noqa: ASYNC110 - what it looks at is on the disk
            await trio.sleep(0.005)


async def forever(run: Run) -> Mapping[str, Any]:
    await (await trio.open_file(await run.make_folder() / "half", "w")).aclose()
    await run.step("fetched", {"bytes": 3})
    await trio.sleep_forever()
    raise AssertionError


async def test_a_job_is_done_step_by_step_and_told(tmp_path: Path) -> None:
    async def work(run: Run) -> Mapping[str, Any]:
        assert run.result_of("fetched") is None
        (await run.make_folder() / "bytes").write_bytes(b"abc")
        await run.step("fetched", {"bytes": 3})
        await run.steps({"checked": True, "stored": {"root": "bafy"}})
        return {"root": "bafy"}

    events = Events()
    async with running(tmp_path, Doing(work), events=events) as jobs:
        job = await jobs.submit("work", {"url": "u"}, name="u")
        assert job.state is State.QUEUED
        ended = await jobs.ended(job.id)
        async with aclosing(jobs.since(0)) as told:  # type: ignore[type-var]
            kinds = [(await anext(told)).happening.kind for _ in range(6)]
    assert kinds == ["queued", "started", "fetched", "checked", "stored", "done"]
    assert (ended.state, ended.result, ended.attempts) == (State.DONE, {"root": "bafy"}, 1)
    assert list((tmp_path / "workspace" / "jobs").iterdir()) == []
    assert events.counts["job"] == 1


async def test_trouble_is_tried_again_from_the_step_that_was_not_finished(tmp_path: Path) -> None:
    tries: list[str] = []

    async def work(run: Run) -> Mapping[str, Any]:
        if run.result_of("fetched") is None:
            tries.append("fetch")
            await run.step("fetched")
        tries.append("store")
        if len(tries) < 4:
            raise Trouble("the disk is busy")
        return {}

    async with running(tmp_path, Doing(work)) as jobs:
        job = await jobs.ended((await jobs.submit("work", {}, name="it")).id)
    assert tries == ["fetch", "store", "store", "store"]
    assert (job.state, job.error) == (State.DONE, None)


async def test_a_job_begins_anew_only_once_its_last_run_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conclude = Jobs._conclude
    tries = 0

    async def slowly(self: Jobs, *given: Any) -> None:
        await conclude(self, *given)
        for _ in range(20):  # it is queued again, and due
            await trio.sleep(0.005)

    async def work(_: Run) -> Mapping[str, Any]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Trouble("the disk is busy")
        return {}

    monkeypatch.setattr(Jobs, "_conclude", slowly)
    async with running(tmp_path, Doing(work)) as jobs:
        job = await jobs.ended((await jobs.submit("work", {}, name="it")).id)
        assert (job.state, tries) == (State.DONE, 3)


async def test_what_cannot_work_fails_at_once_and_a_bug_is_told_as_one(tmp_path: Path) -> None:
    async def refuse(_: Run) -> Mapping[str, Any]:
        raise Failed("not an image")

    async def stumble(_: Run) -> Mapping[str, Any]:
        async with trio.open_nursery():
            raise ZeroDivisionError("by nothing")

    async def babble(_: Run) -> Mapping[str, Any]:
        return {"root": b"bytes are no JSON"}

    works = {"a": refuse, "b": stumble, "c": babble}
    async with running(tmp_path, *(Doing(work, kind=kind) for kind, work in works.items())) as jobs:
        ended = [await jobs.ended((await jobs.submit(kind, {}, name="it")).id) for kind in works]
    assert [(job.state, job.attempts, job.exit_code) for job in ended] == [(State.FAILED, 1, 1)] * 3
    assert ended[0].error == "not an image"
    assert (ended[1].error or "").startswith("internal error: ExceptionGroup")
    assert (ended[2].error or "").startswith("internal error: TypeError")


async def test_a_pause_ends_the_run_and_keeps_what_is_finished(tmp_path: Path) -> None:
    handler = Doing(forever)
    async with running(tmp_path, handler) as jobs:
        job = await jobs.submit("work", {}, name="it")
        await until(lambda: bool(jobs.ledger.get(job.id).steps))
        assert (await jobs.pause(job.id)).state is State.PAUSED
        assert (tmp_path / "workspace" / "jobs" / "1" / "half").exists()

        async def go_on(run: Run) -> Mapping[str, Any]:
            return {"had": run.result_of("fetched")}

        handler.work = go_on
        assert (await jobs.resume(job.id)).state is State.QUEUED
        assert (await jobs.ended(job.id)).result == {"had": {"bytes": 3}}


async def test_a_cancel_ends_the_run_and_clears_its_folder(tmp_path: Path) -> None:
    async with running(tmp_path, Doing(forever)) as jobs:
        job = await jobs.submit("work", {}, name="it")
        await until(lambda: bool(jobs.ledger.get(job.id).steps))
        assert (await jobs.cancel(job.id)).state is State.CANCELLED
        assert not (tmp_path / "workspace" / "jobs" / "1").exists()
        assert (await jobs.retry(job.id)).steps == {}
        await until(lambda: bool(jobs.ledger.get(job.id).steps))


async def test_a_cancel_that_comes_too_late_says_so(tmp_path: Path) -> None:
    begun = trio.Event()

    async def work(_: Run) -> Mapping[str, Any]:
        begun.set()
        with trio.CancelScope(shield=True):
            await trio.sleep(0.05)
        return {}

    async with running(tmp_path, Doing(work)) as jobs:
        job = await jobs.submit("work", {}, name="it")
        await begun.wait()
        with pytest.raises(Failed, match="job 1 is done: there is nothing to cancel"):
            await jobs.cancel(job.id)


async def test_no_more_run_at_once_than_the_handler_says(tmp_path: Path) -> None:
    now, most, seen = 0, 0, 0
    full = trio.Event()

    async def work(_: Run) -> Mapping[str, Any]:
        nonlocal now, most, seen
        now, seen = now + 1, seen + 1
        most = max(most, now)
        if most == 3:
            full.set()
        await full.wait()
        await trio.sleep(0.002)
        now -= 1
        return {}

    async with running(tmp_path, Doing(work, at_once=3)) as jobs:
        added = await jobs.submit_all([Job(kind="work", name=str(number)) for number in range(20)])
        for job in added:
            await jobs.ended(job.id)
    assert (most, seen) == (3, 20)


async def test_a_stop_puts_jobs_back_and_the_next_start_goes_on(tmp_path: Path) -> None:
    handler = Doing(forever)
    async with running(tmp_path, handler) as jobs:
        job = await jobs.submit("work", {}, name="it")
        await until(lambda: bool(jobs.ledger.get(job.id).steps))
    stopped = Ledger.opened(tmp_path)
    assert (stopped.get(job.id).state, stopped.get(job.id).attempts) == (State.QUEUED, 0)
    stopped.close()

    (tmp_path / "workspace" / "jobs" / "99").mkdir()

    async def go_on(run: Run) -> Mapping[str, Any]:
        return {"had": run.result_of("fetched"), "files": [f.name for f in (await run.make_folder()).iterdir()]}

    async with running(tmp_path, Doing(go_on)) as jobs:
        assert (await jobs.ended(job.id)).result == {"had": {"bytes": 3}, "files": ["half"]}
        assert not (tmp_path / "workspace" / "jobs" / "99").exists(), "of nobody"


async def test_jobs_of_a_kind_that_nobody_does_wait_and_new_ones_are_refused(tmp_path: Path) -> None:
    async def work(_: Run) -> Mapping[str, Any]:
        return {}

    async with running(tmp_path, Doing(forever)) as jobs:
        await jobs.submit("work", {}, name="it")
        await jobs.pause(1)
        await jobs.resume(1)
    async with running(tmp_path) as jobs:
        with pytest.raises(RefusedByPolicy, match="nobody does jobs of the kind 'work' here"):
            await jobs.submit("work", {}, name="it")
        assert (await jobs.counts())[State.QUEUED] == 1
        jobs.register(Doing(work))
        assert (await jobs.ended(1)).state is State.DONE


async def test_a_full_workspace_is_trouble(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "workspace", 1000)
    (workplace.make_job(1) / "bytes").write_bytes(bytes(400))
    workplace.check_room(600)
    with pytest.raises(Trouble, match="the workspace has room for 600 B of 1000 B, and 601 B are needed"):
        workplace.check_room(601)


def test_the_folder_of_a_job_is_durable_before_anything_is_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    workplace = Workplace(tmp_path / "workspace", 1)
    workplace.make_job(7)
    assert synced == [str(tmp_path), str(tmp_path / "workspace"), str(tmp_path / "workspace" / "jobs")]
    workplace.make_job(7)
    assert len(synced) == 3, "what is there costs nothing"


def test_what_cannot_be_removed_is_left_to_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    workplace = Workplace(tmp_path, 1)
    for name in ("a", "b"):
        workplace.upload(name).write_bytes(b"x")
    with monkeypatch.context() as disk:
        disk.setattr(os, "unlink", refuse)
        disk.setattr(Path, "unlink", refuse)
        workplace.remove_uploads(["b"])
    assert sorted(workplace.uploads()) == ["a", "b"]
    workplace.remove_uploads(["b"])
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["a"]
