"""Virtual time and seeded chance for everything that runs in a simulation, and peers that can be stopped in mid-air.

The clock jumps to whatever is due next, rounded up to `QUANTUM_S` so that what is due together wakes together. Trio's
scheduler, `random`, `secrets` and `time` as the daemon's modules see them follow the seed and this clock alone. What
production does in a thread happens at once, between two short waits: a crash may fall before or after it.
"""

import contextvars
import math
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import trio
from trio._core import _run

from store import clock as store_clock
from store.errors import DiskFailed

QUANTUM_S = 0.02
START_S = 1000.0
EPOCH_S = 1_790_000_000
DISK_S = 0.03
"""The longest that a thread's work takes before, and after, it happens."""

PEER: contextvars.ContextVar[str] = contextvars.ContextVar("peer", default="")
"""Which simulated peer a task belongs to; whatever it starts belongs to the same."""

IS_ALIVE: contextvars.ContextVar[Callable[[], bool]] = contextvars.ContextVar("is_alive", default=lambda: True)
"""Whether the process of a task lives: what a dead one had not done by then it never does."""


class VirtualClock(trio.abc.Clock):
    """A clock that jumps."""

    def __init__(self) -> None:
        self._now_s = START_S

    def start_clock(self) -> None: ...

    def current_time(self) -> float:
        return self._now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Nothing else can run now, so it is then."""
        if deadline == math.inf:
            return 0.01  # the run ends; nothing but trio itself is left
        if deadline > self._now_s:
            self._now_s = max(deadline, math.ceil(deadline / QUANTUM_S) * QUANTUM_S)
        return 0.0


class Freezer(trio.abc.Instrument):
    """SIGSTOP: the tasks of a frozen peer become runnable, and do not run until it thaws."""

    def __init__(self) -> None:
        self._held: dict[str, list[trio.lowlevel.Task]] = {}

    def freeze(self, peer: str) -> None:
        if not self._held:
            trio.lowlevel.add_instrument(self)
        self._held[peer] = []

    def thaw(self, peer: str) -> None:
        tasks = self._held.pop(peer, ())
        if not self._held:
            trio.lowlevel.remove_instrument(self)
        _run.GLOBAL_RUN_CONTEXT.runner.runq.extend(tasks)

    async def run(self) -> None:
        """At the end whoever is frozen must end as well."""
        try:
            await trio.sleep_forever()
        finally:
            for peer in list(self._held):
                self.thaw(peer)

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        held = self._held.get(task.context.get(PEER, ""))
        if held is not None:
            queue = _run.GLOBAL_RUN_CONTEXT.runner.runq
            assert queue[-1] is task
            held.append(queue.pop())


@contextmanager
def simulated(seed: int, *, skew_s: Callable[[str], float] = lambda peer: 0.0) -> Iterator[VirtualClock]:
    """Let every module of the daemon see virtual time and chance that follows `seed`; all is as before afterwards.

    Args:
        skew_s: how far a peer's wall clock is off.
    """
    chance = random.Random(seed)
    chance.SystemRandom = lambda: chance  # type: ignore[attr-defined]
    clock = VirtualClock()

    def wall_ns() -> int:
        return int((EPOCH_S + clock.current_time() + skew_s(PEER.get())) * 1e9)

    async def run_sync(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.CancelScope(shield=True):
            await trio.sleep(chance.random() * DISK_S)
            if not IS_ALIVE.get()():
                raise DiskFailed("the disk", "the process is dead")
            try:
                return work(*args)
            finally:
                await trio.sleep(chance.random() * DISK_S)

    seen = {
        random: chance,
        secrets: SimpleNamespace(token_bytes=chance.randbytes, token_hex=lambda n: chance.randbytes(n).hex()),
        time: SimpleNamespace(
            time=lambda: wall_ns() / 1e9,
            time_ns=wall_ns,
            monotonic=clock.current_time,
            perf_counter=clock.current_time,
            CLOCK_BOOTTIME=7,
            clock_gettime=lambda which: clock.current_time(),
        ),
    }
    undo: list[Callable[[], None]] = []

    def put(owner: Any, name: str, value: Any) -> None:
        before = getattr(owner, name)
        undo.append(lambda: setattr(owner, name, before))
        setattr(owner, name, value)

    for module in [
        m for name, m in sys.modules.items() if name.partition(".")[0] in ("node", "protocol") or m is store_clock
    ]:
        for real, virtual in seen.items():
            if getattr(module, real.__name__, None) is real:
                put(module, real.__name__, virtual)
    put(trio.to_thread, "run_sync", run_sync)
    put(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    put(_run, "_r", random.Random(seed))
    try:
        yield clock
    finally:
        for step in reversed(undo):
            step()
