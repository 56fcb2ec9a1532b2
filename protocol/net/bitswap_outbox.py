"""All that goes out to one peer over Bitswap: our wants, our answers, and blocks.

Wants and answers share one stream and never wait behind a block; blocks go one a message (tiny ones together) over up to
`BLOCK_STREAMS` more. Streams are opened when there is something to send and closed when there has been nothing for a
while. A block is read when its stream is free, so a peer that reads slowly holds few of them in memory.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice

import trio

from protocol.net.bitswap_budget import ByteBudget, TokenBucket
from protocol.net.bitswap_ledger import Ledger, Queued
from protocol.net.bitswap_stream import Lane, Stream
from protocol.net.bitswap_wire import Message, Want, encode, encode_blocks
from protocol.net.errors import NetError

log = logging.getLogger(__name__)

BLOCK_STREAMS = 8
"""Measured against Kubo 0.42, 1 MiB blocks: 50-68 MB/s over one stream, 120 over two, 140 over four, 164 over eight,
because Kubo keeps each stream's window at 256 KiB when the sender is slower than its round-trip estimate."""
BATCH_BYTES = 64 << 10
"""Blocks sharing a message: a message a block costs more than the block below this. Guess."""
CONTROL_ENTRIES = 512
"""Wants or answers in one message. Guess; far below what a message may hold."""
IDLE_S = 30.0
"""Guess: longer than the pauses in a fetch, shorter than anybody minds an idle stream."""
ASKED_MEMORY = 4096
"""CIDs remembered as asked of a peer, so that a late block is told from one nobody asked for."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What the outboxes of members, or those of strangers, share.

    Attributes:
        get_block: reads a block; None when it has gone.
        budget: bytes of blocks in memory.
        bucket: bandwidth cap, None for none.
    """

    get_block: Callable[[bytes], Awaitable[bytes | None]]
    budget: ByteBudget
    bucket: TokenBucket | None = None


class Outbox:
    """The sending half of one connection; nothing is sent until `run` runs.

    Args:
        open_stream: opens a Bitswap stream to the peer.
        serving: where blocks come from, and how fast they may go.
        on_lost: called with a reason when wants could not be sent.
    """

    def __init__(
        self, *, open_stream: Callable[[], Awaitable[Stream]], serving: Serving, on_lost: Callable[[str], None]
    ) -> None:
        self.ledger = Ledger()
        self.asked: dict[bytes, None] = {}
        """CIDs asked of the peer lately, oldest first."""
        self.sent_bytes = 0
        """Bytes of blocks handed to the peer's streams."""
        self._open_stream = open_stream
        self._serving = serving
        self._on_lost = on_lost
        self._wants: dict[bytes, Want] = {}
        self._closed = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._controls = _Crew(1)
        self._carriers = _Crew(BLOCK_STREAMS)

    async def run(self) -> None:
        """Send until `close`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.wake()
            try:
                await self._closed.wait()
            finally:
                self._nursery = None
                nursery.cancel_scope.cancel()

    def close(self) -> None:
        """Drop everything: the peer is gone."""
        self._closed.set()

    def ask(self, wants: Iterable[Want]) -> None:
        """Send wants, or cancellations of them, as soon as possible; a later one for a CID replaces an earlier."""
        for want in wants:
            self._wants.pop(want.cid, None)
            self._wants[want.cid] = want
            if not want.cancel:
                self.asked.pop(want.cid, None)
                self.asked[want.cid] = None
        for cid in list(islice(self.asked, max(0, len(self.asked) - ASKED_MEMORY))):
            del self.asked[cid]
        self.wake()

    def wake(self) -> None:
        """Put enough streams to work on what is to be sent now."""
        if self._nursery is None or self._closed.is_set():
            return
        if self._wants or self.ledger.has_presences:
            self._controls.call(1, self._nursery, self._send_control)
        if self.ledger.queued_count:
            self._carriers.call(self.ledger.queued_count, self._nursery, self._send_blocks)

    async def _send_control(self) -> None:
        async with self._controls.at_work(), Lane(self._open_stream) as lane:
            while True:
                frame = self._next_control()
                if frame is None:
                    if not await self._controls.more_work():
                        return
                    continue
                try:
                    await lane.send(frame, tries=2)
                except NetError as error:
                    self._wants.clear()
                    self._on_lost(str(error) or type(error).__name__)
                    return

    def _next_control(self) -> bytes | None:
        wants = list(islice(self._wants.values(), CONTROL_ENTRIES))
        for want in wants:
            del self._wants[want.cid]
        have, dont_have = self.ledger.take_presences(CONTROL_ENTRIES)
        if not (wants or have or dont_have):
            return None
        return encode(Message(wants=wants, have=have, dont_have=dont_have))

    async def _send_blocks(self) -> None:
        async with self._carriers.at_work(), Lane(self._open_stream) as lane:
            while True:
                queued = self.ledger.take_blocks(BATCH_BYTES)
                if not queued:
                    if not await self._carriers.more_work():
                        return
                    continue
                try:
                    await self._send_batch(lane, queued)
                except NetError as error:
                    log.debug("bitswap: %d blocks not sent: %r", len(queued), error)
                    for cid, _ in queued:
                        self.ledger.failed(cid)

    async def _send_batch(self, lane: Lane, queued: Sequence[Queued]) -> None:
        size_bytes = sum(size_bytes for _, size_bytes in queued)
        if self._serving.bucket:
            await trio.sleep(self._serving.bucket.reserve(size_bytes, trio.current_time()))
        async with self._serving.budget.hold(size_bytes):
            blocks = []
            for cid, _ in queued:
                if not self.ledger.is_wanted(cid):
                    continue
                block = await self._serving.get_block(cid)
                if block is None:
                    self.ledger.vanished(cid)
                    self.wake()
                else:
                    blocks.append((cid, block))
            if blocks:
                await lane.send(encode_blocks(blocks), tries=1)
        for cid, block in blocks:
            self.ledger.sent(cid)
            self.sent_bytes += len(block)


class _Crew:
    """Tasks that do one kind of work, started as work comes in and gone after `IDLE_S` without any."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._idle = trio.lowlevel.ParkingLot()

    def call(self, jobs: int, nursery: trio.Nursery, task: Callable[[], Awaitable[None]]) -> None:
        """See to it that up to `jobs` of them look for work."""
        for _ in range(min(jobs - len(self._idle.unpark(count=jobs)), self._most - self._count)):
            self._count += 1
            nursery.start_soon(task)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._count -= 1

    async def more_work(self) -> bool:
        """Wait to be called; False when nobody called for so long that the task should end."""
        with trio.move_on_after(IDLE_S) as waiting:
            await self._idle.park()
        return not waiting.cancelled_caught
