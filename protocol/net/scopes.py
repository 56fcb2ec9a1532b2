"""A cancel scope for cleaning up: cancellation from outside waits, but not for long."""

import trio


def shielded(timeout_s: float) -> trio.CancelScope:
    """Run the block to its end in spite of cancellation, unless it takes longer than `timeout_s`."""
    return trio.CancelScope(deadline=trio.current_time() + timeout_s, shield=True)
