"""Read the Bitswap streams that peers open to us, within bounds, and hand on their messages."""

from collections import Counter
from collections.abc import Awaitable, Callable

from protocol.net.bitswap_stream import Stream
from protocol.net.bitswap_wire import MAX_MESSAGE_BYTES, BadMessage, Message, decode
from protocol.net.errors import FrameTooLarge, NetError

MAX_STREAMS = 64
"""Per peer. Kubo opens a stream for every message it answers with, eight at a time, and closes it behind the message."""


class Inbox:
    """The receiving half, for all peers.

    Args:
        on_message: takes a message of a peer, and may raise BadMessage. While it waits, that stream is not read.
        on_violation: is told, once, that a peer sent what no honest peer sends, and what it was.
        on_broken: is told that a stream of a peer ended in the middle.
    """

    def __init__(
        self,
        on_message: Callable[[str, Message], Awaitable[None]],
        on_violation: Callable[[str, str], Awaitable[None]],
        on_broken: Callable[[str], None],
    ) -> None:
        self._on_message = on_message
        self._on_violation = on_violation
        self._on_broken = on_broken
        self._streams: Counter[str] = Counter()

    async def read(self, peer_id: str, stream: Stream) -> None:
        """Read one stream to its end: the handler of Bitswap's protocols."""
        if self._streams[peer_id] >= MAX_STREAMS:
            await stream.reset()
            return
        self._streams[peer_id] += 1
        try:
            await self._read(peer_id, stream)
        except (BadMessage, FrameTooLarge) as error:
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

    async def _read(self, peer_id: str, stream: Stream) -> None:
        while (frame := await stream.read_frame(MAX_MESSAGE_BYTES)) is not None:
            await self._on_message(peer_id, decode(frame))
