"""Defect: Yamux takes frames that make no sense, and the body of a DATA frame before it looks at the stream's window.

Any peer may fill 16 MiB a connection with one frame for no stream at all, open streams without end, or send noise for
ever. Here every header is checked before anything is read behind it, and a peer that sends what no implementation sends
loses its connection.

Source: https://github.com/hashicorp/yamux/blob/master/spec.md
"""

import logging
from typing import Any

import trio
from libp2p.io.utils import read_exactly
from libp2p.stream_muxer.yamux import yamux
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    FLAG_SYN,
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_GO_AWAY,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
    Yamux,
)

from protocol.net.errors import BrokenProtocol
from protocol.net.patches.release import expect_release

log = logging.getLogger("pinakothek.net.frames")

LARGEST_FRAME_BYTES = 1 << 20
"""go-yamux, rust-yamux and js cut their frames at 64 KiB or less."""
LARGEST_WINDOW_BYTES = 1 << 32
"""What the header can say."""
STREAMS = 1024
"""Open at once on one connection, those that the gate is about to refuse included; Yamux itself opens 256."""
BODY_S = 30.0
"""For one frame's body. A megabyte at 300 kbit/s; a peer that is slower is not worth its memory."""

_FLAGS = 0xF


def header_fault(muxed: Any, header: bytes) -> str | None:
    """Why no honest peer sends this header on this connection now, or None."""
    version, kind, flags, stream_id, length = yamux.struct.unpack(YAMUX_HEADER_FORMAT, header)
    if version != 0 or kind > TYPE_GO_AWAY or flags & ~_FLAGS:
        return f"a frame of version {version}, type {kind}, flags {flags:#x}"
    if kind not in (TYPE_DATA, TYPE_WINDOW_UPDATE):
        return "a stream's id in a frame for the connection" if stream_id else None
    if stream_id == 0:
        return "a frame for no stream"
    stream = muxed.streams.get(stream_id)
    if flags & FLAG_SYN and (fault := _opening_fault(muxed, stream, stream_id)):
        return fault
    if kind == TYPE_WINDOW_UPDATE:
        return "a window of more than 4 GiB" if stream and stream.send_window + length > LARGEST_WINDOW_BYTES else None
    window_bytes = DEFAULT_WINDOW_SIZE if flags & FLAG_SYN else LARGEST_FRAME_BYTES
    if stream is not None:
        window_bytes = min(stream.recv_window, LARGEST_FRAME_BYTES)
    return f"{length} bytes for a window of {window_bytes}" if length > window_bytes else None


def _opening_fault(muxed: Any, stream: Any, stream_id: int) -> str | None:
    if stream is not None:
        return "a stream opened twice"
    if stream_id % 2 == muxed.next_stream_id % 2:
        return "a stream opened with an id of ours"
    if len(muxed.streams) >= STREAMS:
        return f"more than {STREAMS} streams at once"
    return None


async def _read_header(secured: Any, size_bytes: int) -> bytes:
    """Yamux reads its headers with this; `_read_body` reads all else."""
    header = await read_exactly(secured, size_bytes)
    muxed = getattr(secured, "muxed", None)
    if muxed is not None and size_bytes == HEADER_SIZE and (fault := header_fault(muxed, header)):
        log.warning("%s sent %s; its connection is cut", muxed.peer_id, fault)
        raise BrokenProtocol(fault)
    return header


async def _read_body(muxed: Any, length: int) -> bytes:
    with trio.fail_after(BODY_S):
        return await read_exactly(muxed.secured_conn, length)


def apply() -> None:
    """Look at each header first."""
    expect_release()
    stock = Yamux.__init__

    def init(muxed: Any, *given: Any, **named: Any) -> None:
        stock(muxed, *given, **named)
        muxed.secured_conn.muxed = muxed

    Yamux.__init__ = init
    Yamux._read_data_body = _read_body
    yamux.read_exactly = _read_header
