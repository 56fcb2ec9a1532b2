"""Defect: while a validator waits, the same message from a second peer is accepted too, and delivered twice.

A message in hand is not taken up again.
"""

from typing import Any

from libp2p.pubsub.pubsub import Pubsub

from protocol.net.patches.release import expect_release


def apply() -> None:
    """Remember what is being validated."""
    expect_release()
    stock = Pubsub.push_msg

    async def push_msg(self: Any, forwarder: Any, message: Any) -> None:
        in_hand: set[bytes] = self.__dict__.setdefault("in_hand", set())
        identity = message.from_id + message.seqno
        if identity in in_hand:
            return
        in_hand.add(identity)
        try:
            await stock(self, forwarder, message)
        finally:
            in_hand.discard(identity)

    Pubsub.push_msg = push_msg
