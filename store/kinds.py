"""Roots on backends other than the embedded store: put, read back, listed; read by block; scrubbed; let go.

1. A row names the root before the first byte is put.
2. Its objects are put, the root's own block last, and each is read back from the backend and hashed, block by block.
3. One commit lists the blocks, the step of the holdings and whatever goes with it.

What fails on the way stays named, and goes an hour later unless somebody takes it up. Nothing is erased here of its own
accord: another peer may keep the same root in the same bucket, and only `node` can ask it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial

from store import holdings, kept
from store.backends.contract import Backend
from store.catalogue import Readers
from store.cid import cid_text
from store.clock import steady_s
from store.commits import Batch, Writer
from store.errors import (
    BackendFailed,
    BackendFull,
    BackendRefused,
    BackendUnavailable,
    BlockCorrupt,
    BlockNotFound,
    NotInBackend,
    StoreError,
    StoreFull,
)
from store.holdings import Holding
from store.kept import Kept
from store.layout import Object, SizeOf, plan_objects
from store.promises import Promises
from store.reading import Stream, read_back, read_part
from store.traversal import GetBlock

OBJECTS_AT_ONCE = 8
"""Of each backend: the files of an image go up side by side. A guess."""
UNWANTED_MS = 3600 * 1000
"""How long what was let go stays. Source: DESIGN §7, "Letting blocks go"."""
UNFINISHED_MS = 24 * 3600 * 1000
"""How long the rest of a root waits for the fetch that completes it. Source: the same."""
ERASE_S = 60.0
"""An erasure begins no call to its backend later than that after it began to ask who shares it. A guess."""
FORGOTTEN_AT_ONCE = 200
"""Roots in one transaction, so that adds need not wait long for it. A guess."""

Listing = Callable[[Batch, int], Holding]
"""What else belongs into the commit that lists a root's blocks; told how many there are."""


class Kinds:
    """The backends of one store, by kind. Thread-safe; false where there are none.

    Args:
        is_recovering: whether the catalogue was made anew: nothing is erased then.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        readers: Readers,
        writer: Writer,
        clock_ms: Callable[[], int],
        is_recovering: Callable[[], bool],
    ) -> None:
        self._backends = dict(backends)
        self._readers = readers
        self._writer = writer
        self._clock_ms = clock_ms
        self._is_recovering = is_recovering
        self._busy: set[tuple[str, bytes]] = set()
        self._promises = Promises(readers, writer, clock_ms)
        self._turn = threading.Condition()
        self._troubles: dict[str, str] = {}
        # One each: a backend that does not answer must not keep the threads of another.
        self._pools = {kind: ThreadPoolExecutor(OBJECTS_AT_ONCE, f"store-{kind}") for kind in backends}

    def __bool__(self) -> bool:
        return bool(self._backends)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown()

    def backend(self, kind: str) -> Backend:
        """Raises: BackendRefused: none is configured. BackendUnavailable: `set_trouble` says so."""
        try:
            backend = self._backends[kind]
        except KeyError:
            raise BackendRefused(
                f"backend {kind}", "not configured on this peer", f"configure backends.{kind}"
            ) from None
        if why := self._troubles.get(kind):
            raise BackendUnavailable(backend.place, why.removeprefix(f"{backend.place}: "))
        return backend

    def place(self, kind: str) -> str | None:
        """Where a kind is, as its errors name it; None for the embedded one and what is not configured."""
        backend = self._backends.get(kind)
        return None if backend is None else backend.place

    def set_trouble(self, kind: str, why: str) -> None:
        """A backend is known not to answer, or with "" to answer again: until then nobody waits for it."""
        self._troubles[kind] = why

    # Blocks

    def size(self, key: bytes) -> int | None:
        """A block's size in bytes, None where no backend has it."""
        return kept.size(self._readers, key) if self._backends else None

    def get(self, key: bytes, kind: str | None = None) -> bytes:
        """Return a block, hashed, from the backend `kind`, or for None from whichever has it.

        Raises:
            BlockNotFound: none has it, or none any more.
            BlockCorrupt: what is there is something else; it is listed as lost from now on.
            BackendFailed: one that should have it cannot be asked.
        """
        failed: StoreError | None = None
        for block in kept.find(self._readers, key) if self._backends else ():
            if kind not in (None, block.kind):
                continue
            try:
                return self._read(key, block)
            except (BlockCorrupt, BlockNotFound, BackendFailed) as error:
                if failed is None or isinstance(error, BackendFailed):
                    failed = error
        raise failed or BlockNotFound(key)

    def _read(self, key: bytes, block: Kept) -> bytes:
        backend = self.backend(block.kind)
        try:
            try:
                return read_part(backend, block, key)
            except BlockCorrupt:
                return read_part(backend, block, key)  # once more: an answer can be garbled on its way
        except BlockCorrupt:
            self._writer.run(lambda batch: kept.mark_bad(batch.db, block))
            raise
        except NotInBackend as error:
            self._writer.run(lambda batch: kept.mark_bad(batch.db, block))
            raise BlockNotFound(key) from error

    # Roots

    def keep(
        self,
        root: bytes,
        kind: str,
        get_block: GetBlock,
        size_of: SizeOf,
        commit: Listing,
        patience_s: float | None = None,
    ) -> Holding:
        """Put a root, read it back, and list it in one commit.

        Args:
            patience_s: how long it may take; None: as long as the backend's calls do.

        Raises:
            BackendUnavailable: `promise` stands, too, or the time is over.
            BackendFailed, StoreFull, BlockCorrupt: it is not kept.
            And whatever reading the source raises.
        """
        backend = self.backend(kind)
        until_s = None if patience_s is None else steady_s() + patience_s
        with self._alone(kind, root, until_s):
            if kept.is_whole(self._readers, root, kind):
                again = self._writer.run(lambda batch: self._list_again(batch, root, kind, commit))
                if again is not None:
                    return again
            there = kept.state(self._readers, root, kind) is not None
            with self._naming(root, kind):
                objects = plan_objects(root, get_block, size_of, whole_files=backend.whole_files)
                self._each(kind, partial(_put, backend, root, get_block, there=there), objects[:-1], until_s)
                # There or not: it is what a Kubo pins by.
                self._each(kind, partial(_put, backend, root, get_block, there=False), objects[-1:], until_s)
                return self._writer.run(lambda batch: self._list(batch, root, kind, objects, commit))

    def adopt(self, root: bytes, kind: str) -> Holding:
        """Hold a root that lies whole in a backend already, as after the catalogue was lost: all of it is read first.

        Its own block is put anew: a Kubo may have every block of it and collect them tomorrow.

        Raises:
            NotInBackend, BlockCorrupt: it is not whole there.
            BackendFailed: the backend cannot be asked.
        """
        backend = self.backend(kind)
        with self._alone(kind, root):
            objects = plan_objects(
                root,
                lambda cid: backend.get(root, cid_text(cid)),
                lambda cid, said: backend.stat(root, cid_text(cid)).size_bytes if said is None else said,
                whole_files=backend.whole_files,
            )
            self._each(kind, partial(read_back, backend, root), objects)
            size_bytes = sum({part.cid: part.length_bytes for each in objects for part in each.parts}.values())

            def listing(batch: Batch, count: int) -> Holding:
                return holdings.add(batch.db, root, kind, size_bytes, count, self._clock_ms())

            with self._naming(root, kind):
                name = objects[-1].name
                backend.put(root, name, [backend.get(root, name)])
                return self._writer.run(lambda batch: self._list(batch, root, kind, objects, listing))

    @contextmanager
    def _naming(self, root: bytes, kind: str) -> Iterator[None]:
        """Have a root named while it is put; what fails goes later, but not what was held, or waits for its fetch."""
        before = kept.state(self._readers, root, kind)
        self._check_promise(root, kind)
        self._writer.run(lambda batch: kept.begin(batch.db, root, kind, self._clock_ms()))
        try:
            self._check_promise(root, kind)  # whoever promises looks at the row that is there now
            yield
        except BaseException:
            after = before if before in (kept.HELD, kept.RETRACTED) else kept.GOING
            # Who let it go, or retracted it, meanwhile is right.
            self._writer.run(
                lambda batch: kept.change(batch.db, root, kind, after, self._clock_ms(), frm=(kept.COMING,))
            )
            raise

    def promise(self, root: bytes, kind: str) -> bool:
        """Let another peer that shares the store erase a root there: for a while nothing is put under it from here.

        One at a time.

        Returns: False where it is held there, or being put.
        Raises:
            StoreFull, DiskFailed: nothing is promised.
        """
        return self._promises.give(root, kind, self.has_begun)

    def is_promised(self, root: bytes, kind: str) -> bool:
        """Whether nothing may be put under a root for now."""
        return self._promises.stand(root, kind)

    def _check_promise(self, root: bytes, kind: str) -> None:
        if self.is_promised(root, kind):
            why = f"another peer that shares it erases {cid_text(root)} there now"
            raise BackendUnavailable(self._backends[kind].place, why, "try again in a few minutes")

    def departed(self, now_ms: int) -> list[tuple[bytes, str]]:
        """The (root, kind) that may be erased, as far as this peer is concerned; none while it is recovering.

        Whoever shares the backend has to be asked before `erase`: it may keep the same root there.
        """
        if self._is_recovering():
            return []
        ages = [(kept.GOING, now_ms - UNWANTED_MS), (kept.RETRACTED, now_ms - UNFINISHED_MS), (kept.ERASING, now_ms)]
        return [gone for gone in kept.in_states(self._readers, ages) if gone[1] in self._backends]

    def erase(self, root: bytes, kind: str, store_id: str | None = None, begun_s: float | None = None) -> bool:
        """Unlist a departed root and delete it from its backend. Returns: False if it is wanted again.

        Args:
            store_id: of the store whose sharers were asked; None: nobody was.
            begun_s: when the first of them was asked (`steady_s`): what they said stands for a while only.

        Raises:
            BackendFailed: some of it may be left, and is named; call again.
            NotInBackend: the store has no id any more.
        """
        backend = self.backend(kind)
        with self._alone(kind, root):
            if self._is_recovering():
                return False
            if store_id is not None and backend.store_id() != store_id:
                raise BackendUnavailable(backend.place, "is another store than the one that was asked about")
            _check_time(backend, begun_s)
            if not self._writer.run(lambda batch: kept.unlist(batch.db, root, kind, self._clock_ms())):
                return False
            _check_time(backend, begun_s)  # the disk may have taken long
            backend.delete(root, cid_text(root))  # first: a Kubo lists a root that it keeps by reading all of it
            for name in [entry.name for entry in backend.list(root)]:
                _check_time(backend, begun_s)
                backend.delete(root, name)
            self._writer.run(lambda batch: kept.forget(batch.db, root, kind))
        return True

    def forget(self, kind: str) -> None:
        """The store of a kind is another one now: what is named, and not held, must not be erased there."""
        while self._writer.run(lambda batch: kept.forget_some(batch.db, kind, FORGOTTEN_AT_ONCE)):
            pass

    def has_begun(self, root: bytes, kind: str) -> bool:
        """Whether a root is being put on a kind, or is held there."""
        return bool(self._backends) and kept.state(self._readers, root, kind) in (kept.COMING, kept.HELD)

    def missing(self, kind: str) -> list[tuple[bytes, tuple[bytes, ...]]]:
        """The blocks that should lie on `kind` and do not, each with the roots held there that need it."""
        return kept.lost(self._readers, kind)

    def used_bytes(self, kind: str | None = None) -> int:
        """The bytes of all blocks listed on `kind`, or on all of them."""
        return kept.used_bytes(self._readers, kind)

    def _list(self, batch: Batch, root: bytes, kind: str, objects: list[Object], commit: Listing) -> Holding:
        return commit(batch, kept.list_blocks(batch.db, root, kind, objects, self._clock_ms()))

    def _list_again(self, batch: Batch, root: bytes, kind: str, commit: Listing) -> Holding | None:
        """Hold what is listed and whole; None where that has changed since somebody looked."""
        if not kept.is_whole_in(batch.db, root, kind):
            return None
        return commit(batch, kept.count(batch.db, root, kind))

    def _each(
        self, kind: str, function: Callable[[Object], None], objects: Sequence[Object], until_s: float | None = None
    ) -> None:
        """Do it to all side by side. After a failure none is begun, and it is raised once none is under way any more.

        At `until_s` nothing is waited for any more: what is under way ends by itself, and counts for nothing.
        """
        futures = [self._pools[kind].submit(function, each) for each in objects]
        wait(futures, _left_s(until_s), return_when=FIRST_EXCEPTION)
        begun = [future for future in futures if not future.cancel()]
        over, late = wait(begun, _left_s(until_s))
        for future in over:
            future.result()
        if late or len(begun) < len(futures):
            raise BackendUnavailable(self._backends[kind].place, "it takes too long")

    @contextmanager
    def _alone(self, kind: str, root: bytes, until_s: float | None = None) -> Iterator[None]:
        """One change of a root's objects at a time."""
        with self._turn:
            if not self._turn.wait_for(lambda: (kind, root) not in self._busy, _left_s(until_s)):
                raise BackendUnavailable(self._backends[kind].place, "it takes too long")
            self._busy.add((kind, root))
        try:
            yield
        finally:
            with self._turn:
                self._busy.discard((kind, root))
                self._turn.notify_all()

    # Truth

    def check(self, block: Kept, key: bytes) -> bool:
        """Hash one block anew. Returns: False if it is lost, and listed so. Raises: BackendFailed."""
        try:
            self._read(key, block)
        except (BlockCorrupt, BlockNotFound):
            return False
        return True


def _left_s(until_s: float | None) -> float | None:
    return None if until_s is None else max(0.0, until_s - steady_s())


def _check_time(backend: Backend, begun_s: float | None) -> None:
    """Raises: BackendUnavailable: an erasure takes so long that what others said of it may not hold any more."""
    if begun_s is not None and steady_s() > begun_s + ERASE_S:
        raise BackendUnavailable(backend.place, f"nothing is erased on what was said {ERASE_S:.0f} s ago")


def _put(backend: Backend, root: bytes, get_block: GetBlock, each: Object, *, there: bool) -> None:
    """Put an object and read it back; one that may be there already is only read, if that will do."""
    if there:
        try:
            read_back(backend, root, each)
        except (NotInBackend, BlockCorrupt):
            pass
        else:
            return
    try:
        backend.put(root, each.name, Stream(each, get_block))
    except StoreFull as error:
        raise BackendFull(backend.place) from error
    try:
        read_back(backend, root, each)
    except NotInBackend as error:
        raise BackendUnavailable(backend.place, f"lost {each.name} at once") from error
