"""Read pages in a process of its own: a parser in C, fed by strangers, may crash or not end, and the daemon goes on."""

import resource
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import trio
import trio_parallel

from node.ingest.crawl.page import Page, read_page
from node.ingest.not_fetched import NotFetched

TIMEOUT_S: Final = 30.0
"""For one page, on a machine with other things to do: most take some milliseconds."""
CPU_S: Final = 20
ADDRESS_SPACE_BYTES: Final = 1 << 30
IDLE_S: Final = 30.0
GRACE_S: Final = 5.0


def prepare() -> None:
    """Give up what reading a page does not need (in the process that reads)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))


def read(path: Path, url: str) -> Page | None:
    """Read one page (in the process that reads); None where it takes too much memory."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + CPU_S, hard))
    try:
        return read_page(path.read_bytes(), url)
    except MemoryError:
        return None


class Reader:
    """One process, started when needed and gone when idle. Use as `async with Reader() as reader`."""

    def __init__(self) -> None:
        self._turn = trio.CapacityLimiter(1)
        # trio-parallel wants a limiter of its own; ours is taken first, so that waiting for a turn is not timed.
        self._unlimited = trio.CapacityLimiter(float("inf"))
        self._open = AsyncExitStack()
        self._context: trio_parallel.WorkerContext | None = None

    async def __aenter__(self) -> Self:
        self._context = await self._open.enter_async_context(
            trio_parallel.open_worker_context(idle_timeout=IDLE_S, init=prepare, grace_period=GRACE_S)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Raised where the process did not end by itself: it has been killed, and nothing of it is left to be told.
        with suppress(trio_parallel.BrokenWorkerError):
            await self._open.aclose()
        self._context = None

    async def read(self, path: Path, url: str) -> Page:
        """Read the page in a file. Raises: NotFetched: it cannot be read."""
        assert self._context is not None, "use Reader in `async with`"
        async with self._turn:
            with trio.move_on_after(TIMEOUT_S):
                try:
                    page: Page | None = await self._context.run_sync(
                        read, path, url, kill_on_cancel=True, limiter=self._unlimited
                    )
                except trio_parallel.BrokenWorkerError as error:
                    raise NotFetched("the page ended its reader") from error
                if page is None:
                    raise NotFetched("the page takes too much memory to read")
                return page
        raise NotFetched(f"the page took longer than {TIMEOUT_S:g} s to read")
