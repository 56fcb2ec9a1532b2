"""How much gossip of one author is passed on, whoever brings it: a token bucket for messages and one for bytes. Pure."""

from protocol.net.bitswap_budget import TokenBucket

MESSAGES_PER_S = 100.0
MESSAGES_BURST = 2000
BYTES_PER_S = float(1 << 20)
BYTES_BURST = 16 << 20
"""An author that adds 200 images a second sends a tenth of this (three batched messages a second, half a kilobyte a
pin); one that sends more takes every member's processor, at some 3 ms a message."""

AUTHORS = 4096
"""Pairs of forwarder and author that are remembered; the one unheard for longest goes first."""


class GossipBudget:
    """The allowances of all authors.

    They are kept for each forwarder apart, so that no member can use up another's by sending its old messages again.
    """

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], tuple[TokenBucket, TokenBucket]] = {}

    def allows(self, forwarder: str, author: str, size_bytes: int, now_s: float) -> bool:
        """Whether a message may pass, which it then counts against."""
        pair = forwarder, author
        buckets = self._pairs.pop(pair, None) or (
            TokenBucket(MESSAGES_PER_S, MESSAGES_BURST),
            TokenBucket(BYTES_PER_S, BYTES_BURST),
        )
        self._pairs[pair] = buckets
        if len(self._pairs) > AUTHORS:
            del self._pairs[next(iter(self._pairs))]
        messages, bytes_ = buckets
        if messages.owes(now_s) or bytes_.owes(now_s):
            return False
        messages.reserve(1, now_s)
        bytes_.reserve(size_bytes, now_s)
        return True
