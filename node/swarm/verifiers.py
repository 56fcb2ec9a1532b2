"""Read and check records by the hundred in processes of their own, so that this one merges and stores meanwhile."""

import logging
import math
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

import trio
import trio_parallel

from node.swarm.checking import Found, nowhere_else
from protocol.checked_pins import check_page, open_page

log = logging.getLogger("pinakothek.records")

LEAST_RECORDS = 100
"""Fewer are checked in a thread: 5 ms, less than what starting a process costs, should none be there."""
WORKERS = 2
"""One is handed its page, or hands over what it has found, while the other checks; and two check as fast as this process
merges and stores. With one, joining a swarm of 100,000 pins waits for it all the time."""
IDLE_S = 30.0
GRACE_S = 5.0
LIMIT_S = 60.0
"""For one call, a process's start and its turn included: a page of records takes a tenth of a second of a processor."""
REST_S = 300.0
"""After a call that took too long, threads do all the work for a while: if every page waited so long, none would end."""


class Verifiers:
    """Some processes, started when needed and gone when idle. Use as `async with Verifiers() as verifiers`.

    Attributes:
        limit_s: how long one call waits for a process.
    """

    def __init__(self, *, workers: int = WORKERS, idle_s: float = IDLE_S, limit_s: float = LIMIT_S) -> None:
        self._turns = trio.CapacityLimiter(workers)
        self._idle_s = idle_s
        self.limit_s = limit_s
        self._resting_until_s = -math.inf
        self._context: trio_parallel.WorkerContext | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._context = await self._open.enter_async_context(
            trio_parallel.open_worker_context(idle_timeout=self._idle_s, grace_period=GRACE_S)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Raised where a worker did not end by itself: it has been killed, and nothing of it is left to be told.
        with suppress(trio_parallel.BrokenWorkerError):
            await self._open.aclose()
        self._context = None

    async def warm_up(self) -> None:
        """Start a process before there is anything to check: a newcomer's first page of records need not wait for it."""
        await self._elsewhere([])

    async def check(self, raws: Sequence[bytes]) -> Found:
        """The pins in these bytes; where a process is killed, hangs or cannot start, none is found."""
        found = None if len(raws) < LEAST_RECORDS else await self._elsewhere(raws)
        return await nowhere_else(raws) if found is None else found

    async def _elsewhere(self, raws: Sequence[bytes]) -> Found | None:
        """What another process finds; None where none does."""
        if self._context is None or trio.current_time() < self._resting_until_s:
            return None
        try:
            with trio.fail_after(self.limit_s):
                packed = await self._context.run_sync(check_page, list(raws), kill_on_cancel=True, limiter=self._turns)
        except trio_parallel.BrokenWorkerError as error:
            log.warning("a process that checks signatures ended: %s", error)
        except trio.TooSlowError:
            self._resting_until_s = trio.current_time() + REST_S
            log.warning("signatures were not checked by another process within %.0f s", self.limit_s)
        except (OSError, MemoryError) as error:  # no room or no file descriptor for another process
            log.warning("no process checks signatures: %s", error)
        else:
            return await trio.to_thread.run_sync(open_page, raws, packed)
        return None
