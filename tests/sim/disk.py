"""A simulated disk, and the store on it: `store.Store` as the daemon uses it, every method durable when it returns.

A method happens at one instant, as a transaction does. What a process had not done when it died is not done, and its
store takes nothing any more, so that what still unwinds in it changes no disk.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace

from store.cid import RAW, inline_block, verify_block
from store.condition import Probe
from store.errors import BlockCorrupt, BlockNotFound, DiskFailed, StoreFull
from store.ownership import FETCH_EXPIRES_MS, UNOWNED_MS
from store.record_lines import ASIDE
from store.scrub import ScrubResult
from store.store import Collected, Held, Holding, HoldingState, Owner, RecordEntry
from tests.sim.image import BYTES_FOR_ONE

Element = tuple[bytes, str]
NO_KINDS = SimpleNamespace(missing=lambda kind: [], used_bytes=lambda kind: 0)
"""The simulated peers have the embedded store alone."""


@dataclass(slots=True)
class Block:
    """A block as the catalogue lists it: `data` is None once its bytes were found bad; `rotten` until they are."""

    data: bytes | None
    size_bytes: int
    rotten: bool = False
    owners: set[Owner] = field(default_factory=set)
    unowned_since_ms: int | None = None

    @property
    def intact(self) -> bool:
        return self.data is not None and not self.rotten


class Disk:
    """What survives the process.

    Attributes:
        full: it takes nothing.
        forgetful: what is written is gone at once, and nobody notices before it is read.
        unreadable: every read of a block fails, and the block is not found to be bad by that.
        lies: its owner cheats: it keeps nothing but the roots' first blocks, and makes up the rest, also to itself.
        on_change: told of roots whose copy here may have become, or ceased to be, whole.
    """

    def __init__(self, store_id: str) -> None:
        self.store_id = store_id
        self.blocks: dict[bytes, Block] = {}
        self.lost: set[bytes] = set()
        self.owners: dict[Owner, int] = {}
        self.owned: dict[Owner, set[bytes]] = {}
        self.held: dict[Element, Held] = {}
        self.epoch, self.seq = 1, 0
        self.records: dict[bytes, RecordEntry] = {}
        self.facts: dict[str, bytes] = {}
        self.rebuilt = False
        self.full = self.forgetful = self.unreadable = self.lies = False
        self.on_change: Callable[[Iterable[bytes]], None] = lambda roots: None

    def roots_of(self, block: Block) -> list[bytes]:
        return [owner.id for owner in block.owners if owner.kind == "root"]

    def rot(self, cid: bytes) -> None:
        """The bytes change; nobody has noticed."""
        self.blocks[cid].rotten = True
        self.on_change(self.roots_of(self.blocks[cid]))

    def lose_catalogue(self) -> None:
        """What the next opening makes of the block files and record segments alone."""
        roots = [root for root, _ in self.held]
        self.held.clear()
        self.owners.clear()
        self.owned.clear()
        self.facts.clear()
        self.epoch, self.seq, self.rebuilt = 1, 0, True
        for block in self.blocks.values():
            block.owners.clear()
            block.unowned_since_ms = None
        self.on_change(roots)


class MemoryStore:
    """One process' store on a disk. `alive` goes with the process."""

    def __init__(self, disk: Disk, folder: Path, clock_ms: Callable[[], int]) -> None:
        self._disk = disk
        self._clock_ms = clock_ms
        self.alive = True
        self.workspace = folder
        self.store_id = disk.store_id
        self.kinds = NO_KINDS
        self.used_bytes_everywhere = self.used_bytes
        self.used = sum(block.size_bytes for block in disk.blocks.values() if block.data is not None)
        self.on_release: Callable[[bytes], None] = lambda root: None
        self._random = Random(len(disk.blocks))
        self._scrubbed = 0

    @property
    def rebuilt(self) -> bool:
        return self._disk.rebuilt

    def _write(self) -> Disk:
        if not self.alive:
            raise DiskFailed("the disk", "the process is dead")
        return self._disk

    # Blocks

    def get(self, cid: bytes) -> bytes:
        if (inline := inline_block(cid)) is not None:
            return inline
        block = self._disk.blocks.get(cid)
        if block is None or block.data is None:
            raise BlockNotFound(cid)
        if self._disk.unreadable:
            raise DiskFailed("blocks", "input/output error")
        if self._disk.lies and cid[1] == RAW:
            return bytes(block.size_bytes)
        if block.rotten:
            block.data, block.rotten = None, False
            self._disk.lost.add(cid)
            self.used -= block.size_bytes
            raise BlockCorrupt(cid, cid)
        return block.data

    def reader(self, kind: str) -> Callable[[bytes], bytes]:
        return self.get

    def is_near(self, cid: bytes) -> bool:
        return True

    def has(self, cid: bytes) -> bool:
        return self.size(cid) is not None

    def size(self, cid: bytes) -> int | None:
        if (inline := inline_block(cid)) is not None:
            return len(inline)
        block = self._disk.blocks.get(cid)
        return None if block is None or block.data is None else block.size_bytes

    def put(self, blocks: Iterable[tuple[bytes, bytes]], *, owner: Owner, verified: bool = False) -> int:
        disk = self._write()
        new = 0
        if disk.full:
            raise StoreFull(1, 0)
        self.begin(owner)
        for cid, data in blocks:
            if not verified:
                verify_block(cid, data)
            block = disk.blocks.get(cid)
            if block is None:
                block = disk.blocks[cid] = Block(None, len(data))
            if block.data is None:
                block.data, block.rotten = data, disk.forgetful
                disk.lost.discard(cid)
                new += len(data)
                disk.on_change(disk.roots_of(block))
            self._own(owner, cid)
        self.used += new
        return new

    # Owners

    def begin(self, owner: Owner) -> None:
        self._write().owners.setdefault(owner, self._clock_ms())

    def drop(self, owner: Owner) -> None:
        disk = self._write()
        disk.owners.pop(owner, None)
        for cid in disk.owned.pop(owner, ()):
            block = disk.blocks[cid]
            block.owners.discard(owner)
            if not block.owners:
                block.unowned_since_ms = self._clock_ms()

    def _own(self, owner: Owner, cid: bytes) -> None:
        block = self._disk.blocks[cid]
        block.owners.add(owner)
        block.unowned_since_ms = None
        self._disk.owned.setdefault(owner, set()).add(cid)

    def fetches(self) -> list[tuple[Owner, int]]:
        return [(owner, began_ms) for owner, began_ms in self._disk.owners.items() if owner.kind == "fetch"]

    def stale_fetches(self, now_ms: int) -> list[Owner]:
        return [owner for owner, began_ms in self.fetches() if began_ms <= now_ms - FETCH_EXPIRES_MS]

    # Holdings

    def hold(self, root: bytes, *, kind: str, blocks: Iterable[bytes], size_bytes: int, frm: Owner | None) -> Holding:
        return self.commit_image(root, kind, blocks, size_bytes, frm, ())

    def commit_image(
        self,
        root: bytes,
        kind: str,
        blocks: Iterable[bytes],
        size_bytes: int,
        frm: Owner | None,
        records: Sequence[RecordEntry],
    ) -> Holding:
        disk = self._write()
        owner = Owner("root", root)
        cids = [cid for cid in blocks if inline_block(cid) is None]
        for cid in cids:
            if not self.has(cid):
                raise BlockNotFound(cid)
        disk.owners.setdefault(owner, self._clock_ms())
        for cid in cids:
            self._own(owner, cid)
        if frm is not None:
            self.drop(frm)
        self.append_records(records)
        known = disk.held.get((root, kind))
        if known is not None:
            return Holding(root, kind, known.size_bytes, disk.epoch, known.seq, changed=False)
        disk.seq += 1
        disk.held[root, kind] = Held(root, kind, size_bytes, disk.seq, self._clock_ms())
        disk.on_change([root])
        return Holding(root, kind, size_bytes, disk.epoch, disk.seq, changed=True)

    def release(self, root: bytes, kind: str) -> Holding | None:
        disk = self._write()
        known = disk.held.pop((root, kind), None)
        if known is None:
            return None
        self.on_release(root)
        disk.seq += 1
        disk.on_change([root])
        self.drop(Owner("root", root))
        return Holding(root, kind, known.size_bytes, disk.epoch, disk.seq, changed=True)

    def retract(self, roots: Sequence[bytes], kind: str) -> list[Holding]:
        disk = self._write()
        gone = []
        for root in roots:
            known = disk.held.pop((root, kind), None)
            if known is not None:
                disk.seq += 1
                gone.append(Holding(root, kind, known.size_bytes, disk.epoch, disk.seq, changed=True))
                self.begin(Owner("fetch", root))
                for cid in list(disk.owned.get(Owner("root", root), ())):
                    self._own(Owner("fetch", root), cid)
                self.drop(Owner("root", root))
        disk.on_change([holding.root for holding in gone])
        return gone

    def holdings(self) -> list[Held]:
        return sorted(self._disk.held.values(), key=lambda held: (held.seq, held.root, held.kind))

    def holding_state(self) -> HoldingState:
        return HoldingState(self._disk.epoch, self._disk.seq)

    def holdings_at(self) -> tuple[HoldingState, list[Element]]:
        return self.holding_state(), list(self._disk.held)

    def new_epoch(self, at_least: int) -> HoldingState:
        disk = self._write()
        disk.epoch, disk.seq = max(disk.epoch + 1, at_least), 0
        disk.held = {
            key: Held(held.root, held.kind, held.size_bytes, 0, held.held_at_ms) for key, held in disk.held.items()
        }
        return self.holding_state()

    def missing(self) -> list[tuple[bytes, tuple[bytes, ...]]]:
        return [(cid, tuple(self._disk.roots_of(self._disk.blocks[cid]))) for cid in sorted(self._disk.lost)]

    def collect(self, now_ms: int) -> Collected:
        disk = self._write()
        if disk.rebuilt:
            return Collected(0, 0, 0, segments=False)
        before_ms = now_ms - UNOWNED_MS
        gone = [
            cid
            for cid, block in disk.blocks.items()
            if not block.owners and block.unowned_since_ms is not None and block.unowned_since_ms <= before_ms
        ]
        size_bytes = 0
        for cid in gone:
            block = disk.blocks.pop(cid)
            disk.lost.discard(cid)
            size_bytes += block.size_bytes if block.data is not None else 0
        self.used -= size_bytes
        return Collected(len(gone), size_bytes, 0, segments=False)

    def used_bytes(self) -> int:
        return self.used

    # Records and facts

    def append_records(self, entries: Sequence[RecordEntry]) -> None:
        records = self._write().records
        for entry in entries:
            records[entry.key] = entry

    def load_records(self, *, aside: bool = False) -> Iterator[RecordEntry]:
        return iter([entry for entry in self._disk.records.values() if (entry.kind == ASIDE) == aside])

    def signed_pages(self) -> Iterator[list[tuple[bytes, bytes | None]]]:
        return iter([[(entry.raw, entry.seal) for entry in self.load_records()]])

    def seal_records(self, seals: Mapping[bytes, tuple[bytes, bytes]]) -> None:
        """Nothing is slow here."""

    def forget_records(self, keys: Iterable[bytes]) -> None:
        records = self._write().records
        for key in keys:
            records.pop(key, None)

    def set_fact(self, name: str, value: bytes | None) -> None:
        self.set_facts({name: value})

    def set_facts(self, changes: Mapping[str, bytes | None]) -> None:
        facts = self._write().facts
        for name, value in changes.items():
            if value is None:
                facts.pop(name, None)
            else:
                facts[name] = value

    def fact(self, name: str) -> bytes | None:
        return self._disk.facts.get(name)

    def facts(self, prefix: str) -> dict[str, bytes]:
        return {name: value for name, value in sorted(self._disk.facts.items()) if name.startswith(prefix)}

    # Truth

    def begin_recovery(self) -> None:
        self._write().rebuilt = True

    def finish_recovery(self) -> None:
        disk = self._write()
        for block in disk.blocks.values():
            if not block.owners:
                block.unowned_since_ms = self._clock_ms()
        disk.rebuilt = False

    @property
    def condition(self) -> "MemoryStore":
        return self

    quarantined = 0

    def probe(self) -> Probe:
        """As `store.condition.Condition.probe`: two blocks are read."""
        blocks = self._disk.blocks
        tried = [cid for cid in self._random.sample(list(blocks), min(2, len(blocks))) if blocks[cid].data is not None]
        bad, unreadable = self._read(tried)
        return Probe(True, bool(bad), tuple(unreadable), len(tried))

    def condemn(self, cids: Iterable[bytes]) -> tuple[bytes, ...]:
        """Give up what cannot be read."""
        disk = self._write()
        given_up, unreadable = self._read(cids)
        for cid in unreadable:
            block = disk.blocks[cid]
            block.data, block.rotten = None, False
            self.used -= block.size_bytes
            disk.lost.add(cid)
            disk.on_change(disk.roots_of(block))
        self.quarantined += len(given_up) + len(unreadable)
        return (*given_up, *unreadable)

    def find_lost(self) -> int:
        return 0

    def scrub(self, max_bytes: int | None = None, *, anew: bool = False) -> ScrubResult:
        """From where the last call ended; bytes are scaled as images are."""
        cids = [cid for cid, block in sorted(self._disk.blocks.items()) if block.data is not None]
        begin = 0 if max_bytes is None or anew else self._scrubbed
        end, room_bytes = begin, math.inf if max_bytes is None else max_bytes / BYTES_FOR_ONE
        while end < len(cids) and room_bytes > 0:
            room_bytes -= self._disk.blocks[cids[end]].size_bytes
            end += 1
        bad, unreadable = self._read(cids[begin:end])
        finished = end >= len(cids)
        self._scrubbed = 0 if finished else end
        return ScrubResult(end - begin, 0, tuple(bad), tuple(unreadable), 0.0, finished)

    def _read(self, cids: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Those found bad, now or before, and those that the disk cannot read."""
        bad: list[bytes] = []
        unreadable: list[bytes] = []
        for cid in cids:
            try:
                self.get(cid)
            except (BlockCorrupt, BlockNotFound):
                bad.append(cid)
            except DiskFailed:
                unreadable.append(cid)
        return bad, unreadable
