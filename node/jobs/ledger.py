"""The jobs on disk: `jobs.db`, one transaction a change, durable when the call returns.

SQLite in WAL mode with `synchronous=FULL`: what was acknowledged survives a crash and a power cut, and what was not has
left no trace. Methods block on the disk: call them in a thread. They may be called from any, one at a time.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from node.errors import NotFound, RefusedByPolicy
from node.jobs.choosing import Waiting
from node.jobs.job import ENDED, Change, Happening, Job, State
from node.jobs.rules import LONGEST_WAIT_MS
from node.jobs.schema import migrate
from store.catalogue import open_writer, rows_of, sql_errors
from store.errors import StoreDamaged

log = logging.getLogger("pinakothek.jobs")

NAME = "jobs.db"
MAX_LIVE = 100_000
"""Jobs that have not ended: beyond, new ones are refused instead of filling the disk. Guess."""
KEPT_JOBS = 1_000
"""Ended jobs that `jobs` still lists. Guess."""
KEPT_HAPPENINGS = 10_000
"""What a reader of events may have missed and still get. Guess."""
PRUNE_EVERY = 50
"""Changes: pruning is not worth a statement each."""
_COLUMNS = (
    "id, kind, name, state, request, key, priority, steps, attempts, tries, due_ms, result, error, exit_code,"
    " created_ms, changed_ms"
)
LISTED_RESULT_BYTES = 4096
"""Of one job in a listing of many: as `add` answers, and some. What is longer, such as a crawl's, is read for one job. Guess."""
_LISTED = _COLUMNS.replace("result", f"iif(octet_length(result) <= {LISTED_RESULT_BYTES}, result, NULL)")
_LIVE = tuple(str(state) for state in State if state not in ENDED)


class Told(NamedTuple):
    """A happening as it is kept. `job` is the job as it was read with it."""

    seq: int
    at_ms: int
    happening: Happening
    job: Job


Rule = Callable[[Job], Change]


class Ledger:
    """The jobs of one data directory. Open it with `opened`."""

    def __init__(self, db: apsw.Connection, path: str) -> None:
        self._db = db
        self._path = path
        self._turn = threading.Lock()
        self._changes = 0

    @classmethod
    def opened(cls, folder: Path | None, *, vfs: str = "") -> "Ledger":
        """The ledger of a data directory, made where there is none; None: one in memory.

        A damaged one is moved aside, and a new one begun: images are safe without it.

        Raises:
            StoreError: the disk refuses.
            Failed: a newer release wrote it.
        """
        if folder is None:
            return cls._opened(":memory:", vfs)
        path = folder / NAME
        try:
            return cls._opened(str(path), vfs)
        except StoreDamaged as error:
            log.error("%s: the jobs in it are lost; it is kept as %s.damaged", error, NAME)
            for end in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    (folder / f"{NAME}{end}").replace(folder / f"{NAME}.damaged{end}")
            return cls._opened(str(path), vfs)

    @classmethod
    def _opened(cls, path: str, vfs: str) -> "Ledger":
        with sql_errors(path):
            db = open_writer(path, vfs)
            try:
                migrate(db)
                (verdict,) = rows_of(db, "PRAGMA quick_check(1)")[0]
                if verdict != "ok":
                    raise StoreDamaged(f"{path}: {verdict}")
            except BaseException:
                db.close()
                raise
        return cls(db, path)

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._db.close()

    # changes

    def submit(self, changes: Sequence[Change]) -> list[Job]:
        """Add new jobs; for a key that is known already, the job that has it.

        Raises:
            RefusedByPolicy: too many live jobs.
        """
        with self.transaction() as db:
            live = sum(rows_of(db, "SELECT count(*) FROM jobs WHERE state = ?", (state,))[0][0] for state in _LIVE)
            if live + len(changes) > MAX_LIVE:
                raise RefusedByPolicy(f"{live} jobs wait already, at most {MAX_LIVE}", hint="see `pinakothek jobs`")
            return [self._insert(db, change) for change in changes]

    def change(self, job_id: int, rule: Rule) -> tuple[Job, Job]:
        """Change a job by a rule; as it was, and as it is now.

        Raises:
            NotFound: no such job.
            Exception: what the rule raises; then nothing is changed.
        """
        with self.transaction() as db:
            before = self._get(db, job_id)
            after = rule(before)
            if after.job != before or after.happenings:
                self._update(db, after)
            return before, after.job

    # questions

    def get(self, job_id: int) -> Job:
        """One job. Raises: NotFound."""
        with self.reading() as db:
            return self._get(db, job_id)

    def find(self, kind: str, key: str) -> Job | None:
        """The job of a kind that has this key, if there is one."""
        found = self._jobs("WHERE kind = ? AND key = ?", (kind, key))
        return found[0] if found else None

    def with_state(self, state: State) -> list[Job]:
        """All jobs in a state."""
        return self._jobs("WHERE state = ? ORDER BY id", (state,))

    def page(self, *, after: int, limit: int, state: str | None = None, kind: str | None = None) -> list[Job]:
        """Jobs with ids above `after`, the oldest first; without their results where these are long."""
        where, given = "WHERE id > ?", [after]
        for column, value in (("state", state), ("kind", kind)):
            if value is not None:
                where += f" AND {column} = ?"
                given.append(value)  # type: ignore[arg-type]
        with self.reading() as db:
            found = rows_of(db, f"SELECT {_LISTED} FROM jobs {where} ORDER BY id LIMIT ?", (*given, limit))
        return [_job(row) for row in found]

    def counts(self) -> dict[State, int]:
        """How many jobs are in which state."""
        with self.reading() as db:
            found = dict(rows_of(db, "SELECT state, count(*) FROM jobs GROUP BY state"))
        return {state: found.get(str(state), 0) for state in State}

    def due(self, now_ms: int, room: Mapping[str, int]) -> list[Waiting]:
        """Queued jobs that may run now: of each kind as many as `room` says, those to be run first.

        One that would have to wait longer than any does is due: the clock was set back.
        """
        found: list[Waiting] = []
        with self.reading() as db:
            for kind, count in room.items():
                rows = rows_of(
                    db,
                    "SELECT id, kind, priority FROM jobs WHERE state = 'queued' AND kind = ?"
                    " AND (due_ms <= ? OR due_ms > ?) ORDER BY priority DESC, id LIMIT ?",
                    (kind, now_ms, now_ms + LONGEST_WAIT_MS, count),
                )
                found += [Waiting(*row) for row in rows]
        return found

    def next_due_ms(self, now_ms: int) -> int | None:
        """When the next queued job that is not due yet will be."""
        with self.reading() as db:
            rows = rows_of(db, "SELECT min(due_ms) FROM jobs WHERE state = 'queued' AND due_ms > ?", (now_ms,))
        return rows[0][0]  # type: ignore[no-any-return]

    def told(self, after: int, limit: int) -> list[Told]:
        """Happenings after number `after`, in order, of jobs that are still known: fewer than `limit` are all of them."""
        with self.reading() as db:
            rows = rows_of(
                db,
                "SELECT seq, job, at_ms, kind, detail FROM happenings WHERE seq > ? AND job IN (SELECT id FROM jobs)"
                " ORDER BY seq LIMIT ?",
                (after, limit),
            )
            jobs = {job_id: found for job_id in {row[1] for row in rows} for found in self._find(db, job_id)}
        return [Told(seq, at_ms, Happening(kind, detail), jobs[job_id]) for seq, job_id, at_ms, kind, detail in rows]

    def last_seq(self) -> int:
        """Number of the last happening."""
        with self.reading() as db:
            return rows_of(db, "SELECT coalesce(max(seq), 0) FROM happenings")[0][0]  # type: ignore[no-any-return]

    # within a transaction

    def _jobs(self, where: str, given: tuple[Any, ...]) -> list[Job]:
        with self.reading() as db:
            return [_job(row) for row in rows_of(db, f"SELECT {_COLUMNS} FROM jobs {where}", given)]

    def _find(self, db: apsw.Connection, job_id: int) -> list[Job]:
        return [_job(row) for row in rows_of(db, f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,))]

    def _get(self, db: apsw.Connection, job_id: int) -> Job:
        for job in self._find(db, job_id):
            return job
        raise NotFound(f"job {job_id}: no such job")

    def _insert(self, db: apsw.Connection, change: Change) -> Job:
        job = change.job
        if job.key is not None:
            known = rows_of(db, f"SELECT {_COLUMNS} FROM jobs WHERE kind = ? AND key = ?", (job.kind, job.key))
            if known:
                return _job(known[0])
        names = _COLUMNS.split(", ")[1:]
        db.execute(f"INSERT INTO jobs({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", _row(job)[1:])
        job_id = db.last_insert_rowid()
        self._tell(db, job_id, change)
        return self._get(db, job_id)

    def _update(self, db: apsw.Connection, change: Change) -> None:
        job_id, *values = _row(change.job)
        names = _COLUMNS.split(", ")[1:]
        db.execute(f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?", (*values, job_id))
        self._tell(db, change.job.id, change)

    def _tell(self, db: apsw.Connection, job_id: int, change: Change) -> None:
        for each in change.happenings:
            db.execute(
                "INSERT INTO happenings(job, at_ms, kind, detail) VALUES (?, ?, ?, ?)",
                (job_id, change.job.changed_ms, each.kind, each.detail),
            )
        self._changes += 1
        if self._changes % PRUNE_EVERY == 0:
            prune(db)

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """All or nothing; durable after the `with`."""
        with self._turn, sql_errors(self._path), self._db:
            yield self._db

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """To ask only."""
        with self._turn, sql_errors(self._path):
            yield self._db


def prune(db: apsw.Connection, *, kept_jobs: int = KEPT_JOBS, kept_happenings: int = KEPT_HAPPENINGS) -> None:
    """Forget the oldest jobs that have ended, and the oldest happenings; no job by which an upload's bytes are still kept."""
    ended = tuple(str(state) for state in ENDED)
    db.execute(
        "DELETE FROM jobs WHERE state IN (?, ?, ?) AND id <= (SELECT id FROM jobs WHERE state IN (?, ?, ?)"
        " ORDER BY id DESC LIMIT 1 OFFSET ?) AND id NOT IN (SELECT job FROM uploads WHERE job IS NOT NULL)",
        (*ended, *ended, kept_jobs),
    )
    db.execute("DELETE FROM happenings WHERE seq <= (SELECT max(seq) FROM happenings) - ?", (kept_happenings,))


def _row(job: Job) -> tuple[Any, ...]:
    return (
        job.id, job.kind, job.name, str(job.state), json.dumps(job.request), job.key, job.priority,
        json.dumps(job.steps), job.attempts, job.tries, job.due_ms, None if job.result is None else json.dumps(job.result),
        job.error, job.exit_code, job.created_ms, job.changed_ms,
    )  # fmt: skip


def _job(row: tuple[Any, ...]) -> Job:
    (
        job_id, kind, name, state, request, key, priority, steps, attempts, tries, due_ms, result, error, exit_code,
        created_ms, changed_ms,
    ) = row  # fmt: skip
    return Job(
        id=job_id, kind=kind, name=name, state=State(state), request=json.loads(request), key=key, priority=priority,
        steps=json.loads(steps), attempts=attempts, tries=tries, due_ms=due_ms,
        result=None if result is None else json.loads(result), error=error, exit_code=exit_code,
        created_ms=created_ms, changed_ms=changed_ms,
    )  # fmt: skip
