"""Defect: Ping remembers every peer that ever pinged, for ever: half a kilobyte for each identity a stranger makes up."""

from typing import Any

from libp2p.host.ping import PingService

from protocol.net.patches.release import expect_release

_handle = PingService.handle_ping


async def _handle_ping(service: Any, stream: Any) -> None:
    peer_id = stream.muxed_conn.peer_id
    try:
        await _handle(service, stream)
    finally:
        if not service._inbound_streams.get(peer_id, True):
            del service._inbound_streams[peer_id]


def apply() -> None:
    """Forget whoever pings no more."""
    expect_release()
    PingService.handle_ping = _handle_ping
