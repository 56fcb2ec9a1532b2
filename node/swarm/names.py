"""The protocols and topics of DESIGN §5, as they are called on the wire."""

JOIN = "/pinakothek/join/1"
SYNC = "/pinakothek/sync/1"
QUERY = "/pinakothek/query/1"
REPLICA = "/pinakothek/replica/1"
AUDIT = "/pinakothek/audit/1"
BITSWAP = frozenset({"/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0"})


def beat_topic(swarm_id: str) -> str:
    """Where heartbeats are gossiped."""
    return f"/pinakothek/{swarm_id}/beat/1"


def pins_topic(swarm_id: str) -> str:
    """Where signed records are gossiped."""
    return f"/pinakothek/{swarm_id}/pins/1"


def holdings_topic(swarm_id: str) -> str:
    """Where changes of holdings are gossiped."""
    return f"/pinakothek/{swarm_id}/holdings/1"
