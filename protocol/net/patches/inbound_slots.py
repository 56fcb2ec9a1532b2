"""Defect: the slot (and task) of an inbound connection is held until the swarm ends.

After max_connections − min_connections inbound connections in total every further one is refused, with none alive. Here
it is held until the connection ends. Besides, connections that have not finished their handshake are counted apart: when
there are too many the oldest is dropped, so that a flood of silent ones keeps nobody out.
"""

import contextlib
import logging
from typing import Any

import trio
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.swarm import Swarm

from protocol.net.limits import HANDSHAKES_AT_ONCE
from protocol.net.patches.release import expect_release

log = logging.getLogger("pinakothek.net.inbound")


async def _inbound(swarm: Any, raw: Any, listening_on: Any) -> None:
    handshakes: dict[trio.CancelScope, Any] = swarm.__dict__.setdefault("handshakes", {})
    if len(handshakes) >= HANDSHAKES_AT_ONCE:
        _drop_oldest(handshakes)
    muxed = None
    with trio.CancelScope() as scope:
        handshakes[scope] = raw
        try:
            muxed = await swarm.upgrade_inbound_raw_conn(RawConnection(raw, False), listening_on)
        except Exception as error:  # noqa: BLE001 - a hostile handshake may end in any of them
            log.debug("an inbound connection failed: %r", error)
        finally:
            handshakes.pop(scope, None)
    if muxed is None:
        _close(raw)
        return
    await muxed.event_closed.wait()


def _drop_oldest(handshakes: dict[trio.CancelScope, Any]) -> None:
    """Off the list and closed at once: its task ends a turn of the loop later, when more have been accepted already."""
    scope = next(iter(handshakes))
    _close(handshakes.pop(scope))
    scope.cancel()


def _close(raw: Any) -> None:
    with contextlib.suppress(trio.ClosedResourceError):
        raw.stream.socket.close()


def apply() -> None:
    """Replace the handler of accepted sockets."""
    expect_release()
    Swarm._handle_inbound_connection = _inbound
