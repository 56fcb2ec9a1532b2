"""Fetch blocks from several peers at once.

    async with bitswap.session(sources) as session:
        await session.want([root])
        async for cid, block in session:
            await session.want(links(cid, block))

The loop ends when everything wanted has come: ask for what a block links to before taking the next one. Blocks come in
any order, each hashed to its CID, no block twice.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import trio

from protocol.net.bitswap_asking import Ask, Asking
from protocol.net.bitswap_cid import is_empty_block
from protocol.net.errors import NetError

BACKLOG_WINDOWS = 4
"""Blocks larger than foreseen may pile up to this many windows; then reading from the peers pauses."""


class BlocksUnavailable(NetError):
    """No source is left that might have what is still wanted.

    Attributes:
        missing: the CIDs, all that was wanted and has not come.
        reasons: for each source that was used, in a few words, why it did not deliver them.
    """

    def __init__(self, missing: Iterable[bytes], reasons: Mapping[str, str]) -> None:
        self.missing = tuple(missing)
        self.reasons = dict(reasons)
        told = "; ".join(f"{peer}: {reason}" for peer, reason in self.reasons.items()) or "no source is connected"
        lacking = "1 block is" if len(self.missing) == 1 else f"{len(self.missing)} blocks are"
        super().__init__(f"{lacking} not to be had: {told}")


class Session:
    """One fetch. Made by `Bitswap.session`; to be iterated by one task at a time."""

    def __init__(self, asking: Asking, send: Callable[[Ask], None], window_bytes: int) -> None:
        self._asking = asking
        self._send = send
        self._most_held_bytes = BACKLOG_WINDOWS * window_bytes
        self._ready: deque[tuple[bytes, bytes]] = deque()
        self._changed = trio.Event()
        self._taken = trio.lowlevel.ParkingLot()

    @property
    def sources(self) -> frozenset[str]:
        """The peers in use now."""
        return self._asking.sources

    @property
    def received_bytes(self) -> dict[str, int]:
        """Bytes of blocks received from each peer in use."""
        return self._asking.received_bytes

    async def want(self, cids: Iterable[bytes]) -> None:
        """Fetch these too; those wanted already are ignored, those received before are fetched again.

        Source: Kubo 0.42 serves no empty block, not to another Kubo either (measured), so we make those ourselves.
        """
        cids = list(cids)
        self._asking.want(cids)
        for cid in filter(is_empty_block, cids):
            self.receive("", cid, b"")
        self.plan()

    def add_source(self, peer_id: str) -> None:
        """Ask this connected peer too; it will be asked also for what all others lack."""
        self._asking.add_source(peer_id, trio.current_time())
        self.plan()

    def drop_source(self, peer_id: str, reason: str) -> None:
        """Ask this peer no more."""
        if peer_id in self._asking.sources:
            self._asking.drop_source(peer_id, reason)
            self.plan()

    def __aiter__(self) -> "Session":
        return self

    async def __anext__(self) -> tuple[bytes, bytes]:
        """Return the next block with its CID. Raises: BlocksUnavailable, after all that could be had was returned."""
        await trio.lowlevel.checkpoint()
        while not self._ready:
            if self._asking.is_done:
                raise StopAsyncIteration
            if missing := self._asking.missing():
                raise BlocksUnavailable(missing, self._asking.reasons())
            self._changed = trio.Event()
            await self._changed.wait()
        cid, block = self._ready.popleft()
        self._asking.taken(len(block))
        self._taken.unpark_all()
        self.plan()
        return cid, block

    def owes(self, peer_id: str, cid: bytes) -> bool:
        """Whether the peer was asked for the block here and has not answered."""
        return self._asking.owes(peer_id, cid)

    def is_wanted(self, cid: bytes) -> bool:
        """Whether the block has yet to come."""
        return self._asking.is_wanted(cid)

    def receive(self, peer_id: str, cid: bytes, block: bytes) -> bool:
        """A block that hashes to `cid` came in: take it if it is wanted, and say whether it was."""
        cancels = self._asking.receive(peer_id, cid, len(block), trio.current_time())
        if cancels is None:
            return False
        for cancel in cancels:
            self._send(cancel)
        self._ready.append((cid, block))
        self.plan()
        return True

    def refuse(self, peer_id: str, cids: Iterable[bytes]) -> None:
        """The peer does not have these."""
        self._asking.refuse(peer_id, cids, trio.current_time())
        self.plan()

    def plan(self) -> None:
        """Send what is due, and wake the caller's task. Called after every change and by the clock."""
        for ask in self._asking.plan(trio.current_time()):
            self._send(ask)
        self._changed.set()

    def ask_again(self, peer_id: str) -> None:
        """A stream of the peer broke, maybe with blocks on it: ask once more for all it owes."""
        if cids := self._asking.in_flight().get(peer_id):
            self._send(Ask(peer_id, cids))

    async def until_room(self) -> None:
        """Wait while too much has come in that the caller has not taken yet."""
        while self._asking.held_bytes > self._most_held_bytes:
            await self._taken.park()

    def close(self) -> None:
        """Take back what is still asked for, and let go of what has come in."""
        for peer_id, cids in self._asking.in_flight().items():
            self._send(Ask(peer_id, cids, cancel=True))
        for _, block in self._ready:
            self._asking.taken(len(block))
        self._ready.clear()
        self._taken.unpark_all()
