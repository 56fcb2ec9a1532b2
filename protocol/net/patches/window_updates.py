"""Defect: Yamux answers every read, of one byte too, with a window update: half of gossip's processor time.

An update is sent when half the window is used up, as go-yamux does, and the window doubles each time up to 4 MiB, while
the streams of the connection together have room: what they were granted is what the peer can make us hold.
"""

from typing import Any

from libp2p.stream_muxer.yamux.yamux import DEFAULT_WINDOW_SIZE, YamuxStream

from protocol.net.patches.release import expect_release

LARGEST_WINDOW_BYTES = 4 << 20
"""Without doubling a stream between two of us falls to 18 MB/s; above 4 MiB nothing is gained (measured)."""

GROWN_BYTES = 32 << 20
"""Granted to the streams of one connection beyond the first 256 KiB of each: eight at their largest."""


async def _update_window(stream: Any, *, bytes_read: int = 0) -> None:
    buffered = len(stream.conn.stream_buffers.get(stream.stream_id, b""))
    granted = stream.target_recv_window - (stream.recv_window + buffered)
    if granted < stream.target_recv_window // 2:
        return
    target = min(stream.target_recv_window * 2, LARGEST_WINDOW_BYTES)
    grown = sum(other.target_recv_window - DEFAULT_WINDOW_SIZE for other in stream.conn.streams.values())
    if grown + target - stream.target_recv_window > GROWN_BYTES:
        target = stream.target_recv_window
    granted += target - stream.target_recv_window
    stream.target_recv_window = target
    stream.recv_window += granted
    await stream.send_window_update(granted)


def apply() -> None:
    """Batch the updates."""
    expect_release()
    YamuxStream._auto_tune_and_send_window_update = _update_window
