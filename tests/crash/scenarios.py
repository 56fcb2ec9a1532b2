"""What the store is made to do on a recorded disk, and what has to be true whenever the power goes."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from store.blocks import block_path, key_of
from store.catalogue import NAME
from store.cid import RAW, cid_of
from store.files import Files, ObjectSite, Site
from store.segments import FOLDER as RECORDS
from store.segments import segment_path
from store.store import Owner, RecordEntry, Store
from tests.crash.disk import Disk
from tests.crash.recorded import RecordedFiles

Block = tuple[bytes, bytes]
HOUR_MS = 3600 * 1000
LARGE_BYTES = 2048
"""Blocks from here on get files of their own in these tests, which then write little."""

REMOVED = (1, 3)
"""Images whose records `life` takes away, and then their roots."""


class Images:
    """Made-up images by number: two large blocks, of which one is shared with the next image, and three small."""

    @staticmethod
    def blocks(number: int) -> list[Block]:
        sizes = [(f"large {number}", 3000), (f"large {number + 1}", 2500), (f"a {number}", 700), (f"b {number}", 300)]
        return [_block(name, size_bytes) for name, size_bytes in [*sizes, ("small, in all", 100)]]

    @staticmethod
    def root(number: int) -> bytes:
        return Images.blocks(number)[2][0]

    @staticmethod
    def record(number: int, version: int = 1, padding: int = 0) -> RecordEntry:
        readable = {"image": number, "version": version, "padding": "x" * padding}
        return RecordEntry(
            key=b"pin %d" % number, kind="pin", raw=b"signed %d %d" % (number, version), readable=readable
        )


def _block(name: str, size_bytes: int) -> Block:
    block = random.Random(f"{name} {size_bytes}").randbytes(size_bytes)
    return cid_of(RAW, block), block


class Clock:
    """Wall clock of the recorded store."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


class Claim:
    """What holds once the store has acknowledged it: after every crash, and as far as files alone can tell after the
    loss of the catalogue as well."""

    def __init__(self, holds: Callable[[Store], None], holds_without: Callable[[Store], None] | None = None) -> None:
        self.holds = holds
        self.holds_without_catalogue = holds_without or (lambda store: None)

    @classmethod
    def of_files(cls, holds: Callable[[Store], None]) -> "Claim":
        """What the files alone tell."""
        return cls(holds, holds)


class Actor:
    """Uses a store on a recorded disk, and claims each thing once the store has acknowledged it."""

    def __init__(self, disk: Disk, forgotten: Site | None = None) -> None:
        self.disk = disk
        self.clock = Clock()
        self._forgotten = forgotten
        self.files: RecordedFiles
        self.store = self.opened()

    def opened(self) -> Store:
        """Open the store, as a daemon that starts does."""
        self.files = RecordedFiles(self.disk, self._forgotten)
        store = Store.open(self.disk.root / "store", files=self.files, clock_ms=self.clock)
        store._compactor.min_dead_bytes = 2000
        store_id = store.store_id
        self.disk.claim("store id", Claim.of_files(lambda found: _same(found.store_id, store_id)))
        return store

    def add(self, number: int, job: bytes = b"job") -> None:
        """Store an image as ingest does: blocks for a job, then root and pin at once."""
        owner = Owner("job", job)
        self.store.put(Images.blocks(number), owner=owner)
        self.commit(number, owner)
        self.store.drop(owner)

    def commit(self, number: int, frm: Owner | None) -> None:
        cids = [cid for cid, _ in Images.blocks(number)]
        self.store.commit_image(Images.root(number), "ipfs", cids, 6600, frm, [Images.record(number)])
        self.disk.claim(f"image {number}", Claim(lambda store: whole(store, number), lambda store: kept(store, number)))

    def remove(self, number: int) -> None:
        self.disk.claim(f"image {number}", None)
        self.store.forget_records([b"pin %d" % number])
        self.store.release(Images.root(number), "ipfs")
        self.disk.claim(
            f"image {number}", Claim(lambda store: gone(store, number), lambda store: forgotten(store, number))
        )

    def collect(self) -> None:
        self.clock.now_ms += 2 * HOUR_MS
        self.store.collect(self.clock.now_ms)

    def change_record(self, number: int, version: int, padding: int = 0) -> None:
        key = f"record {number}"
        self.disk.claim(key, None)
        self.store.append_records([Images.record(number, version, padding)])
        self.disk.claim(key, Claim.of_files(lambda store: _same(records(store).get(number), version)))

    def set_fact(self, value: bytes) -> None:
        self.disk.claim("fact", None)
        self.store.set_fact("lease", value)
        self.disk.claim("fact", Claim(lambda store: _same(store.fact("lease"), value)))

    def claim_blocks(self, blocks: list[Block]) -> None:
        self.disk.claim("blocks", Claim.of_files(lambda store: have(store, blocks)))

    def kill(self, root: Path) -> None:
        """SIGKILL and start again: nothing is lost but the process, and nothing is any safer than it was."""
        self.disk.move_to(root)
        self.store.close()
        self.store = self.opened()

    def finish(self) -> None:
        self.store.check()
        self.store.close()


def life(actor: Actor, scratch: Path) -> None:
    """Adds, removals, collection, compaction of packs and segments, facts, a kill, a stop and a start."""
    actor.set_fact(b"one")
    actor.add(1)
    actor.add(2)
    actor.store.put(Images.blocks(7), owner=Owner("job", b"never finished"))
    actor.store.put(Images.blocks(8), owner=Owner("fetch", b"under way"))
    actor.store.settle()
    actor.add(3)
    actor.store.put(Images.blocks(6)[:1], owner=Owner("fetch", b"under way"))
    actor.claim_blocks(Images.blocks(6)[:1])
    actor.kill(scratch / "after kill")
    actor.add(4)
    for number in REMOVED:
        actor.remove(number)
    actor.collect()
    for version in range(2, 7):
        actor.change_record(2, version, padding=400)
    actor.collect()
    actor.change_record(2, 7)
    actor.set_fact(b"two")
    actor.add(5)
    actor.finish()


def illness(actor: Actor, scratch: Path) -> None:
    """A block of an image rots, is found, put away, and healed."""
    actor.add(1)
    actor.store.settle()
    cid, block = Images.blocks(1)[0]
    actor.disk.claim("image 1", None)
    fd = actor.files.open(str(actor.disk.root / "store" / block_path(cid)))
    actor.files.write(fd, b"rotten", 100)
    actor.files.fsync(fd, Site.BLOCK)
    actor.files.close(fd)
    assert actor.store.scrub().bad == (cid,)
    assert actor.store.missing() == [(cid, (Images.root(1),))]
    actor.store.put([(cid, block)], owner=Owner("root", Images.root(1)))
    actor.disk.claim("image 1", Claim(lambda store: whole(store, 1), lambda store: kept(store, 1)))
    actor.store.settle()
    actor.add(2)
    actor.finish()


def old_catalogue(actor: Actor, scratch: Path) -> None:
    """A catalogue from before is put back, while blocks that only the lost one knew are not even at their places."""
    actor.add(1)
    actor.finish()
    catalogue = actor.disk.root / "store" / NAME
    before = catalogue.read_bytes()
    actor.store = actor.opened()
    actor.files.refuses_moves = True
    actor.store.put(Images.blocks(2), owner=Owner("fetch", b"under way"))
    actor.claim_blocks(Images.blocks(2))
    actor.store.close()
    actor.disk.claim(
        "image 1", Claim.of_files(lambda store: kept(store, 1))
    )  # holdings are in no file but the catalogue
    actor.files.put_back(str(catalogue), before)
    actor.store = actor.opened()
    assert actor.store.rebuilt
    actor.finish()


def compaction(actor: Actor, scratch: Path) -> None:
    """A record is replaced until its segment is mostly dead."""
    for version in range(1, 8):
        actor.change_record(2, version, padding=400)
    actor.collect()
    actor.change_record(3, 1)
    actor.finish()


def lost_segment(actor: Actor, scratch: Path) -> None:
    """A segment is removed by mistake, and written again from the catalogue."""
    actor.add(1)
    actor.change_record(2, 1)
    actor.finish()
    for key in ("image 1", "record 2"):
        actor.disk.claim(key, None)
    actor.files.unlink(str(actor.disk.root / "store" / segment_path(1)))
    actor.files.fsync_folder(str(actor.disk.root / "store" / RECORDS), Site.SETTLED)
    actor.store = actor.opened()
    for number in (1, 2):
        actor.disk.claim(f"record {number}", Claim.of_files(lambda store, n=number: _same(records(store).get(n), 1)))
    actor.finish()


def whole(store: Store, number: int) -> None:
    """The image is held, every byte of it is there, its pin is."""
    assert Images.root(number) in {held.root for held in store.holdings()}
    kept(store, number)


def kept(store: Store, number: int) -> None:
    """Every byte of the image is there, its pin is."""
    for cid, block in Images.blocks(number):
        assert store.get(cid) == block
    assert number in records(store)


def have(store: Store, blocks: list[Block]) -> None:
    for cid, block in blocks:
        assert store.get(cid) == block


def gone(store: Store, number: int) -> None:
    assert Images.root(number) not in {held.root for held in store.holdings()}
    forgotten(store, number)


def forgotten(store: Store, number: int) -> None:
    assert number not in records(store)


def records(store: Store) -> dict[int, int]:
    """Version of each image's record."""
    return {int(entry.readable["image"]): int(entry.readable["version"]) for entry in store.load_records()}


def _same(found: object, wanted: object) -> None:
    assert found == wanted


def no_litter(store: Store) -> None:
    assert [result for result in store.check() if not result.ok] == []


def in_order(store: Store) -> None:
    """No litter; holdings and pins agree; what nobody owns goes, and what is owned stays."""
    assert not store.rebuilt
    missing = {key for key, _ in store.missing()} | set(store.scrub().bad)
    assert [result for result in store.check() if not result.ok and not (missing and result.check == "blocks")] == []
    held = {held.root for held in store.holdings()}
    pinned = {Images.root(number) for number in records(store)}
    assert held >= pinned
    assert held - pinned <= {Images.root(number) for number in REMOVED}
    images = [number for number in range(10) if Images.root(number) in held]
    store.collect(Clock().now_ms + 1000 * HOUR_MS)
    here = {number: [pair for pair in Images.blocks(number) if pair[0] not in missing] for number in images}
    for blocks in here.values():
        have(store, blocks)
    owned = {key_of(cid): len(block) for blocks in here.values() for cid, block in blocks}
    fetched = {key_of(cid): len(block) for cid, block in [*Images.blocks(8), Images.blocks(6)[0]]}
    if not store.fetches():
        fetched = {}
    assert sum(owned.values()) <= store.used_bytes() <= sum((owned | fetched).values())
    assert store.scrub().bad == ()


class QuietFiles(Files):
    """For stores that only prove a point: they outlive no power loss, so nothing is fsynced."""

    def fsync(self, fd: int, site: Site | ObjectSite) -> None:
        pass

    def fsync_folder(self, path: str, site: Site | ObjectSite) -> None:
        pass


@contextmanager
def opened(root: Path) -> Iterator[Store]:
    store = Store.open(root / "store", files=QuietFiles(), clock_ms=Clock())
    try:
        yield store
    finally:
        store.close()
