"""Carry out reading plans so that no directory, however large its blocks, holds up everyone else.

Taking apart a block of 2 MiB and 40,000 names costs half a second of Python. A thread does that, one for all strangers
together; blocks of usual size are taken apart at once, and a file's bytes need no taking apart.
"""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from store.cid import RAW, codec_of
from store.traversal import GetBlockAsync, Plan, Query, Want

LARGE_BYTES = 32 << 10
"""A guess: some 600 names, 5 ms."""

T = TypeVar("T")
_thread = ThreadPoolExecutor(1, "large blocks")


class Finished(NamedTuple):
    """The end of a plan, and its result."""

    result: Any


async def advance(plan: Plan[Any] | Query[Any], cid: bytes | None, block: Any) -> Any:
    """Send `plan` the block of `cid`, None for both to go on. Returns: its next step, or `Finished`."""
    if block is not None and cid is not None and len(block) > LARGE_BYTES and codec_of(cid) != RAW:
        step = asyncio.get_running_loop().run_in_executor(_thread, _step, plan, block)
        step.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, should its client leave
        return await asyncio.shield(step)
    return _step(plan, block)


def _step(plan: Plan[Any] | Query[Any], block: Any) -> Any:
    try:
        return plan.send(block)
    except StopIteration as end:
        return Finished(end.value)


async def run_fairly(query: Query[T], get_block: GetBlockAsync) -> T:
    """As `store.traversal.run_async`."""
    step = await advance(query, None, None)
    while not isinstance(step, Finished):
        step = await advance(query, step.cid, await get_block(step.cid))
    result: T = step.result
    return result


async def drive_fairly(plan: Plan[T], get_block: GetBlockAsync) -> AsyncGenerator[T, None]:
    """As `store.traversal.drive_async`."""
    step = await advance(plan, None, None)
    while not isinstance(step, Finished):
        if isinstance(step, Want):
            step = await advance(plan, step.cid, await get_block(step.cid))
        else:
            yield step
            step = await advance(plan, None, None)
