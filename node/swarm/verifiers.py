"""Check signatures by the hundred in processes of their own, so that this one reads and merges meanwhile."""

import logging
import os
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

import trio
import trio_parallel

from node.swarm.checking import verify_in_thread
from protocol.identity import Claim, verify_all

log = logging.getLogger("pinakothek.records")

LEAST_CLAIMS = 100
"""Fewer are checked in a thread: 4 ms, less than what starting a process costs, should none be there."""
IDLE_S = 30.0
GRACE_S = 5.0
LIMIT_S = 60.0
"""For one call, a process's start and its turn included: a page of records takes a tenth of a second of a processor."""


class Verifiers:
    """As many processes as there are processors beside the one that this one keeps busy; one where there is a single.

    Started when needed and gone when idle. Use as `async with Verifiers() as verifiers`.

    Attributes:
        limit_s: how long one call waits for a process.
    """

    def __init__(self, *, workers: int | None = None, idle_s: float = IDLE_S, limit_s: float = LIMIT_S) -> None:
        self._turns = trio.CapacityLimiter(workers or max(1, len(os.sched_getaffinity(0)) - 1))
        self._idle_s = idle_s
        self.limit_s = limit_s
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

    async def verify(self, claims: list[Claim]) -> list[bool]:
        """Tell of each claim whether it is true; where a process is killed, hangs or cannot start, a thread does its work."""
        verdicts = None if len(claims) < LEAST_CLAIMS else await self._elsewhere(claims)
        return await verify_in_thread(claims) if verdicts is None else verdicts

    async def _elsewhere(self, claims: list[Claim]) -> list[bool] | None:
        """What another process says; None where none does."""
        if self._context is None:
            return None
        try:
            with trio.fail_after(self.limit_s):
                verdicts: list[bool] = await self._context.run_sync(
                    verify_all, claims, kill_on_cancel=True, limiter=self._turns
                )
        except trio_parallel.BrokenWorkerError as error:
            log.warning("a process that checks signatures ended: %s", error)
        except trio.TooSlowError:
            log.warning("signatures were not checked by another process within %.0f s", self.limit_s)
        except (OSError, MemoryError) as error:  # no room or no file descriptor for another process
            log.warning("no process checks signatures: %s", error)
        else:
            return verdicts
        return None
