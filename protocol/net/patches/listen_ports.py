"""Defect: listeners set SO_REUSEPORT, so two daemons share a port without a word, and connections are split by chance.

Hole punching wants that; we do not punch. Without it the second listener gets the usual "address in use".
"""

import contextlib
import socket
from typing import Any

from libp2p.transport.tcp import tcp

from protocol.net.patches.release import expect_release


def _only_reuse_address(listener: Any) -> None:
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def apply() -> None:
    """Leave the one flag that lets a restarted daemon have its port back."""
    expect_release()
    tcp._set_reuse_flags = _only_reuse_address
