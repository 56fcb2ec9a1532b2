"""Whatever is added, fetched, released, removed and collected, in whatever order and with whatever crashes between:
no block that somebody owns is ever lost, and none that nobody owns stays for good.
"""

import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from store import intake
from store.blocks import block_path, key_of
from store.errors import BlockCorrupt, BlockNotFound
from store.store import Owner, Store
from tests.crash.disk import DROP, KEEP, Disk, Style, after_power_loss, disk_of
from tests.crash.recorded import RecordedFiles
from tests.crash.scenarios import HOUR_MS, LARGE_BYTES, Block, Clock, Images, no_litter

NUMBERS = st.integers(0, 4)
"""Each image shares a large block with the next, and a small one with all."""


class Interleavings(RuleBasedStateMachine):
    """The store beside a model of who owns what, in which nothing can go wrong."""

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.scratch = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.lives = 0
        root = self.scratch / "0"
        root.mkdir()
        self.disk = Disk(root)
        self.clock = Clock()
        self.roots: dict[int, dict[bytes, bytes]] = {}
        self.fetches: dict[int, dict[bytes, bytes]] = {}
        self.jobs: dict[int, dict[bytes, bytes]] = {}
        self.start()

    def start(self) -> None:
        self.files = RecordedFiles(self.disk)
        self.store = Store.open(self.disk.root / "store", files=self.files, clock_ms=self.clock)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.scratch)

    def put(self, owners: dict[int, dict[bytes, bytes]], number: int, kind: str, blocks: list[Block]) -> None:
        self.store.put(blocks, owner=owner(kind, number))
        owners.setdefault(number, {}).update(blocks)

    @rule(number=NUMBERS, chosen=st.sets(st.integers(0, 4)))
    def put_for_a_job(self, number: int, chosen: set[int]) -> None:
        self.put(self.jobs, number, "job", [Images.blocks(number)[index] for index in sorted(chosen)])

    @rule(number=NUMBERS, chosen=st.sets(st.integers(0, 4)))
    def put_for_a_fetch(self, number: int, chosen: set[int]) -> None:
        self.put(self.fetches, number, "fetch", [Images.blocks(number)[index] for index in sorted(chosen)])

    @rule(number=NUMBERS, from_fetch=st.booleans())
    def hold(self, number: int, from_fetch: bool) -> None:
        """Whoever's the blocks are: it is enough that they are here."""
        giver = owner("fetch" if from_fetch else "job", number)
        cids = [cid for cid, _ in Images.blocks(number)]
        here = all(self.store.has(cid) for cid in cids)
        try:
            self.store.commit_image(Images.root(number), "ipfs", cids, 6600, giver, [Images.record(number)])
        except BlockNotFound:
            assert not here
            return
        assert here
        self.roots[number] = dict(Images.blocks(number))
        given = (self.fetches if from_fetch else self.jobs).get(number)
        if given is not None:
            given.clear()

    @rule(number=NUMBERS)
    def add(self, number: int) -> None:
        self.put(self.jobs, number, "job", Images.blocks(number))
        self.hold(number, from_fetch=False)
        self.drop_job(number)

    @rule(number=NUMBERS)
    def drop_job(self, number: int) -> None:
        self.store.drop(owner("job", number))
        self.jobs.pop(number, None)

    @rule(number=NUMBERS)
    def drop_fetch(self, number: int) -> None:
        self.store.drop(owner("fetch", number))
        self.fetches.pop(number, None)

    @rule(number=NUMBERS)
    def release(self, number: int) -> None:
        assert (self.store.release(Images.root(number), "ipfs") is not None) == (number in self.roots)
        self.roots.pop(number, None)

    @rule(hours=st.sampled_from([0, 2]))
    def collect(self, hours: int) -> None:
        self.clock.now_ms += hours * HOUR_MS
        self.store.collect(self.clock.now_ms)

    @rule(style=st.sampled_from([None, DROP, KEEP, Style("mix", "mix", 1), Style("mix", "mix", 2)]))
    def crash(self, style: Style | None) -> None:
        """A kill (None), or a loss of power that spares what the style says."""
        self.lives += 1
        root = self.scratch / str(self.lives)
        former = self.store
        if style is None:
            self.disk.move_to(root)
        else:
            with self.disk.lock:
                remains = after_power_loss(self.disk, len(self.disk.events), style)
            self.disk = disk_of(remains, root)
        former.close()
        self.start()
        self.jobs.clear()

    @precondition(lambda self: self.lives < 6)
    @rule()
    def stop_and_start(self) -> None:
        self.store.close()
        self.start()
        self.jobs.clear()

    @rule(seed=st.integers(0, 1000))
    def rot(self, seed: int) -> None:
        """A block file goes bad: it is not served, is missed, and is healed by whoever brings it again."""
        large = {cid: block for cid, block in self.owned().items() if len(block) >= LARGE_BYTES}
        if not large:
            return
        self.store.settle()
        cid = random.Random(seed).choice(sorted(large))
        path = str(self.disk.root / "store" / block_path(cid))
        fd = self.files.open(path)
        self.files.write(fd, b"rotten", 0)
        self.files.close(fd)
        with pytest.raises(BlockCorrupt):
            self.store.get(cid)
        assert not self.store.has(cid)
        assert [key for key, _ in self.store.missing()] == [cid]
        self.put(self.jobs, 0, "job", [(cid, large[cid])])

    @invariant()
    def what_is_owned_is_here(self) -> None:
        for cid, block in self.owned().items():
            assert self.store.get(cid) == block
        assert {held.root for held in self.store.holdings()} == {Images.root(number) for number in self.roots}

    @invariant()
    def what_is_counted_is_here(self) -> None:
        assert self.store.used_bytes() >= sum(len(block) for block in self.owned().values())

    @rule()
    def nothing_else_is_left(self) -> None:
        self.clock.now_ms += 2 * HOUR_MS
        self.store.collect(self.clock.now_ms)
        assert self.store.used_bytes() == sum(len(block) for block in self.owned().values())
        no_litter(self.store)

    def owned(self) -> dict[bytes, bytes]:
        every = [*self.roots.values(), *self.fetches.values(), *self.jobs.values()]
        return {key_of(cid): block for blocks in every for cid, block in blocks.items()}


def owner(kind: str, number: int) -> Owner:
    return Owner("fetch" if kind == "fetch" else "job", b"%d" % number)


Interleavings.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


class TestInterleavings(Interleavings.TestCase):  # type: ignore[name-defined,misc]
    @pytest.fixture(autouse=True)
    def small_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intake, "SMALL_BLOCK_BYTES", LARGE_BYTES)


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestManyInterleavings(TestInterleavings):
    settings = settings(
        max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
