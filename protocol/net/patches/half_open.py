"""Defect: a frozen or unplugged peer stays "connected"; the result of Yamux's own ping is ignored.

Each connection's ping loop is replaced by `protocol.net.watchdog`, which closes the socket of one that stays silent.
"""

from libp2p.stream_muxer.yamux.yamux import Yamux

from protocol.net.patches.release import expect_release
from protocol.net.watchdog import watch


def apply() -> None:
    """Let the watchdog measure round trips in the stock loop's place."""
    expect_release()
    Yamux._measure_rtt_loop = watch
