"""Defect: opening a stream that is cancelled keeps its place for ever; after 256 of them the connection opens no more.

The place is given back, and the peer is told to forget the half-made stream.
"""

import contextlib
import struct
from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_RST,
    FLAG_SYN,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)

from protocol.net.patches.release import expect_release


async def _open_stream(muxed: Any) -> Any:
    await muxed.stream_backlog_semaphore.acquire()
    if muxed.event_shutting_down.is_set():
        muxed.stream_backlog_semaphore.release()
        raise MuxedStreamError("the connection is shutting down")
    stream = YamuxStream(muxed.next_stream_id, muxed, True)
    muxed.next_stream_id += 2
    stream._owns_backlog_slot = True
    muxed.streams[stream.stream_id] = stream
    muxed.stream_buffers[stream.stream_id] = bytearray()
    muxed.stream_events[stream.stream_id] = trio.Event()
    try:
        await muxed._write_frame(_frame(FLAG_SYN, stream.stream_id))
    except BaseException as error:
        stream.closed = stream.send_closed = stream.recv_closed = stream.reset_received = True
        muxed._finalize_stream_locked(stream, fully_closed=True)
        if not isinstance(error, Exception):
            if not muxed.event_shutting_down.is_set():
                muxed._nursery.start_soon(_withdraw, muxed, stream.stream_id)
            raise
        raise MuxedStreamError(f"cannot open a stream: {error}") from error
    return stream


async def _withdraw(muxed: Any, stream_id: int) -> None:
    with contextlib.suppress(BaseLibp2pError):
        await muxed._write_frame(_frame(FLAG_RST, stream_id))


def _frame(flag: int, stream_id: int) -> bytes:
    return struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_WINDOW_UPDATE, flag, stream_id, 0)


def apply() -> None:
    """Undo what a cancelled `open_stream` has begun."""
    expect_release()
    Yamux.open_stream = _open_stream
