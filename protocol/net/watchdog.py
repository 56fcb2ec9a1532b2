"""Notice peers that went silent without closing: frozen, unplugged, or cut off by a router.

One task in each connection pings over Yamux and closes the socket after two pings in a row without an answer. Not the
connection: that would first write a farewell, and a write to such a peer may wait for ever.
"""

import contextlib
import logging
import struct
from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.stream_muxer.yamux.yamux import FLAG_SYN, TYPE_PING, YAMUX_HEADER_FORMAT

from protocol.net.sockets import cut

log = logging.getLogger("pinakothek.net.watchdog")

PING_INTERVAL_S = 5.0
ANSWER_S = 3.0
MISSES = 2
"""A silent peer is cut off after 11 to 16 s. One miss alone may be our own pause."""


async def watch(muxed: Any) -> None:
    """Ping one connection until it closes, and close its socket if it falls silent."""
    missed = 0
    while not muxed.event_shutting_down.is_set():
        with trio.move_on_after(PING_INTERVAL_S):
            await muxed.event_shutting_down.wait()
        if muxed.event_shutting_down.is_set():
            return
        answered = muxed._ping_event = trio.Event()
        muxed._nursery.start_soon(_ping, muxed)
        with trio.move_on_after(ANSWER_S):
            await answered.wait()
        missed = 0 if answered.is_set() else missed + 1
        if missed >= MISSES:
            log.info("%s answered none of %d pings, its connection is closed", muxed.peer_id, missed)
            cut(muxed)
            return


async def _ping(muxed: Any) -> None:
    muxed._ping_id = (muxed._ping_id + 1) & 0xFFFFFFFF
    muxed._ping_sent_time = trio.current_time()
    with contextlib.suppress(BaseLibp2pError, trio.ClosedResourceError, trio.BrokenResourceError):
        await muxed._write_frame(struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_PING, FLAG_SYN, 0, muxed._ping_id))
