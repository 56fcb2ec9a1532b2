"""The store: blocks with owners, the roots held, records and small facts, each durable when its method returns.

Every method blocks and may be called from any thread. Nothing here decides what to keep: `node` says who owns what.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from store import catalogue, check, facts, holdings, letting_go, ownership, scrub
from store import records as record_table
from store.backends.contract import Backend
from store.block_reading import BlockReading
from store.blocks import key_of
from store.catalogue import Readers, sql_errors
from store.check import CheckResult
from store.cid import inline_block
from store.clock import wall_clock_ms
from store.collecting import Collected, collect
from store.commits import Batch, Writer
from store.compaction import Compactor
from store.condition import Condition
from store.files import Files, Site, disk_errors
from store.holdings import Held, Holding, HoldingState
from store.image_commits import ImageCommits
from store.intake import Intake
from store.intents import Folders, Settler
from store.kinds import Kinds
from store.lock import StoreLock
from store.opening import is_listed, open_parts, set_aside
from store.ownership import Owner
from store.record_lines import RecordEntry
from store.scrub import ScrubResult
from store.scrub_kept import scrub_both
from store.workspace import emptied_workspace

__all__ = [
    "CheckResult",
    "Collected",
    "Held",
    "Holding",
    "HoldingState",
    "Owner",
    "RecordEntry",
    "ScrubResult",
    "Store",
]

LOCK_NAME = "daemon.lock"
MAX_BACKLOG = 4096
"""Files committed and not yet moved to their places, above which a put waits. A guess."""
SETTLE_TIMEOUT_S = 30.0


class Store:
    """One data directory, open. Make it with `Store.open`.

    Attributes:
        store_id: random hex; stays with the blocks, also when the catalogue is lost.
        workspace: for temporary files; emptied at opening.
        condition: of the disk under the blocks.
        kinds: the backends besides the embedded store, with what is to be done on them alone.
        rebuilt: the catalogue was lost, damaged or older than the files, and was made anew from them: nothing is
            collected until `finish_recovery`.
    """

    def __init__(
        self, path: Path, files: Files, clock_ms: Callable[[], int], lock: StoreLock, backends: Mapping[str, Backend]
    ) -> None:
        self._files = files
        self._home = str(path)
        self._clock_ms = clock_ms
        self._lock = lock
        catalogue_path = f"{self._home}/{catalogue.NAME}"
        with disk_errors(files, self._home), sql_errors(catalogue_path):
            opened = open_parts(files, self._home, clock_ms())
        self.store_id = opened.store_id
        self.workspace = emptied_workspace(path)
        self._db = opened.db
        self._staging = opened.staging
        self._tail = opened.tail
        self._readers = Readers(catalogue_path, files.vfs, self._set_catalogue_aside)
        self._settler = Settler(Folders(files, self._home, self._is_listed), self._forget_intents)
        self._writer = Writer(
            opened.db,
            files,
            self._home,
            staging=opened.staging,
            tail=opened.tail,
            next_pack=opened.next_pack,
            hand_over=self._settler.hand_over,
            on_damage=self._set_catalogue_aside,
        )
        self.condition = Condition(files, self._home, self._readers, self._writer, self.store_id)
        self.kinds = Kinds(backends, self._readers, self._writer, clock_ms, lambda: self.rebuilt)
        self._reading = BlockReading(files, self._home, self._readers, self.condition, self.kinds)
        self._images = ImageCommits(self, self._writer, self.kinds, clock_ms)
        self._compactor = Compactor(files, self._home, self._readers, self._writer, opened.staging)
        self._collecting = threading.Lock()
        self._closed = False
        self.rebuilt = bool(self._state("rebuilt"))

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        files: Files | None = None,
        clock_ms: Callable[[], int] = wall_clock_ms,
        backends: Mapping[str, Backend] | None = None,
    ) -> "Store":
        """Open, or make, the store in `path`: lock, migrate, finish or undo what a crash left.

        Args:
            backends: besides the embedded store, by kind. None is asked anything yet.

        Raises:
            StoreInUse: another daemon has it open.
            StoreFull, DiskFailed: the disk refuses.
            StoreDamaged: a newer release wrote it.
        """
        files = files or Files()
        with disk_errors(files, str(path)):
            files.make_folder(str(path))
            with suppress(PermissionError):  # a parent that we may not even list is not ours to look after
                files.fsync_folder(str(path.parent), Site.DATA_DIRECTORY)
        lock = StoreLock(path / LOCK_NAME)
        try:
            return cls(path, files, clock_ms, lock, backends or {})
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Finish what is under way and let go of the data directory. Nobody may be using the store any more."""
        if self._closed:
            return
        self._closed = True
        self.kinds.close()
        self._settler.stop(SETTLE_TIMEOUT_S)
        self._writer.stop()
        self._tail.close()
        self._readers.close()
        self._db.close()
        self._lock.release()

    # Blocks

    def get(self, cid: bytes) -> bytes:
        """Return a block, hashed before it is.

        Raises:
            BlockNotFound: not here.
            BlockCorrupt: the disk has other bytes; they are put in quarantine, the block is missing from now on.
            DiskFailed: the disk, or the backend, cannot read it.
            BadCid: no CID that we can check.
        """
        return self._reading.get(cid)

    def reader(self, kind: str) -> Callable[[bytes], bytes]:
        """`get` for what lies on one kind, whatever lies on the others: a proof of that copy reads these."""
        return self._reading.of_kind(kind)

    def has(self, cid: bytes) -> bool:
        """Whether a block is listed and not known to be bad; an identity CID holds its own."""
        return self.size(cid) is not None

    def is_here(self, key: bytes) -> bool:
        """Whether the embedded store has a block."""
        return self._reading.is_here(key)

    def is_near(self, cid: bytes) -> bool:
        """Whether `get` finds the block here, without asking a backend. Raises: BadCid."""
        return inline_block(cid) is not None or self.is_here(key_of(cid))

    def size(self, cid: bytes) -> int | None:
        """Return a block's size in bytes, None if it is not here. Raises: BadCid."""
        return self._reading.size(cid)

    def put(self, blocks: Iterable[tuple[bytes, bytes]], *, owner: Owner, verified: bool = False) -> int:
        """Store blocks for an owner, all or none; those that are here already it comes to own as well.

        Args:
            blocks: (CID, bytes). Blocks below 64 KiB are kept in memory until all are there.
            verified: they are known to hash to their CIDs.

        Returns:
            Bytes newly stored.

        Raises:
            BlockCorrupt, BadCid: of one of them.
            StoreFull, DiskFailed: nothing of it was stored.
        """
        with Intake(self._files, self._home, self._readers, self._staging) as intake:
            for cid, block in blocks:
                intake.add(cid, block, verified=verified)
            intake.make_durable()
            self._settler.wait(MAX_BACKLOG, SETTLE_TIMEOUT_S)
            wanted = self._writer.run(
                lambda batch: ownership.enlist_all(batch, owner, intake.incoming, self._clock_ms())
            )
            intake.taken([block.staged for block in wanted])
        return sum(block.size_bytes for block in wanted)

    # Owners

    def begin(self, owner: Owner) -> None:
        """Write down that a fetch or job has begun; its first `put` does so as well."""
        self._writer.run(lambda batch: ownership.begin(batch.db, owner, self._clock_ms()))

    def drop(self, owner: Owner) -> None:
        """End an owner; what nobody else owns is collected an hour later."""
        # A job that a crash brings back ends when the store is opened.
        durable = owner.kind != "job"
        self._writer.run(lambda batch: ownership.drop(batch.db, owner, self._clock_ms()), durable=durable)

    def fetches(self) -> list[tuple[Owner, int]]:
        """Return the fetches that have begun and not ended, with the wall-clock ms of their beginning."""
        sql = "SELECT name, started_ms FROM owners WHERE kind = 'fetch' ORDER BY started_ms"
        return [(Owner("fetch", name), started_ms) for name, started_ms in self._readers.rows(sql)]

    def stale_fetches(self, now_ms: int) -> list[Owner]:
        """Return the fetches that began 24 h ago or earlier: to be dropped, or begun anew."""
        return [owner for owner, began_ms in self.fetches() if began_ms <= now_ms - ownership.FETCH_EXPIRES_MS]

    # Holdings

    def hold(self, root: bytes, *, kind: str, blocks: Iterable[bytes], size_bytes: int, frm: Owner | None) -> Holding:
        """Hold a root complete: it owns its blocks from now on, instead of `frm`, which ends. Again is no change.

        Raises:
            BlockNotFound: one of the blocks is missing; nothing happened.
        """
        return self.commit_image(root, kind, blocks, size_bytes, frm, ())

    def commit_image(
        self,
        root: bytes,
        kind: str,
        blocks: Iterable[bytes],
        size_bytes: int,
        frm: Owner | None,
        records: Sequence[RecordEntry],
        patience_s: float | None = None,
    ) -> Holding:
        """`hold` and `append_records` in one: after a crash either both are there or neither.

        Raises:
            BlockNotFound: one of the blocks is missing; nothing happened.
            BackendUnavailable: it is another kind's, which could not be asked, or took longer than `patience_s`.
        """
        return self._images.commit(root, kind, blocks, size_bytes, frm, records, patience_s)

    def release(self, root: bytes, kind: str) -> Holding | None:
        """Hold a root no longer; its blocks stay until collected. Returns: None if it was not held."""
        return self._writer.run(lambda batch: letting_go.release(batch, root, kind, self._clock_ms()))

    def retract(self, roots: Sequence[bytes], kind: str) -> list[Holding]:
        """Hold these no longer, all at once, but keep what is here of them for the fetches that are to complete them."""
        return self._writer.run(lambda batch: letting_go.retract(batch, roots, kind, self._clock_ms()))

    def holdings(self) -> list[Held]:
        """Return the roots held, in the order of their last change."""
        sql = "SELECT root, kind, size_bytes, seq, held_at_ms FROM holdings ORDER BY seq, root, kind"
        return [Held(*row) for row in self._readers.rows(sql)]

    def holding_state(self) -> HoldingState:
        """Return the (epoch, seq) of the last change, which is durable."""
        with self._readers.connection() as db:
            return holdings.state(db)

    def holdings_at(self) -> tuple[HoldingState, list[tuple[bytes, str]]]:
        """Return the (epoch, seq) of one instant, with the (root, kind) held then."""
        with self._readers.connection() as db:
            return holdings.snapshot(db)

    def new_epoch(self, at_least: int) -> HoldingState:
        """Begin the next epoch, or `at_least` if that is higher, with the set as it stands."""
        return self._writer.run(lambda batch: holdings.new_epoch(batch.db, at_least))

    def missing(self) -> list[tuple[bytes, tuple[bytes, ...]]]:
        """Return the blocks that should be here and are not, each with the roots held that need it."""
        return check.missing_blocks(self._readers)

    def collect(self, now_ms: int) -> Collected:
        """Let go of blocks unowned for an hour; write anew packs and segments that are mostly dead."""
        with self._collecting:
            if self.rebuilt:
                return Collected(0, 0, 0, segments=False)
            return collect(self._writer, self._compactor, now_ms)

    def used_bytes(self) -> int:
        """Return the bytes of all listed blocks, those of partial fetches and those waiting for collection included."""
        return self._state("used_bytes")

    def used_bytes_everywhere(self) -> int:
        """The same with what lies on other backends."""
        return self.used_bytes() + self.kinds.used_bytes()

    # Records

    def append_records(self, entries: Sequence[RecordEntry]) -> None:
        """Add or replace records by key, in order."""
        self._writer.run(lambda batch: record_table.put(batch, entries))

    def load_records(self, *, aside: bool = False) -> Iterator[RecordEntry]:
        """Yield the current set, or what is kept beside it: the entries of kind `ASIDE`."""
        return record_table.load(self._readers, aside=aside)

    def signed_pages(self) -> Iterator[list[record_table.Sealed]]:
        """Yield the signed bytes of the current set with their seals, some at a time."""
        return record_table.signed_pages(self._readers)

    def seal_records(self, seals: Mapping[bytes, tuple[bytes, bytes]]) -> None:
        """Keep by key the seal of these bytes, unless others are there by now; lost where the process dies soon."""
        self._writer.later(lambda batch: record_table.seal(batch, seals))

    def forget_records(self, keys: Sequence[bytes]) -> None:
        """Take records away by key."""
        self._writer.run(lambda batch: record_table.forget(batch, keys))

    # Facts

    def set_fact(self, name: str, value: bytes | None) -> None:
        """Keep a small value under a name; None takes it away."""
        self.set_facts({name: value})

    def set_facts(self, changes: Mapping[str, bytes | None]) -> None:
        """Keep or take away many at once."""
        self._writer.run(lambda batch: facts.put(batch, changes))

    def fact(self, name: str) -> bytes | None:
        return facts.get(self._readers, name)

    def facts(self, prefix: str) -> dict[str, bytes]:
        """Return all facts whose names begin with `prefix`."""
        return facts.beginning(self._readers, prefix)

    # Truth

    def begin_recovery(self) -> None:
        """Others know newer holdings of this peer: its files are an old copy, and what it promised since is unknown."""
        self._writer.run(lambda batch: ownership.begin_recovery(batch.db))
        self.rebuilt = True

    def finish_recovery(self) -> None:
        """After a rebuild: the roots wanted are held again, so what is unowned may go from an hour from now."""
        self._writer.run(lambda batch: letting_go.end_recovery(batch, self._clock_ms()))
        self.rebuilt = False

    def settle(self) -> bool:
        """Wait until no file is on its way any more. False: the disk refuses."""
        return self._settler.wait(0, SETTLE_TIMEOUT_S)

    def check(self) -> list[CheckResult]:
        """Compare catalogue and disk without reading blocks; `doctor` prints this."""
        self.settle()
        refused = check.try_disk(self._writer)  # the intents just carried out go with it
        trouble = refused or self._settler.trouble or self._writer.trouble
        results = check.check_store(self._files, self._home, self._readers, trouble)
        if not results[0].ok:
            self._set_catalogue_aside()
        return results

    def scrub(self, max_bytes: int | None = None, *, anew: bool = False) -> ScrubResult:
        """Re-hash blocks, going on where the last call ended; bad ones go to quarantine.

        Args:
            max_bytes: stop after about so many; None: the whole store, from its beginning.
            anew: begin at the beginning in any case.
        """
        args = (self._files, self._home, self._readers, self._writer, self.condition.quarantine, max_bytes, anew)
        return scrub_both(lambda: scrub.scrub(*args), self.kinds, self._readers, self._writer, max_bytes, anew)

    def _state(self, name: str) -> int:
        return int(self._readers.row("SELECT value FROM state WHERE name = ?", (name,))[0])

    def _is_listed(self, path: str) -> bool:
        with self._readers.connection() as db:
            return is_listed(db, path)

    def _set_catalogue_aside(self) -> None:
        """The catalogue was found damaged: nothing can be done until the next opening, which makes it anew."""
        with suppress(OSError):
            set_aside(self._files, self._home)

    def _forget_intents(self, ids: Sequence[int]) -> None:
        def forget(batch: Batch) -> None:
            batch.db.executemany("DELETE FROM intents WHERE id = ?", [(number,) for number in ids])

        self._writer.later(forget)
