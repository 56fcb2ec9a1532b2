"""`jobs.db`: what was acknowledged is there after a crash at any commit, and what was not is not."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.errors import Failed, NotFound, RefusedByPolicy
from node.jobs import ledger as ledgers
from node.jobs import rules
from node.jobs.choosing import Waiting
from node.jobs.job import Change, Job, State
from node.jobs.ledger import LISTED_RESULT_BYTES, NAME, Ledger, prune


def new(name: str, *, key: str | None = None, priority: int = 0, kind: str = "extern") -> Change:
    return rules.submitted(Job(kind=kind, name=name, key=key, priority=priority, request={"url": name}), 1)


class CrashingLedger(RuleBasedStateMachine):
    """Changes of jobs, each of which may end in a crash before its commit or right after; a model says what must be."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="jobs-"))
        self.ledger = Ledger.opened(self.folder)
        self.model: dict[int, Job] = {}
        self.told: list[tuple[int, str]] = []
        self.now_ms = 0

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    def commit(self, do: Callable[[], Any], crash: str) -> Any:
        """Do it; with a crash its process is gone before it is acknowledged, and another one opens what is there."""
        self.now_ms += 1
        if crash == "no":
            return do()
        if crash == "before":
            self.ledger._db.set_commit_hook(lambda: True)  # SQLite then rolls back, as the next opening would
            with suppress(apsw.ConstraintError):  # nothing to commit for a key that is known
                do()
            done = None
        else:
            done = do()
        copy = self.folder.with_name(f"{self.folder.name}-{self.now_ms}")
        shutil.copytree(self.folder, copy)  # the file and its log as a dead process leaves them: never closed
        self.ledger.close()
        shutil.rmtree(self.folder)
        self.folder = copy
        self.ledger = Ledger.opened(self.folder)
        return done

    @rule(crash=st.sampled_from(["no", "before", "after"]), key=st.none() | st.sampled_from("ab"))
    def submit(self, crash: str, key: str | None) -> None:
        change = rules.submitted(Job(kind="extern", name="it", key=key, request={"n": self.now_ms}), self.now_ms)
        added = self.commit(lambda: self.ledger.submit([change]), crash)
        if added is not None and added[0].id not in self.model:
            (job,) = added
            assert job == replace(change.job, id=job.id)
            assert all(known.key != key or key is None for known in self.model.values()), "queued twice"
            self.model[job.id] = job
            self.told.append((job.id, "queued"))

    @precondition(lambda self: self.model)
    @rule(
        data=st.data(),
        crash=st.sampled_from(["no", "no", "before", "after"]),
        name=st.sampled_from(
            ["started", "stepped", "finished", "trouble", "stopped", "paused", "resumed", "cancelled"]
        ),
    )
    def change(self, data: st.DataObject, crash: str, name: str) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.model)))
        change = self.changed(self.model[job_id], name)
        if change is None or (change.job == self.model[job_id] and not change.happenings):
            return
        done = self.commit(lambda: self.ledger.change(job_id, lambda _: change), crash)
        if done is not None:
            assert done == (self.model[job_id], change.job)
            self.model[job_id] = change.job
            self.told += [(job_id, each.kind) for each in change.happenings]

    def changed(self, job: Job, name: str) -> Change | None:
        at = self.now_ms
        every: dict[str, Callable[[], Change]] = {
            "started": lambda: rules.started(job, at),
            "stepped": lambda: rules.stepped(job, {f"step {len(job.steps)}": {"at": at}}, at),
            "finished": lambda: rules.finished(job, {"root": "r"}, at),
            "trouble": lambda: rules.went_wrong(job, rules.Wrong("trouble", retry=True), at, 0.5),
            "stopped": lambda: rules.stopped(job, at),
            "paused": lambda: rules.paused(job, at),
            "resumed": lambda: rules.resumed(job, at),
            "cancelled": lambda: rules.cancelled(job, at),
        }
        try:
            return every[name]()
        except (Failed, rules.NotRunning):
            return None

    @invariant()
    def everything_acknowledged_is_there_and_nothing_else(self) -> None:
        assert {job.id: job for job in self.ledger.page(after=0, limit=1000)} == self.model
        assert [(each.job.id, each.happening.kind) for each in self.ledger.told(0, 1000)] == self.told


TestCrashingLedger = CrashingLedger.TestCase
TestCrashingLedger.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.opened(tmp_path)


def test_every_commit_reaches_the_disk(ledger: Ledger) -> None:
    db = ledger._db
    assert (db.pragma("journal_mode"), db.pragma("synchronous")) == ("wal", 2)


def test_what_is_due_comes_by_priority_and_age(ledger: Ledger) -> None:
    ledger.submit([new("a"), new("b", priority=1), new("c"), new("d", kind="crawl")])
    ledger.change(1, lambda job: Change(replace(job, due_ms=50)))
    assert ledger.due(10, {"extern": 5, "crawl": 1}) == [(2, "extern", 1), (3, "extern", 0), (4, "crawl", 0)]
    assert ledger.due(10, {"extern": 1}) == [Waiting(2, "extern", 1)]
    assert ledger.next_due_ms(10) == 50
    assert ledger.next_due_ms(50) is None
    ledger.change(1, lambda job: Change(replace(job, due_ms=10**10)))
    assert Waiting(1, "extern", 0) in ledger.due(10, {"extern": 5}), "the clock was set back"


def test_a_key_is_queued_once_even_within_one_commit(ledger: Ledger) -> None:
    first, second = ledger.submit([new("a", key="k"), new("b", key="k")])
    assert first == second
    assert ledger.submit([new("c", key="k", kind="crawl")])[0].id != first.id


def test_too_many_live_jobs_are_refused(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "MAX_LIVE", 2)
    ledger.submit([new("a")])
    with pytest.raises(RefusedByPolicy, match="1 jobs wait already, at most 2"):
        ledger.submit([new("b"), new("c")])
    ledger.change(1, lambda job: rules.cancelled(job, 2))
    assert len(ledger.submit([new("b"), new("c")])) == 2


def test_a_rule_that_refuses_changes_nothing(ledger: Ledger) -> None:
    ledger.submit([new("a")])
    with pytest.raises(Failed):
        ledger.change(1, lambda job: rules.retried(replace(job, state=State.DONE), 1, keep_steps=False))
    assert ledger.get(1).state is State.QUEUED
    with pytest.raises(NotFound, match="job 7: no such job"):
        ledger.change(7, lambda job: rules.paused(job, 1))


def test_history_is_bounded_and_live_jobs_are_no_history(ledger: Ledger) -> None:
    ledger.submit([new(str(number)) for number in range(20)])
    for job_id in range(2, 19):
        ledger.change(job_id, lambda job: rules.cancelled(job, 2))
    with ledger.transaction() as db:
        prune(db, kept_jobs=3, kept_happenings=5)
    assert [job.id for job in ledger.page(after=0, limit=100)] == [1, 16, 17, 18, 19, 20]
    assert [each.happening.kind for each in ledger.told(0, 100)] == ["cancelled"] * 3
    last = ledger.last_seq()
    assert ledger.submit([new("next")])[0].id == 21
    assert ledger.last_seq() == last + 1


def test_a_listing_leaves_long_results_to_whoever_asks_for_one_job(ledger: Ledger) -> None:
    jobs = [rules.submitted(Job(kind="crawl", name=str(number)), 1) for number in range(2)]
    short, long = ({"told": "x" * count} for count in (100, LISTED_RESULT_BYTES))
    for job, result in zip(ledger.submit(jobs), (short, long), strict=True):
        ledger.change(job.id, lambda before, r=result: Change(replace(before, result=r)))  # type: ignore[misc]
    assert [job.result for job in ledger.page(after=0, limit=9)] == [short, None]
    assert [ledger.get(job.id).result for job in ledger.page(after=0, limit=9)] == [short, long]


def test_a_job_by_which_an_upload_is_kept_is_not_forgotten(ledger: Ledger) -> None:
    """Else the bytes of one that waits for somebody to try it again went with the thousandth job after it."""
    ledger.submit([new(str(number)) for number in range(9)])
    for job_id in range(1, 10):
        ledger.change(job_id, lambda job: rules.cancelled(job, 2))
    with ledger.transaction() as db:
        db.execute("INSERT INTO uploads VALUES ('one', x'00', '{}', 1, 2), ('two', x'00', '{}', 1, NULL)")
        prune(db, kept_jobs=3)
    assert [job.id for job in ledger.page(after=0, limit=100)] == [2, 7, 8, 9]
    with ledger.transaction() as db:
        db.execute("DELETE FROM uploads")
        prune(db, kept_jobs=3)
    assert [job.id for job in ledger.page(after=0, limit=100)] == [7, 8, 9]


def test_who_was_away_for_long_is_not_held_up_by_jobs_that_are_forgotten(ledger: Ledger) -> None:
    ledger.submit([new(str(number)) for number in range(9)])
    for job_id in range(1, 9):
        ledger.change(job_id, lambda job: rules.cancelled(job, 2))
    with ledger.transaction() as db:
        prune(db, kept_jobs=1)
    assert ledger.told(0, 3), "an empty answer would say that there is nothing more"
    assert [(each.job.id, each.happening.kind) for each in ledger.told(0, 3)] == [
        (8, "queued"), (9, "queued"), (8, "cancelled"),
    ]  # fmt: skip


def test_a_damaged_ledger_is_kept_and_a_new_one_begun(tmp_path: Path) -> None:
    ledger = Ledger.opened(tmp_path)
    ledger.submit([new("a")])
    ledger.close()
    (tmp_path / NAME).write_bytes(b"not a database, but long enough to look at" * 200)
    again = Ledger.opened(tmp_path)
    assert again.page(after=0, limit=10) == []
    assert (tmp_path / f"{NAME}.damaged").read_bytes().startswith(b"not a database")


def test_a_ledger_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger.opened(tmp_path)
    ledger._db.pragma("user_version", 99)
    ledger.close()
    with pytest.raises(Failed, match=r"jobs\.db is of version 99, this release knows up to"):
        Ledger.opened(tmp_path)
