"""Defect: gossip's sequence numbers start at the clock in seconds and go up by one a message.

A peer that sent more than one message a second and restarts repeats numbers, and the others drop its messages as seen
(0 of 10 arrived). Nanoseconds cannot be caught up with.
"""

import time
from typing import Any

from libp2p.pubsub.pubsub import Pubsub

from protocol.net.patches.release import expect_release


def apply() -> None:
    """Start each router's numbers at the clock in nanoseconds."""
    expect_release()
    stock = Pubsub.__init__

    def init(self: Any, *given: Any, **named: Any) -> None:
        stock(self, *given, **named)
        self.counter = time.time_ns()

    Pubsub.__init__ = init
