"""Workers: what a fault of disk or peer does to one, and what a bug does to the daemon."""

import math

import pytest
import trio
from trio.testing import MockClock

from node.supervisor import Worker, run_workers
from store.errors import BackendUnavailable, DiskFailed, StoreError


def failing(*faults: BaseException) -> Worker:
    """A worker each of whose units fails with the next of these, and then idles."""
    left = list(faults)

    async def work() -> float:
        await trio.lowlevel.checkpoint()
        if left:
            raise left.pop(0)
        return math.inf

    return Worker("tested", work)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (DiskFailed("catalogue.db", "readonly"), "catalogue.db: readonly"),
        (OSError(5, "Input/output error"), "[Errno 5] Input/output error"),
        (
            ExceptionGroup("", [ExceptionGroup("", [DiskFailed("a", "bad")]), BackendUnavailable("s3", "silent")]),
            "a: bad; s3: silent",
        ),
    ],
    ids=["store", "system", "several, from a nursery of its own"],
)
async def test_a_fault_parks_a_worker_and_no_more(autojump_clock: MockClock, fault: Exception, told: str) -> None:
    worker, stop = failing(fault, fault), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_workers([worker], stop, grace_s=1))
        await trio.sleep(0.5)
        assert (worker.failures, worker.last_error) == (1, told)
        await trio.sleep(1)
        assert worker.failures == 2
        await trio.sleep(2)
        assert (worker.failures, worker.last_error) == (0, None)
        stop.set()


async def test_a_fault_that_lasts_for_days_parks_a_worker_and_no_more(autojump_clock: MockClock) -> None:
    faults = 2000  # a disk that stays read-only over a weekend
    worker, stop = failing(*[DiskFailed("catalogue.db", "readonly")] * faults), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_workers([worker], stop, grace_s=1))
        await trio.sleep((faults - 10) * 60)
        assert 1500 < worker.failures < faults
        await trio.sleep(10 * 60)
        assert worker.failures == 0
        stop.set()


@pytest.mark.parametrize(
    "bug", [ZeroDivisionError(), ExceptionGroup("", [ZeroDivisionError(), DiskFailed("a", "bad")])], ids=repr
)
async def test_a_bug_ends_them_all(autojump_clock: MockClock, bug: Exception) -> None:
    with pytest.raises(ExceptionGroup) as ended:
        await run_workers([failing(bug), failing()], trio.Event(), grace_s=1)
    bugs, faults = ended.value.split(ZeroDivisionError)
    assert bugs is not None
    assert faults is None or faults.split(StoreError)[1] is None
