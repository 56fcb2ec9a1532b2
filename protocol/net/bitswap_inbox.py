"""Read the Bitswap streams that peers open to us, within bounds, and hand on their messages."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from protocol.net.bitswap_budget import ByteBudget
from protocol.net.bitswap_stream import Stream
from protocol.net.bitswap_wire import MAX_MESSAGE_BYTES, BadMessage, Message, decode
from protocol.net.errors import BrokenProtocol, NetError

MAX_STREAMS = 32
"""Per peer. Kubo opens a stream for every message it answers with, eight at a time, and closes it behind the message."""
PEER_BYTES = 8 << 20
"""Of large messages that one peer has begun to send: eight of Kubo's, two of the largest."""
MEMBERS_BYTES = 64 << 20
STRANGERS_BYTES = 16 << 20
"""Of all of them, and of all strangers; who finds no room waits, and is not read meanwhile."""


class Inbox:
    """The receiving half, for all peers.

    Args:
        on_message: takes a message of a peer, and may raise BadMessage. While it waits, that stream is not read.
        on_violation: is told, once, that a peer sent what no honest peer sends, and what it was.
        on_broken: is told that a stream of a peer ended in the middle.
        is_member: strangers share less memory.
    """

    def __init__(
        self,
        on_message: Callable[[str, Message], Awaitable[None]],
        on_violation: Callable[[str, str], Awaitable[None]],
        on_broken: Callable[[str], None],
        is_member: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._on_message = on_message
        self._on_violation = on_violation
        self._on_broken = on_broken
        self._is_member = is_member
        self._streams: Counter[str] = Counter()
        self._rooms: dict[str, ByteBudget] = {}
        self._members, self._strangers = ByteBudget(MEMBERS_BYTES), ByteBudget(STRANGERS_BYTES)

    async def read(self, peer_id: str, stream: Stream) -> None:
        """Read one stream to its end: the handler of Bitswap's protocols."""
        if self._streams[peer_id] >= MAX_STREAMS:
            await stream.reset()
            return
        self._streams[peer_id] += 1
        try:
            await self._read(peer_id, stream)
        except (BadMessage, BrokenProtocol) as error:
            await stream.reset()
            await self._on_violation(peer_id, str(error))
        except NetError:
            await stream.reset()
            self._on_broken(peer_id)
        else:
            await stream.close()
        finally:
            self._streams[peer_id] -= 1
            if not self._streams[peer_id]:
                del self._streams[peer_id]
                self._rooms.pop(peer_id, None)

    async def _read(self, peer_id: str, stream: Stream) -> None:
        room = self._rooms.setdefault(peer_id, ByteBudget(PEER_BYTES))
        all_room = self._members if self._is_member(peer_id) else self._strangers

        @asynccontextmanager
        async def hold(size_bytes: int) -> AsyncIterator[None]:
            async with room.hold(size_bytes), all_room.hold(size_bytes):
                yield

        while (frame := await stream.read_frame(MAX_MESSAGE_BYTES, hold)) is not None:
            await self._on_message(peer_id, decode(frame))
