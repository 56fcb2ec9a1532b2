"""Sizes, counts and times of the network shell, each with its source."""

from dataclasses import dataclass

FRAME_CHUNK_BYTES = 65_536
"""Read at most this at once: one yamux frame (go-yamux default)."""

FRAME_S = 30.0
"""For a frame above `FRAME_CHUNK_BYTES`, once it has begun: 4 MiB at 1.1 Mbit/s."""

NEGOTIATION_S = 5.0
"""Multistream negotiation of one stream; one round trip is all it takes. Guess."""

DIAL_S = 5.0
"""Per address: a listener that accepts and stays silent hangs libp2p's own dial for ever (measured)."""

DIAL_STAGGER_S = 0.25
"""Head start of each address over the next (RFC 8305 §5 recommends 250 ms)."""

HANDSHAKES_AT_ONCE = 128
"""Connections that have not shown a PeerId yet; above this the oldest is dropped, so that a flood cannot fill it up."""

DOUBTS_BURST, DOUBTS_PER_S = 256, 4.0
"""What may be chance is forgiven so often to one connection: a stream too many, a negotiation given up. Guess: Kubo asks
for a dozen protocols that we do not speak when it connects."""

SHUTDOWN_S = 2.0
"""From cancellation of `Host.run` to its end."""

GOSSIP_MESSAGE_BYTES = 64 * 1024
"""Gossip announces; bulk goes over streams. 307 messages/s of 32 KiB saturate a core (measured)."""

SUBSCRIPTION_MESSAGES = 4096
"""Messages of one topic that wait for their reader; the oldest are dropped above that."""

SUBSCRIPTION_BYTES = 8 << 20
"""Of all messages of one topic that wait together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """What one host grants others.

    Attributes:
        stranger_connections: shared by all peers that are no members (DESIGN §5).
        connections_per_stranger: a browser-like node opens one; two leave room for a simultaneous dial.
        connections_per_member: one is usual, two after a simultaneous dial.
        streams_per_stranger: open inbound streams of one peer; Kubo's Bitswap keeps a handful.
        streams_per_member: the same for members, who need some twenty; each may hold 256 KiB that nobody has read yet.
        streams_per_protocol: of one peer; Bitswap counts its own.
    """

    stranger_connections: int = 64
    connections_per_stranger: int = 2
    connections_per_member: int = 4
    streams_per_stranger: int = 32
    streams_per_member: int = 128
    streams_per_protocol: int = 16
