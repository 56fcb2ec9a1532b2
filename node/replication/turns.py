"""Turns for work that reads whole roots in threads: so many at a time of each kind, so that a slow backend delays no other."""

import trio

from node.kinds import KINDS


class Turns:
    """A limiter for each kind of backend; an unknown kind, which only others may name, shares one.

    Args:
        at_once: turns of each kind.
    """

    def __init__(self, at_once: int) -> None:
        self._of = {kind: trio.CapacityLimiter(at_once) for kind in KINDS}
        self._others = trio.CapacityLimiter(at_once)

    def of(self, kind: str) -> trio.CapacityLimiter:
        """The limiter of a kind."""
        return self._of.get(kind, self._others)
