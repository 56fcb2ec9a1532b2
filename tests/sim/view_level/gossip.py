"""What a swarm's gossip weighs, from real messages: their encoded sizes times how often each peer receives them."""

from protocol.beat import BackendReport, Beat, HoldingsSummary, link_name, sign_beat
from protocol.holdings_messages import Change, HoldingsDelta, sign_delta
from protocol.identity import KeyPair
from protocol.limits import BEAT_MEMBERS_PER_S, BEAT_S

DAY_S = 86_400
COPIES = 3
"""How often gossip brings a message to a peer that has three neighbours. Source: docs/decisions.md, 8."""


def beat_bytes(peers: int) -> int:
    """A heartbeat of a peer that is linked to all others."""
    key = KeyPair(bytes(32))
    links = tuple(sorted(link_name(KeyPair(number.to_bytes(32, "big")).peer_id) for number in range(1, peers)))
    beat = Beat(
        incarnation=4, seq=100_000, clock_ms=1_800_000_000_000, state="active", away_until_ms=None, name="a museum",
        zone="berlin", capacity_bytes=10**12, used_bytes=10**11,
        backends=(BackendReport(kind="ipfs", store_id="0badcafe" * 4, full=False),),
        addrs=("/ip4/192.0.2.1/tcp/4001", "/ip6/2001:db8::1/tcp/4001"), links=links, records_digest=bytes(32),
        holdings=_summary(), version="0.1.0",
    )  # fmt: skip
    return len(sign_beat(beat, key))


def change_bytes(changes: int) -> float:
    """One change of holdings in a message of so many."""
    listed = tuple(Change(number.to_bytes(36, "big"), "ipfs", True) for number in range(changes))
    return len(sign_delta(HoldingsDelta(after=_summary(), changes=listed), KeyPair(bytes(32)))) / changes


def bytes_a_day(peers: int, changes_a_day: float) -> float:
    """What one peer receives of heartbeats and of `changes_a_day` holdings changes of the whole swarm, in tens."""
    beats = peers * DAY_S / max(BEAT_S, peers / BEAT_MEMBERS_PER_S)
    return COPIES * (beats * beat_bytes(peers) + changes_a_day * change_bytes(10))


def _summary() -> HoldingsSummary:
    return HoldingsSummary(epoch=3, seq=100_000, count=3000, digest=bytes(32))
