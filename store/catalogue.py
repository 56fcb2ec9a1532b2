"""Connections to catalogue.db: one that writes, a few that read, and SQLite's errors in our words.

SQLite in WAL mode lets readers go on while the one writer commits. `synchronous=FULL` makes every commit durable
before it is acknowledged.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import apsw

from store.errors import DiskFailed, StoreDamaged, StoreError, StoreFull

BUSY_TIMEOUT_MS = 5000
CACHE_KIB = 16 * 1024
"""Page cache of the writer: the upper levels of every index of a few million blocks. A guess."""
SYNCHRONOUS = "FULL"
NAME = "catalogue.db"
SIDE_FILES = (NAME + "-wal", NAME + "-shm", NAME + "-journal")


def open_writer(path: str, vfs: str) -> apsw.Connection:
    """Open, or make, the catalogue for its one writer. Raises: apsw.Error."""
    db = apsw.Connection(path, vfs=vfs or None)
    db.set_busy_timeout(BUSY_TIMEOUT_MS)
    db.pragma("journal_mode", "WAL")
    db.pragma("synchronous", SYNCHRONOUS)
    db.pragma("cache_size", -CACHE_KIB)
    db.pragma("temp_store", "MEMORY")
    return db


def rows_of(db: apsw.Connection, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
    """Return all rows of one query on `db`, of the types that the schema says. Raises: apsw.Error."""
    return db.execute(sql, bindings).fetchall()


class Readers:
    """A pool of read-only connections: threads come and go by the hundred, connections stay.

    Args:
        on_damage: called when a query finds the catalogue damaged.
    """

    def __init__(self, path: str, vfs: str, on_damage: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._on_damage = on_damage
        self._vfs = vfs
        self._idle: deque[apsw.Connection] = deque()

    def rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        """Return all rows of one query. Raises: StoreDamaged, DiskFailed."""
        with self.connection() as db:
            return rows_of(db, sql, bindings)

    def row(self, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
        """Return the first row of one query, None if it has none. Raises: StoreDamaged, DiskFailed."""
        rows = self.rows(sql, bindings)
        return rows[0] if rows else None

    @contextmanager
    def connection(self) -> Iterator[apsw.Connection]:
        """Lend a connection to the calling thread."""
        try:
            with sql_errors(self._path):
                try:
                    db = self._idle.pop()
                except IndexError:
                    db = self._opened()
                try:
                    yield db
                finally:
                    self._idle.append(db)
        except StoreDamaged:
            self._on_damage()
            raise

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _opened(self) -> apsw.Connection:
        db = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READONLY, vfs=self._vfs or None)
        db.set_busy_timeout(BUSY_TIMEOUT_MS)
        db.pragma("query_only", True)
        return db


@contextmanager
def sql_errors(path: str) -> Iterator[None]:
    """Raise a `StoreError` in place of those of SQLite that the disk is to blame for; a bug stays what it is."""
    try:
        yield
    except apsw.Error as error:
        raise (sql_error(path, error) or error) from error


def sql_error(path: str, error: apsw.Error) -> StoreError | None:
    """Return what to raise for `error`, None where it is a bug of ours."""
    if isinstance(error, apsw.FullError):
        return StoreFull(0, 0)
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StoreDamaged(f"{path}: {error}")
    if isinstance(error, apsw.IOError | apsw.ReadOnlyError | apsw.CantOpenError | apsw.BusyError | apsw.FullError):
        return DiskFailed(path, str(error))
    return None
