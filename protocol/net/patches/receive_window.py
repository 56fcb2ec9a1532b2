"""Defect: a peer that sends beyond the window it was granted is only warned about, so it can fill our memory.

Such a peer breaks the protocol, and loses its connection.
"""

from typing import Any

import trio
from libp2p.stream_muxer.yamux.yamux import YamuxStream

from protocol.net.patches.release import expect_release


class WindowOverrun(trio.TooSlowError):
    """Raised inside Yamux's reader, which ends the connection on this one kind of error."""


def _window(stream: Any) -> int:
    return int(stream._recv_window)


def _set_window(stream: Any, value_bytes: int) -> None:
    if value_bytes < 0:
        raise WindowOverrun(f"stream {stream.stream_id} sent {-value_bytes} bytes too many")
    stream._recv_window = value_bytes


def apply() -> None:
    """Watch the window where Yamux counts it."""
    expect_release()
    YamuxStream.recv_window = property(_window, _set_window)
