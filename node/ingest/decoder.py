"""Decode images in worker processes, so that a bomb or a crash costs one image, never the daemon."""

import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import trio
import trio_parallel

from store.errors import ImageRejected
from store.images import worker
from store.images.facts import BuiltImage
from store.images.limits import ImageLimits
from store.images.made import Edited, FrameBatch, Stripped

TIMEOUT_S = 60.0
"""For one image once a worker is free, on a machine with other things to do; `ImageLimits.cpu_s` is the tighter bound."""
IDLE_S = 30.0
"""An idle daemon is a small one: a worker costs about 50 MB, and starting one 0.2 s."""
GRACE_S = 5.0
_FROM_OUTSIDE = {-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP}
"""Exit codes that say nothing about the image: somebody, or the system's shutdown, sent the worker a signal."""


Made = TypeVar("Made")


class DecoderPool:
    """As many workers as processors, started when needed and gone when idle. Use as `async with DecoderPool() as pool`.

    Args:
        workers: at most this many at a time; default: one a processor.
        limits: of every image.
        timeout_s: for one image; the worker is killed beyond.
        idle_s: after which a worker without work ends.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        limits: ImageLimits | None = None,
        timeout_s: float = TIMEOUT_S,
        idle_s: float = IDLE_S,
    ) -> None:
        self._limits = limits or ImageLimits()
        self._timeout_s = timeout_s
        self._idle_s = idle_s
        self._turns = trio.CapacityLimiter(workers or len(os.sched_getaffinity(0)))
        # trio-parallel wants a limiter of its own; ours is taken first, so that waiting for a turn is not timed.
        self._unlimited = trio.CapacityLimiter(float("inf"))
        self._context: trio_parallel.WorkerContext | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._context = await self._open.enter_async_context(
            trio_parallel.open_worker_context(
                idle_timeout=self._idle_s, init=partial(worker.prepare, self._limits), grace_period=GRACE_S
            )
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Raised where a worker did not end by itself: it has been killed, and nothing of it is left to be told.
        with suppress(trio_parallel.BrokenWorkerError):
            await self._open.aclose()
        self._context = None

    async def build(self, path: Path, *, variants: bool = True) -> BuiltImage:
        """Check the image at `path` and make its files; see `store.images.build.build_image`.

        Raises:
            ImageRejected: what the worker says, or that it was ended: too slow, too large, crashed.
        """
        return await self._made(partial(worker.build, path, self._limits, variants))

    async def strip(self, path: Path) -> Stripped:
        """The image at `path` without its metadata; see `store.images.build.strip_original`. Raises: as `build`."""
        return await self._made(partial(worker.strip, path, self._limits))

    async def edit(self, path: Path, operations: tuple[str, ...], frame: int) -> Edited:
        """A frame of the image at `path`, edited; see `store.images.edit.edit_image`. Raises: as `build`."""
        return await self._made(partial(worker.edit, path, self._limits, operations, frame))

    async def frames(self, path: Path, start: int) -> FrameBatch:
        """Composed frames of the animation at `path`; see `store.images.edit.compose_frames`. Raises: as `build`."""
        return await self._made(partial(worker.frames, path, self._limits, start))

    async def _made(self, work: Callable[[], Made | worker.Refusal]) -> Made:
        """What a worker makes. Raises: ImageRejected."""
        async with self._turns:
            with trio.move_on_after(self._timeout_s):
                made = await self._run(work)
                if isinstance(made, worker.Refusal):
                    raise ImageRejected(made.reason)
                return made
        raise ImageRejected(f"took longer than {self._timeout_s:g} s to decode")

    async def _run(self, work: Callable[[], Made | worker.Refusal]) -> Made | worker.Refusal:
        assert self._context is not None, "use DecoderPool in `async with`"
        while True:
            try:
                made: Made | worker.Refusal = await self._context.run_sync(
                    work, kill_on_cancel=True, limiter=self._unlimited
                )
            except trio_parallel.BrokenWorkerError as error:
                exit_code = error.args[-1].exitcode
                if exit_code not in _FROM_OUTSIDE:
                    return worker.Refusal(self._why_it_died(exit_code))
            else:
                return made

    def _why_it_died(self, exit_code: int) -> str:
        if exit_code == -signal.SIGXCPU:
            return f"takes more than {self._limits.cpu_s} s of processor time to decode"
        if exit_code == -signal.SIGKILL:
            return "its decoder was killed, probably for want of memory"
        if exit_code < 0:
            return f"its decoder crashed ({signal.Signals(-exit_code).name})"
        return f"its decoder ended with exit code {exit_code}"
