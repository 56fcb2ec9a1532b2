"""After a power loss at any recorded moment every acknowledged image is whole, and nothing is left lying about.

`test_every_fsync_is_needed` takes each fsync away in turn: had it been superfluous, nothing would go wrong.
"""

import multiprocessing
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from store import catalogue, commits, files, intake
from store.errors import StoreError
from store.files import Site
from store.store import Store
from tests.crash.disk import BYTES_ONLY, DROP, KEEP, NAMES_ONLY, Disk, Remains, Style, after_power_loss, disk_of
from tests.crash.recorded import RecordedFiles
from tests.crash.scenarios import (
    LARGE_BYTES,
    Actor,
    Clock,
    compaction,
    illness,
    in_order,
    life,
    lost_segment,
    no_litter,
    old_catalogue,
    opened,
)

MIXED = [Style("mix", "mix", seed) for seed in range(20)]


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "SMALL_BLOCK_BYTES", LARGE_BYTES)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder in memory, where there is one: these tests make a thousand disks and need none of them to last."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


Scenario = Callable[[Actor, Path], None]
STYLES = [DROP, NAMES_ONLY, BYTES_ONLY, KEEP]
SCENARIOS = [life, illness, old_catalogue, lost_segment, compaction]
IN_ORDER = {life: in_order, illness: in_order, old_catalogue: no_litter, lost_segment: no_litter, compaction: no_litter}
NEEDED_IN = {
    Site.ADOPTED: old_catalogue,
    Site.ADOPTED_SHARD: old_catalogue,
    Site.SESSIONS_GONE: old_catalogue,
    Site.COMPACTED: compaction,
    Site.MENDED: lost_segment,
    Site.MENDED_NAME: lost_segment,
}
"""The scenario that goes wrong without an fsync, where that is not `life`."""


def recorded(scenario: Scenario, scratch: Path, forgotten: Site | None = None) -> Disk:
    root = scratch / "disk"
    root.mkdir()
    disk = Disk(root)
    scenario(Actor(disk, forgotten), scratch)
    return disk


def losses(disk: Disk, styles: Sequence[Style], every: int = 1, first: int = 0) -> Iterator[tuple[int, Style, Remains]]:
    """Every distinct outcome of a power loss at every point, or at some, under each of the styles."""
    seen = set()
    for point in range(first, len(disk.events) + 1, every):
        for style in styles:
            remains = after_power_loss(disk, point, style)
            outcome = hash((remains, tuple(disk.claimed_at(point))))
            if outcome not in seen:
                seen.add(outcome)
                yield point, style, remains


def survive(scenario: Scenario, disk: Disk, point: int, remains: Remains, root: Path) -> None:
    """Open what is left, with its catalogue and without, and hold it to what was acknowledged."""
    claims = disk.claimed_at(point).values()
    with_catalogue, without = root / "with catalogue", root / "without"
    try:
        remains.write_to(with_catalogue)
        with opened(with_catalogue) as store:
            for claim in claims:
                claim.holds(store)
            IN_ORDER[scenario](store)
        remains.write_to(without)
        for path in (without / "store").glob("catalogue.db*"):
            path.unlink()
        with opened(without) as store:
            for claim in claims:
                claim.holds_without_catalogue(store)
    finally:
        shutil.rmtree(root)


def survive_all(scenario: Scenario, scratch: Path, styles: Sequence[Style], every: int = 1) -> None:
    survive_share(scenario, recorded(scenario, scratch), scratch, styles, every, 0, 1)


def survive_all_on_two_cores(scenario: Scenario, scratch: Path, styles: Sequence[Style]) -> None:
    """The same; the losses of one recording are shared by two processes, which are forked with it."""
    work = scenario, recorded(scenario, scratch), scratch, styles, 1
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(SHARES, context, initializer=_WORK.append, initargs=(work,)) as pool:
        for done in [pool.submit(_survive_my_share, share) for share in range(SHARES)]:
            done.result()


SHARES = 2
_WORK: list[tuple[Scenario, Disk, Path, Sequence[Style], int]] = []
"""In a forked process, what it has a share of."""


def _survive_my_share(share: int) -> None:
    survive_share(*_WORK[0], share, SHARES)


def survive_share(
    scenario: Scenario, disk: Disk, scratch: Path, styles: Sequence[Style], every: int, share: int, shares: int
) -> None:
    for number, (point, style, remains) in enumerate(losses(disk, styles, every)):
        if number % shares != share:
            continue
        try:
            survive(scenario, disk, point, remains, scratch / str(number))
        except BaseException as error:
            error.add_note(
                f"power lost after event {point} of {len(disk.events)}, {style}: {disk.events[point - 1][:4]}"
            )
            raise


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_power_loss_at_every_point(scenario: Scenario, scratch: Path) -> None:
    survive_all(scenario, scratch, [DROP])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_power_loss_that_keeps_some_of_what_was_not_safe(scenario: Scenario, scratch: Path) -> None:
    survive_all(scenario, scratch, [MIXED[0], NAMES_ONLY, BYTES_ONLY], every=11)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("styles", [STYLES, MIXED[:5], MIXED[5:10]], ids=["plain", "mixed", "mixed again"])
def test_power_loss_at_every_point_in_every_style(scenario: Scenario, styles: list[Style], scratch: Path) -> None:
    survive_all_on_two_cores(scenario, scratch, styles)


def survive_a_second_loss(scratch: Path, points: int) -> None:
    """Let the power go at random points, and again at every point of the opening that mends what the first one left."""
    disk = recorded(life, scratch)
    chance = random.Random(points)
    for number in range(points):
        point, style = chance.randint(100, len(disk.events)), chance.choice(MIXED)
        second = disk_of(after_power_loss(disk, point, style), scratch / f"second {number}")
        booted = len(second.events)
        second.claims = [(booted, key, claim) for key, claim in disk.claimed_at(point).items()]
        Store.open(second.root / "store", files=RecordedFiles(second), clock_ms=Clock()).close()
        for at, style_again, remains in losses(second, [DROP, MIXED[number]], first=booted):
            try:
                survive(life, second, at, remains, scratch / f"third {number} {at} {style_again}")
            except BaseException as error:
                error.add_note(f"power lost after event {point}, {style}, then at {at - booted}, {style_again}")
                raise


def test_power_loss_while_mending_what_a_power_loss_left(scratch: Path) -> None:
    survive_a_second_loss(scratch, points=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_power_loss_while_mending_often(scratch: Path) -> None:
    survive_a_second_loss(scratch, points=len(MIXED))


def first_failure(scenario: Scenario, disk: Disk, scratch: Path) -> str:
    """The first point and style at which what is left is not whole, empty if it always is."""
    for styles in ([DROP], [NAMES_ONLY], [BYTES_ONLY], MIXED):
        for number, (point, style, remains) in enumerate(losses(disk, styles)):
            try:
                survive(scenario, disk, point, remains, scratch / str(number))
            except (AssertionError, StoreError, OSError) as error:
                return f"event {point}, {style}: {error!r}"
    return ""


@pytest.mark.parametrize("site", list(Site))
def test_every_fsync_is_needed(site: Site, scratch: Path) -> None:
    scenario = NEEDED_IN.get(site, life)
    disk = recorded(scenario, scratch, forgotten=site)
    assert first_failure(scenario, disk, scratch) != ""


def test_every_fsync_has_a_name_of_its_own() -> None:
    sources = {path.name: path.read_text() for path in Path(files.__file__).parent.glob("*.py")}
    assert [name for name, source in sources.items() if "os.fsync" in source] == ["files.py"]
    uses = Counter(re.findall(r"Site\.([A-Z_]+)", "".join(sources.values())))
    assert uses == {site.name: 1 for site in Site}


def test_fsync_of_every_commit_is_needed(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (catalogue, commits):
        monkeypatch.setattr(module, "SYNCHRONOUS", "OFF")
    disk = recorded(life, scratch)
    for module in (catalogue, commits):
        monkeypatch.setattr(module, "SYNCHRONOUS", "FULL")
    assert first_failure(life, disk, scratch) != ""
