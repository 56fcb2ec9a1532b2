"""Power loss, or a kill, at any change that holding, moving and erasing on another backend makes to the disk.

Whatever is left, no block is listed that is not there, and nothing lies in the backend that the catalogue does not name.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.backends import local_backend
from store.files import Files
from store.store import Owner, Store
from tests.backends.images import Image, image
from tests.crash.disk import DROP, KEEP, Disk, Style, after_power_loss
from tests.crash.recorded import RecordedFiles
from tests.crash.scenarios import QuietFiles
from tests.unit.store.made import HOUR_MS, Clock

ONE, TWO = image("crash one", size_bytes=3000), image("crash two", size_bytes=3000)
STYLES = (KEEP, DROP, Style("mix", "mix", 1))
JOB = Owner("job", b"job")


@pytest.fixture
def scratch() -> Iterator[Path]:
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def opened(root: Path, files: Files, clock: Clock) -> Store:
    backend = local_backend(root / "images", files=files)
    backend.store_id("0123456789abcdef")
    return Store.open(root / "store", files=files, clock_ms=clock, backends={"local": backend})


def life(root: Path, disk: Disk) -> None:
    """One image moves to the backend and another is taken in there; the first is let go, erased, and comes back."""
    clock = Clock()
    store = opened(root, RecordedFiles(disk), clock)
    take_in(store, disk, ONE, "ipfs")
    hold(store, disk, ONE, "local")
    disk.claim("one ipfs", None)
    store.release(ONE.root, "ipfs")
    take_in(store, disk, TWO, "local")
    disk.claim("one local", None)
    store.release(ONE.root, "local")
    clock.now_ms += 2 * HOUR_MS
    store.collect(clock.now_ms)
    for gone in store.kinds.departed(clock.now_ms):
        assert store.kinds.erase(*gone)
    disk.claim("one", "erased")
    disk.claim("one", None)
    take_in(store, disk, ONE, "local")
    store.close()


def take_in(store: Store, disk: Disk, one: Image, kind: str) -> None:
    store.put(one.blocks.items(), owner=JOB)
    store.commit_image(one.root, kind, list(one.blocks), one.size_bytes, JOB, [])
    disk.claim(f"{'one' if one is ONE else 'two'} {kind}", True)


def hold(store: Store, disk: Disk, one: Image, kind: str) -> None:
    store.hold(one.root, kind=kind, blocks=list(one.blocks), size_bytes=one.size_bytes, frm=None)
    disk.claim(f"one {kind}", True)


def survive(disk: Disk, point: int, style: Style, home: Path) -> None:
    after_power_loss(disk, point, style).write_to(home)
    claims = disk.claimed_at(point)
    clock = Clock()
    store = opened(home, QuietFiles(), clock)
    try:
        held = {(element.root, element.kind) for element in store.holdings()}
        for one, name in ((ONE, "one"), (TWO, "two")):
            assert {kind for kind in ("ipfs", "local") if claims.get(f"{name} {kind}")} <= kinds_of(held, one)
            if kinds_of(held, one):
                assert all(store.get(cid) == block for cid, block in one.blocks.items())
        assert store.scrub().bad == ()
        assert [result for result in store.check() if not result.ok] == []
        clean_up(store, clock)
        backend = store.kinds.backend("local")
        kept = {root for root, kind in held if kind == "local"}
        assert set(backend.roots()) == kept
        if claims.get("one") == "erased":
            assert ONE.root not in kept
        for one in (ONE, TWO):
            names = set(one.files | one.nodes) if one.root in kept else set()
            assert {entry.name for entry in backend.list(one.root)} == names
        store.put(ONE.blocks.items(), owner=JOB)  # and it still takes an image
        store.commit_image(ONE.root, "local", list(ONE.blocks), ONE.size_bytes, JOB, [])
        assert all(store.get(cid) == block for cid, block in ONE.blocks.items())
    finally:
        store.close()


def kinds_of(held: set[tuple[bytes, str]], one: Image) -> set[str]:
    return {kind for root, kind in held if root == one.root}


def clean_up(store: Store, clock: Clock) -> None:
    """What nobody wants is collected and erased; a catalogue that was not there yet is recovered first."""
    store.finish_recovery()
    clock.now_ms += 30 * HOUR_MS
    store.collect(clock.now_ms)
    for gone in store.kinds.departed(clock.now_ms):
        assert store.kinds.erase(*gone)


def losses(disk: Disk, step: int) -> Iterator[tuple[int, Style]]:
    for style in STYLES:
        for point in range(STYLES.index(style) % step, len(disk.events) + 1, step):
            yield point, style


def recorded(scratch: Path) -> Disk:
    root = scratch / "disk"
    root.mkdir()
    disk = Disk(root)
    life(root, disk)
    return disk


def survive_all(scratch: Path, step: int) -> None:
    disk = recorded(scratch)
    for point, style in losses(disk, step):
        home = scratch / "home"
        try:
            survive(disk, point, style, home)
        except BaseException as error:
            error.add_note(f"after event {point} of {len(disk.events)}, {style}")
            raise
        shutil.rmtree(home)


def test_a_loss_at_some_changes(scratch: Path) -> None:
    survive_all(scratch, step=17)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_loss_at_many_changes(scratch: Path) -> None:
    survive_all(scratch, step=3)
