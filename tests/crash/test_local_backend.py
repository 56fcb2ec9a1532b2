"""Power loss at every change of the disk that the backend `local` makes: what it acknowledged is there."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.backends import Backend, local_backend
from store.cid import cid_text
from store.errors import NotInBackend
from store.files import ObjectSite, Site
from tests.backends.images import image
from tests.crash.disk import BYTES_ONLY, DROP, KEEP, NAMES_ONLY, Disk, Style, after_power_loss
from tests.crash.recorded import RecordedFiles

ROOT = image("one").root
STORE_ID = "0123456789abcdef"
MIXED = [Style("mix", "mix", seed) for seed in range(3)]


@pytest.fixture
def scratch() -> Iterator[Path]:
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def recorded(scratch: Path, forgotten: ObjectSite | None) -> Disk:
    """A store is claimed; an object is put, put anew with other bytes, another put and deleted; each is a claim."""
    root = scratch / "disk"
    root.mkdir()
    disk = Disk(root)
    backend = local_backend(root / "store", files=RecordedFiles(disk, forgotten))
    backend.store_id(STORE_ID)
    disk.claim("id", STORE_ID)
    for content in (b"first", bytes(range(256)) * 5):
        disk.claim("original.jpg", None)
        backend.put(ROOT, "original.jpg", [content[:100], content[100:]])
        disk.claim("original.jpg", content)
    backend.put(ROOT, "small.webp", [b"small"])
    disk.claim("small.webp", b"small")
    disk.claim("small.webp", None)
    backend.delete(ROOT, "small.webp")
    disk.claim("small.webp", "gone")
    return disk


def survive(disk: Disk, point: int, style: Style, home: Path) -> None:
    after_power_loss(disk, point, style).write_to(home)
    backend = local_backend(home / "store")
    claims = disk.claimed_at(point)
    if claims.pop("id", None):
        assert backend.store_id() == STORE_ID
    for name, content in claims.items():
        assert found(backend, name) == content


def found(backend: Backend, name: str) -> object:
    try:
        return backend.get(ROOT, name)
    except NotInBackend:
        return "gone"


def first_failure(disk: Disk, scratch: Path) -> str:
    for style in (DROP, KEEP, NAMES_ONLY, BYTES_ONLY, *MIXED):
        for point in range(len(disk.events) + 1):
            try:
                survive(disk, point, style, scratch / f"{point} {style}")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the failure
                return f"event {point}, {style}: {error!r}"
    return ""


def test_power_loss_at_every_change(scratch: Path) -> None:
    assert first_failure(recorded(scratch, None), scratch) == ""


@pytest.mark.parametrize("site", list(ObjectSite))
def test_every_fsync_is_needed(site: ObjectSite, scratch: Path) -> None:
    assert first_failure(recorded(scratch, site), scratch) != ""


class Killed(BaseException):
    """The process ended here."""


class MortalFiles(RecordedFiles):
    """Kills its process before it makes the names in a folder durable, once it has done so `lives` times."""

    def __init__(self, disk: Disk, lives: int) -> None:
        super().__init__(disk)
        self._lives = lives

    def fsync_folder(self, path: str, site: Site | ObjectSite) -> None:
        if not self._lives:
            raise Killed
        self._lives -= 1
        super().fsync_folder(path, site)


def test_what_a_kill_left_is_made_to_stay_by_whoever_finds_it(scratch: Path) -> None:
    """It is read back by the next try, as if it had been put: then the power goes."""
    one = image("one")
    files = {name: one.files[name][:1000] for name in ("original.jpg", "small.webp")}
    killed = 0
    for lives in range(20):
        root = scratch / f"disk {lives}"
        root.mkdir()
        disk = Disk(root)
        try:
            backend: Backend = local_backend(root / "store", files=MortalFiles(disk, lives))
            backend.store_id(STORE_ID)
            for name, content in files.items():
                backend.put(ROOT, name, [content])
        except Killed:
            killed += 1
        backend = local_backend(root / "store", files=RecordedFiles(disk))
        backend.store_id(STORE_ID)
        for name, content in files.items():
            if found(backend, name) == "gone":
                backend.put(ROOT, name, [content])
        backend.put(ROOT, cid_text(ROOT), [one.nodes[cid_text(ROOT)]])
        disk.claim("id", STORE_ID)
        for name, content in files.items():
            disk.claim(name, content)
        for style in (DROP, *MIXED):
            survive(disk, len(disk.events), style, scratch / f"after {lives} {style}")
    assert 5 < killed < 20
