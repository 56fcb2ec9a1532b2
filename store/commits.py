"""Group commit: one thread runs what all callers want changed, in one transaction, with one fsync for all of them.

A caller hands over a function of a `Batch` and waits. Each runs in a savepoint of its own, so that one refusal undoes
only itself. In order, for each batch:

1. the functions run, and collect small blocks, lines and intents in the batch;
2. the small blocks are staged as one pack and fsynced, and with it the names of all that was staged;
3. the transaction is committed (SQLite fsyncs its log);
4. the lines are appended to the segment and fsynced;
5. the callers wake up; the settler moves and removes files behind their backs.
"""

import errno
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from store.catalogue import NAME, SYNCHRONOUS, sql_error
from store.errors import StoreDamaged, StoreError
from store.files import Files, Site, disk_error
from store.intents import MOVE, QUARANTINE, UNLINK, Intent
from store.packs import FOLDER as PACKS
from store.packs import MAX_PACK_BYTES, PackDraft
from store.segments import MAX_SEGMENT_BYTES, SegmentTail, TailDraft
from store.staging import Staging

T = TypeVar("T")

MAX_REQUESTS = 256
"""In one commit; bounds how long the first waits for the last. A guess."""
LAZY_S = 0.2
"""How long what nobody waits for may wait for a commit to ride on."""


class Batch:
    """What a function may use inside of the transaction.

    Attributes:
        db: the writing connection.
        pack: takes small blocks.
        tail: takes lines of records.
        intents: so far.
        roll: how many segments further to go on after this commit.
    """

    def __init__(self, db: apsw.Connection, pack: PackDraft, tail: TailDraft) -> None:
        self.db = db
        self.pack = pack
        self.tail = tail
        self.intents: list[Intent] = []
        self.roll = 0
        self.staged_pack = ""

    def move(self, source: str, target: str) -> None:
        """Once committed, move a staged file to its place."""
        self._intend(MOVE, source, target)

    def unlink(self, target: str) -> None:
        """Once committed, remove a file that is no longer listed."""
        self._intend(UNLINK, "", target)

    def quarantine(self, source: str, target: str) -> None:
        """Once committed, move a bad file out of the way."""
        self._intend(QUARANTINE, source, target)

    def _intend(self, act: str, source: str, target: str) -> None:
        self.db.execute("INSERT INTO intents(act, source, target) VALUES (?, ?, ?)", (act, source, target))
        self.intents.append(Intent(self.db.last_insert_rowid(), act, source, target))

    def mark(self) -> tuple[Any, ...]:
        return len(self.intents), self.pack.mark(), self.tail.mark()

    def rewind(self, mark: tuple[Any, ...]) -> None:
        intents, pack, tail = mark
        del self.intents[intents:]
        self.pack.rewind(pack)
        self.tail.rewind(tail)


class _Request:
    __slots__ = ("awaited", "done", "durable", "error", "function", "result")

    def __init__(self, function: Callable[[Batch], Any], *, durable: bool, awaited: bool = True) -> None:
        self.function = function
        self.durable = durable
        self.awaited = awaited
        self.done = threading.Lock()
        self.done.acquire()
        self.error: Exception | None = None
        self.result: Any = None


class Writer:
    """The one thread that changes the catalogue.

    Args:
        hand_over: takes the intents of each commit, in order.
        next_pack: id of the next pack, above all there are.
        on_damage: called when a commit finds the catalogue damaged.
    """

    def __init__(
        self,
        db: apsw.Connection,
        files: Files,
        home: str,
        *,
        staging: Staging,
        tail: SegmentTail,
        next_pack: int,
        hand_over: Callable[[list[Intent]], None],
        on_damage: Callable[[], None],
    ) -> None:
        self._db = db
        self._files = files
        self._home = home
        self._staging = staging
        self._tail = tail
        self._next_pack = next_pack
        self._hand_over = hand_over
        self._on_damage = on_damage
        self._requests: deque[_Request] = deque()
        self._lazy: deque[_Request] = deque()
        self._put_off: list[_Request] = []
        self._changed = threading.Condition()
        self._stopping = False
        self.trouble: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def run(self, function: Callable[[Batch], T], *, durable: bool = True) -> T:
        """Run `function` in a transaction; return its result once that is durable.

        Args:
            durable: False where nobody minds if a power loss undoes it: it is then safe with the next that is.

        Raises:
            StoreFull, DiskFailed, StoreDamaged: nothing of it happened.
            Exception: whatever `function` raised; nothing of it happened.
        """
        request = _Request(function, durable=durable)
        with self._changed:
            if self._stopping:
                raise StoreError("the store is closed")
            self._requests.append(request)
            self._changed.notify()
        request.done.acquire()
        if request.error is not None:
            raise request.error
        result: T = request.result
        return result

    @property
    def segment(self) -> int:
        """Number of the segment that the next lines go to."""
        return self._tail.number

    def later(self, function: Callable[[Batch], None]) -> None:
        """Run `function` in some later transaction, or never if the process dies before.

        Where the disk refuses, it rides on the next transaction that somebody waits for.
        """
        with self._changed:
            self._lazy.append(_Request(function, durable=False, awaited=False))
            self._changed.notify()

    def stop(self) -> None:
        """Run what waits and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        requests: list[_Request] = []
        try:
            while requests := self._next():
                self._commit(requests)
        except BaseException as error:
            with self._changed:
                self._stopping = True
                requests += self._requests
            for request in requests:
                if request.done.locked():
                    request.error = StoreError(f"the store's writer ended: {error!r}")
                    request.done.release()
            raise

    def _next(self) -> list[_Request]:
        """What to commit together, as soon as there is something; empty once stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests or self._lazy or self._stopping)
            if not self._requests:
                self._changed.wait_for(lambda: self._requests or self._stopping, LAZY_S)
            requests = [self._requests.popleft() for _ in range(min(MAX_REQUESTS, len(self._requests)))]
            requests += self._lazy
            self._lazy.clear()
        if requests:
            requests += self._put_off
            self._put_off.clear()
        return requests

    def _commit(self, requests: list[_Request]) -> None:
        batch = Batch(self._db, PackDraft(self._next_pack), self._tail.draft())
        waiting = deque(requests)
        ran: list[_Request] = []
        try:
            # In WAL mode NORMAL means no fsync at the commit; the log stays consistent all the same.
            self._db.pragma("synchronous", SYNCHRONOUS if any(one.durable for one in requests) else "NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            while waiting and batch.pack.size_bytes < MAX_PACK_BYTES:
                ran.append(waiting.popleft())
                self._run_one(batch, ran[-1])
            self._seal(batch)
            self._db.execute("COMMIT")
        except (apsw.Error, OSError) as error:
            self._undo(batch, ran, error)
        else:
            self._finish(batch, ran)
        if waiting:
            self._commit(list(waiting))

    def _run_one(self, batch: Batch, request: _Request) -> None:
        request.error = None
        mark = batch.mark()
        self._db.execute("SAVEPOINT one")
        try:
            request.result = request.function(batch)
        except Exception as error:
            if self._db.get_autocommit():
                raise  # SQLite has rolled back the whole transaction, as for a full disk
            self._db.execute("ROLLBACK TO one")
            batch.rewind(mark)
            request.error = self._translated(error)
        self._db.execute("RELEASE one")

    def _seal(self, batch: Batch) -> None:
        """Write down how far the segment is, stage the pack, make the names of what is staged durable."""
        if batch.tail.end_bytes > self._tail.end_bytes:
            self._db.execute(
                "INSERT INTO segments VALUES (?, ?, ?, 0) ON CONFLICT(number)"
                " DO UPDATE SET size_bytes = excluded.size_bytes, synced_bytes = excluded.synced_bytes",
                (batch.tail.number, batch.tail.end_bytes, self._tail.synced_bytes),
            )
        pack = batch.pack
        if pack.size_bytes:
            name = pack.name()
            batch.staged_pack, fd = self._staging.write(name, pack.content())
            self._staging.make_durable(fd, Site.PACK)
            self._db.execute("INSERT INTO packs VALUES (?, ?, ?, ?)", (pack.id, name, pack.size_bytes, pack.live_bytes))
            batch.move(batch.staged_pack, f"{PACKS}/{name}")
            self._next_pack += 1
        if any(intent.act == MOVE for intent in batch.intents):
            self._staging.make_names_durable()

    def _undo(self, batch: Batch, ran: list[_Request], error: apsw.Error | OSError) -> None:
        """Roll back. Of several each is then tried alone, so that only who cannot have it is refused."""
        if not self._db.get_autocommit():
            self._db.execute("ROLLBACK")
        if batch.staged_pack:
            self._staging.discard(batch.staged_pack)
        if len(ran) > 1:
            for request in ran:
                self._commit([request])
            return
        for request in ran:
            request.error = self._translated(error, batch.pack.size_bytes)
            if request.awaited:
                request.done.release()
            else:
                self._put_off.append(request)

    def _translated(self, error: Exception, needed_bytes: int = 0) -> Exception:
        path = f"{self._home}/{NAME}"
        if isinstance(error, apsw.FullError):
            error = OSError(errno.ENOSPC, str(error), path)
        if isinstance(error, OSError):
            return disk_error(self._files, path, error, needed_bytes)
        if not isinstance(error, apsw.Error):
            return error
        translated = sql_error(path, error)
        if isinstance(translated, StoreDamaged):
            self._on_damage()
        return translated or error

    def _finish(self, batch: Batch, ran: list[_Request]) -> None:
        try:
            self._tail.append(batch.tail)
            self.trouble = None
            if batch.roll or self._tail.end_bytes > MAX_SEGMENT_BYTES:
                self._tail.next_segment(self._tail.number + max(1, batch.roll))
        except OSError as error:
            self.trouble = error  # the catalogue has the lines; they are appended with the next ones
        if batch.intents:
            self._hand_over(batch.intents)
        for request in ran:
            request.done.release()
