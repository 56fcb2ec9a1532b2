"""A move of a flow as a job: one at a time, paused, resumed, cancelled, taken up again, and what it says of itself."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from node.errors import NotFound
from node.events import Events
from node.jobs.job import State
from node.jobs.ledger import Ledger
from node.jobs.queue import Jobs
from node.jobs.workplace import Workplace
from node.operations import migrating as module
from node.operations.migrating import FACT, KIND, Migrating
from node.operator_rows import MigrationRow

TOLD = "of 2 images 1 moved to local"


class Facts:
    """The store, as far as it keeps what is moved."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def facts(self, prefix: str) -> dict[str, bytes]:
        return {name: value for name, value in self.kept.items() if name.startswith(prefix)}

    def set_fact(self, name: str, value: bytes | None) -> None:
        assert value is None
        del self.kept[name]


class FakeMove:
    """Two images; the second moves when a test lets it."""

    may_end = trio.Event()

    def __init__(self, parts: object, flow: str) -> None:
        self.flow = flow
        self.sizes = {b"1": 1, b"2": 1}
        self.unsigned: list[bytes] = []
        self.open: list[bytes] = [b"1", b"2"]
        self.moved: set[bytes] = set()
        self.over = False

    async def go_on(self) -> None:
        if not self.moved:
            self.moved.add(self.open.pop())
            return
        await self.may_end.wait()
        self.moved.add(self.open.pop())
        self.over = True

    def row(self, job: int, *, state: str | None = None, waiting: str | None = None) -> MigrationRow:
        return MigrationRow(
            flow=self.flow, backend="local", state=state or ("done" if self.over else "moving"), images=2,
            moved=len(self.moved), bytes=2, bytes_moved=len(self.moved), old_copies=0, waiting=waiting, job=job,
        )  # fmt: skip

    def left(self) -> Mapping[str, Any]:
        return {"moved": len(self.moved), "told": TOLD}


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> Facts:
    monkeypatch.setattr(module, "Move", FakeMove)
    monkeypatch.setattr(module, "check_target", lambda *_: "local")
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    FakeMove.may_end = trio.Event()
    return Facts()


@asynccontextmanager
async def daemon(folder: Path, facts: Facts) -> AsyncIterator[tuple[Migrating, Jobs]]:
    ledger = Ledger.opened(folder)
    jobs = Jobs(ledger, Workplace(folder / "workspace", 1 << 20), Events())
    migrating = Migrating(cast("Any", SimpleNamespace(jobs=jobs, events=Events(), store=facts)))
    async with trio.open_nursery() as nursery:
        await nursery.start(jobs.run)
        yield migrating, jobs
        nursery.cancel_scope.cancel()
    ledger.close()


async def half_way(migrating: Migrating, flow: str = "album") -> MigrationRow:
    with trio.fail_after(30):
        while (row := await migrating.look(flow)).moved != 1:  # noqa: ASYNC110 - as a client looks
            await trio.sleep(0.005)
    return row


async def test_a_move_is_one_job_that_tells_its_steps(tmp_path: Path, facts: Facts) -> None:
    async with daemon(tmp_path, facts) as (migrating, jobs):
        with pytest.raises(NotFound):
            await migrating.look("album")
        first = await migrating.start("album")
        assert (await migrating.start("album")).job == first.job
        await half_way(migrating)
        run = jobs.run_of(first.job)
        assert run is not None
        assert (run.total, run.unit) == (2, "images")
        FakeMove.may_end.set()
        job = await jobs.ended(first.job)
        async with aclosing(jobs.since(0)) as told:  # type: ignore[type-var]
            kinds = [(await anext(told)).happening.kind for _ in range(6)]
        assert kinds == ["queued", "started", "signed", "moved", "left", "done"]
        assert (job.kind, job.name, job.state, (job.result or {})["moved"]) == (KIND, "album", State.DONE, 2)
        assert (await migrating.look("album")).state == "done"
        assert (await migrating.start("album")).job > first.job


async def test_a_paused_move_waits_over_a_restart_and_goes_on(tmp_path: Path, facts: Facts) -> None:
    async with daemon(tmp_path, facts) as (migrating, jobs):
        row = await migrating.start("album")
        await half_way(migrating)
        paused = await jobs.pause(row.job)
        assert (paused.state, paused.result) == (State.PAUSED, {"moved": 1, "told": TOLD})
    async with daemon(tmp_path, facts) as (migrating, jobs):
        seen = await migrating.start("album")
        assert seen.job == row.job
        assert seen.waiting == f"job {row.job} is paused: `pinakothek jobs resume {row.job}`"
        FakeMove.may_end.set()
        await jobs.resume(row.job)
        assert (await jobs.ended(row.job)).state is State.DONE


async def test_a_move_that_was_paused_at_its_last_moment_keeps_nobody_waiting(
    tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "END_S", 0.05)
    async with daemon(tmp_path, facts) as (migrating, jobs):
        row = await migrating.start("album")
        await half_way(migrating)
        await jobs.pause(row.job)
        migrating._moves["album"].over = True
        with trio.fail_after(60):
            seen = await migrating.start("album")
        assert (seen.job, seen.state) == (row.job, "moving")
        assert seen.waiting is not None
        FakeMove.may_end.set()
        await jobs.resume(row.job)
        assert (await jobs.ended(row.job)).state is State.DONE
        assert (await migrating.look("album")).state == "done"


async def test_a_daemon_that_stops_takes_the_move_up_again(tmp_path: Path, facts: Facts) -> None:
    async with daemon(tmp_path, facts) as (migrating, jobs):
        row = await migrating.start("album")
        await half_way(migrating)
    FakeMove.may_end.set()
    async with daemon(tmp_path, facts) as (migrating, jobs):
        assert (await jobs.ended(row.job)).state is State.DONE


async def test_a_cancelled_move_says_how_it_left_things(tmp_path: Path, facts: Facts) -> None:
    async with daemon(tmp_path, facts) as (migrating, jobs):
        row = await migrating.start("album")
        await half_way(migrating)
        cancelled = await jobs.cancel(row.job)
        assert (cancelled.state, cancelled.result) == (State.CANCELLED, {"moved": 1, "told": TOLD})
        assert (await migrating.look("album")).state == "cancelled"
        async with aclosing(jobs.since(0)) as told:  # type: ignore[type-var]
            happenings = [(await anext(told)).happening for _ in range(4)]
        assert (happenings[-1].kind, happenings[-1].detail) == ("cancelled", TOLD)
        again = await migrating.start("album")
        assert (again.job > row.job, again.state) == (True, "moving")
        await half_way(migrating)
        await jobs.retry(row.job)
        refused = await jobs.ended(row.job)
        assert (refused.state, refused.error) == (State.FAILED, f"flow album: job {again.job} moves it already")


async def test_what_an_earlier_release_was_moving_becomes_a_job(tmp_path: Path, facts: Facts) -> None:
    facts.kept[f"{FACT}616c62756d"] = b'{"flow": "album"}'
    async with daemon(tmp_path, facts) as (migrating, jobs):
        await migrating.adopt()
        assert facts.kept == {}
        assert [job.name for job in await jobs.page(after=0, limit=9, kind=KIND)] == ["album"]


async def test_moves_of_an_earlier_release_wait_where_too_many_jobs_do(
    tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And end no daemon."""
    facts.kept[f"{FACT}616c62756d"] = b'{"flow": "album"}'
    async with daemon(tmp_path, facts) as (migrating, _):
        monkeypatch.setattr("node.jobs.ledger.MAX_LIVE", 0)
        await migrating.adopt()
        assert facts.kept
