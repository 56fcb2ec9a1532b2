"""Defect: a cancel scope that fires inside `stream.write` cuts an encrypted frame, and the whole connection dies.

A frame once begun is written to its end; the cancellation arrives after it.
"""

from typing import Any

import trio
from libp2p.stream_muxer.yamux.yamux import Yamux

from protocol.net.patches.release import expect_release


async def _write_frame(muxed: Any, frame: bytes) -> None:
    async with muxed._write_lock:
        with trio.CancelScope(shield=True):
            await muxed.secured_conn.write(frame)
    await trio.lowlevel.checkpoint()


def apply() -> None:
    """Shield each frame."""
    expect_release()
    Yamux._write_frame = _write_frame
