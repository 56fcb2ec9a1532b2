"""Defect: a host accepts `/plaintext/2.0.0` (and secio and TLS), in and out, beside Noise.

Plaintext proves nothing: whoever knows a friend's PeerId is accepted as that friend. Only Noise is left, and only Yamux
as muxer (mplex fails on bodies of 1 MB).
"""

from typing import Any

from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.transport.upgrader import TransportUpgrader

from protocol.net.patches.release import expect_release


def apply() -> None:
    """Let every upgrader know one security protocol and one muxer, whatever it is given."""
    expect_release()
    stock = TransportUpgrader.__init__

    def init(
        self: Any, secure_transports_by_protocol: Any, muxer_transports_by_protocol: Any, *rest: Any, **named: Any
    ) -> None:
        noise = {NOISE: secure_transports_by_protocol[NOISE]}
        stock(self, noise, {YAMUX: muxer_transports_by_protocol[YAMUX]}, *rest, **named)

    TransportUpgrader.__init__ = init
