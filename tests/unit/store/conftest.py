"""An open store with a clock to turn and a disk to break."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.store import Store
from tests.unit.store.made import Clock, FailingDisk


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk() -> FailingDisk:
    return FailingDisk()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "peer"


@pytest.fixture
def store(home: Path, disk: FailingDisk, clock: Clock) -> Iterator[Store]:
    opened = Store.open(home, files=disk, clock_ms=clock)
    yield opened
    disk.fails_with = None
    opened.close()
