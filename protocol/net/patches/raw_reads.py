"""Defect: every encrypted message costs two system calls and two turns of the event loop to read, its length and its body.

What the socket has is read at once and handed out piece by piece. With `whole_frames`, 256 MiB of Bitswap from Kubo cost
1.5 s of processor time instead of 2.4 s.
"""

from typing import Any

from libp2p.network.connection.raw_connection import RawConnection

from protocol.net.patches.release import expect_release

AHEAD_BYTES = 128 << 10
"""Held for each connection at most: four of Noise's messages as Kubo sends them."""

_read = RawConnection.read


async def _read_ahead(connection: Any, n: int | None = None) -> bytes:
    ahead: bytes = connection.__dict__.get("ahead", b"")
    if not ahead:
        chunk: bytes = await _read(connection, None if n is None else max(n, AHEAD_BYTES))
        if n is None or len(chunk) <= n:
            return chunk
        connection.ahead, connection.ahead_at = chunk, n
        return chunk[:n]
    start = connection.ahead_at
    end = len(ahead) if n is None else start + n
    if end < len(ahead):
        connection.ahead_at = end
    else:
        connection.ahead = b""
    return ahead[start:end]


def apply() -> None:
    """Read ahead on raw connections; everything above them reads through this one method."""
    expect_release()
    RawConnection.read = _read_ahead
