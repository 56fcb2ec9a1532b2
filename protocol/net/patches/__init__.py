"""py-libp2p 0.8.1 is usable for a long-lived daemon only with these mends; each module is one defect.

Every module says what goes wrong without it and has an `apply()`. `apply_all` runs them before the first host is made;
`tests/net/test_patches_matter.py` takes them out one by one and expects the regression test of each to fail.
"""

from importlib import import_module

NAMES = [
    "noise_only",
    "inbound_slots",
    "containment",
    "atomic_frames",
    "stream_slots",
    "half_open",
    "strict_frames",
    "short_negotiations",
    "gossip_constants",
    "window_updates",
    "pubsub_frames",
    "peer_records",
    "standing",
    "sequence_numbers",
    "double_delivery",
    "forged_gossip",
    "ping_memory",
    "listen_ports",
    "raw_reads",
    "whole_frames",
]
"""In the order of application."""

_applied: set[str] = set()


def apply_all() -> None:
    """Mend libp2p in this process; the second call does nothing. Raises RuntimeError for another release of it."""
    for name in NAMES:
        if name not in _applied:
            import_module(f"{__name__}.{name}").apply()
            _applied.add(name)
