"""Defect: a gossip message whose signature is false is dropped in silence, and its forwarder goes on sending such.

Whoever passes one on has not checked it, as every honest peer does first: it loses its connection (`containment`).
"""

from typing import Any

from libp2p.pubsub import pubsub

from protocol.net.errors import BrokenProtocol
from protocol.net.patches.release import expect_release

_is_valid = pubsub.signature_validator


def _signed(message: Any) -> bool:
    if not _is_valid(message):
        raise BrokenProtocol("gossip with a false signature")
    return True


def apply() -> None:
    """Raise where the stock check says no."""
    expect_release()
    pubsub.signature_validator = _signed
