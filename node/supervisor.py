"""Run the daemon's background workers: one bounded unit of work at a time, back-off and last error kept by the runner.

An expected fault (a peer, a disk, the data) parks the worker for a while and is reported; a bug propagates and stops
the daemon, because nobody knows what it has broken.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import trio

from protocol.errors import ProtocolError
from store.errors import StoreError

log = logging.getLogger("pinakothek.worker")

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0
"""Guesses: long enough not to burn a core on a broken disk, short enough that an operator sees the recovery."""


@dataclass(slots=True)
class Worker:
    """A named piece of background work.

    Attributes:
        name: what the log and `status` call it.
        work: does one bounded unit and returns the seconds to idle before the next.
        wake: set by others to end the idling early; cleared before each unit.
        failures: units failed in a row.
        last_error: the latest failure's text, or None.
    """

    name: str
    work: Callable[[], Awaitable[float]]
    wake: trio.Event = field(default_factory=trio.Event)
    failures: int = 0
    last_error: str | None = None

    def nudge(self) -> None:
        """Have the next unit start now, or right after the one in hand."""
        self.wake.set()


async def run_workers(workers: Sequence[Worker], stop: trio.Event, *, grace_s: float) -> None:
    """Run `workers` until `stop`; a unit in hand then has `grace_s` to finish before it is cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_bound_shutdown, nursery.cancel_scope, workers, stop, grace_s)
        for worker in workers:
            nursery.start_soon(_supervise, worker, stop, name=worker.name)
    if nursery.cancel_scope.cancelled_caught:
        log.warning("a worker did not finish within %.0f s of the stop and was cancelled", grace_s)


async def _supervise(worker: Worker, stop: trio.Event) -> None:
    while not stop.is_set():
        worker.wake = trio.Event()
        idle_s = 0.0
        try:
            idle_s = await worker.work()
            worker.failures, worker.last_error = 0, None
        except* (StoreError, ProtocolError, OSError) as faults:  # a nursery of its own may have had several
            worker.failures += 1
            worker.last_error = "; ".join(dict.fromkeys(map(str, leaves(faults))))
            idle_s = min(FIRST_BACKOFF_S * 2.0 ** min(worker.failures - 1, 10), MAX_BACKOFF_S)
            log.warning("%s: %s; next try in %.0f s", worker.name, worker.last_error, idle_s)
        except* Exception:
            log.critical("%s has failed by a bug", worker.name, exc_info=True)  # before the others' ends are waited for
            raise
        with trio.move_on_after(0 if stop.is_set() else idle_s):
            await worker.wake.wait()


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors in a group, those in groups within it included."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


async def _bound_shutdown(scope: trio.CancelScope, workers: Sequence[Worker], stop: trio.Event, grace_s: float) -> None:
    await stop.wait()
    scope.deadline = trio.current_time() + grace_s
    for worker in workers:
        worker.nudge()
