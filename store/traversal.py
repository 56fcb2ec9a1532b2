"""Plans that read DAGs without doing I/O, and the drivers that carry them out.

A plan is a generator. It yields `Want` when it needs a block and is sent that block's bytes; whatever else it yields is
its output, and what it returns is its result. So each rule about reading is written once, and serves blocks from the
disk (`drive`, `run`) and blocks that arrive over the network (`drive_async`, `run_async`), on any event loop.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from store.cid import inline_block
from store.dag_pb import MAX_BLOCK_BYTES
from store.errors import DagTooLarge

T = TypeVar("T")


class Want(NamedTuple):
    """A plan's request for the block of `cid`."""

    cid: bytes


Plan = Generator[Want | T, bytes | None, None]
"""A plan with output `T`, which is never None; an output is answered by None, a `Want` by the block."""

Query = Generator[Want, bytes, T]
"""A plan with no output and the result `T`."""

GetBlock = Callable[[bytes], bytes]
"""Returns the verified block of a CID, or raises a `StoreError` such as `BlockNotFound`."""

GetBlockAsync = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what a DAG made by a stranger may cost its reader; beyond any of them it is `DagTooLarge`.

    Attributes:
        max_depth: nodes from the root down, in a walk; segments of a path. Directories a thousand deep are nobody's
            pictures, and a chain of blocks is what an attacker would make.
        max_blocks: distinct blocks of one walk, nodes read of one file or sharded directory. The default is 1 TiB of
            1 MiB chunks, whose CIDs take some 150 MB of memory at the end of a walk.
        max_bytes: sum of the blocks of a walk, length of a file.
    """

    max_depth: int = 1024
    max_blocks: int = 1 << 20
    max_bytes: int = 1 << 40


LIMITS = Limits()
"""Guesses far above any image or album, there to end hostile ones."""


def want(cid: bytes) -> Query[bytes]:
    """Ask for one block, which an identity CID holds itself. For use within plans, by `yield from`.

    Raises:
        BadCid: `cid` is malformed or its hash function is none of ours.
        DagTooLarge: the block is above `MAX_BLOCK_BYTES`.
    """
    block = inline_block(cid)
    if block is None:
        block = yield Want(cid)
    if len(block) > MAX_BLOCK_BYTES:
        raise DagTooLarge("block size in bytes", len(block), MAX_BLOCK_BYTES, cid)
    return block


def drive(plan: Plan[T], get_block: GetBlock) -> Iterator[T]:
    """Yield the output of `plan`, with blocks from `get_block`, whose errors reach the caller as they are."""
    with closing(plan):
        step = _advanced(plan, None)
        while step is not None:
            if isinstance(step, Want):
                step = _advanced(plan, get_block(step.cid))
            else:
                yield step
                step = _advanced(plan, None)


async def drive_async(plan: Plan[T], get_block: GetBlockAsync) -> AsyncGenerator[T, None]:
    """Yield the output of `plan`, with blocks awaited from `get_block`. Whoever stops early closes it: `aclosing`."""
    with closing(plan):
        step = _advanced(plan, None)
        while step is not None:
            if isinstance(step, Want):
                step = _advanced(plan, await get_block(step.cid))
            else:
                yield step
                step = _advanced(plan, None)


def _advanced(plan: Plan[T], answer: bytes | None) -> Want | T | None:
    """The next step, None at the end. Apart from `get_block`, whose own StopIteration would be taken for the end."""
    try:
        return plan.send(answer)
    except StopIteration:
        return None


def run(query: Query[T], get_block: GetBlock) -> T:
    """Return the result of `query`, with blocks from `get_block`, whose errors reach the caller as they are."""
    return next(drive(_as_plan(query), get_block))[0]


async def run_async(query: Query[T], get_block: GetBlockAsync) -> T:
    """Return the result of `query`, with blocks awaited from `get_block`."""
    async with aclosing(drive_async(_as_plan(query), get_block)) as results:
        return (await anext(results))[0]


def _as_plan(query: Query[T]) -> Plan[tuple[T]]:
    result = yield from query
    yield (result,)
