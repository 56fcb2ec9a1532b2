"""Short ways to write swarm views down, and hypothesis strategies for random ones."""

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from node.replication.view import PeerState, PeerView, RootView, SwarmView, by_key

TIB = 1 << 40
STATES: tuple[PeerState, ...] = (
    "alive", "suspect", "away", "recovering", "draining", "leaving", "down", "left", "expelled", "cloned",
)  # fmt: skip


def peer(peer_id: str, state: PeerState = "alive", **facts: Any) -> PeerView:
    return PeerView(peer_id=peer_id, state=state, **{"capacity_bytes": TIB, **facts})


def root(name: str, factor: str, holders: Iterable[str] = (), **facts: Any) -> RootView:
    low, high = factor.split(":")
    facts = {"size_bytes": 1 << 20, **facts}
    return RootView(root=name.encode() * 4, min=int(low), max=int(high), holders=frozenset(holders), **facts)


def swarm(me: str, peers: Iterable[PeerView], roots: Iterable[RootView], **facts: Any) -> SwarmView:
    return SwarmView(me=me, peers={one.peer_id: one for one in peers}, roots=by_key(roots), **facts)


def peers_named(names: str, states: Mapping[str, PeerState] | None = None) -> list[PeerView]:
    return [peer(name, (states or {}).get(name, "alive")) for name in names]


@st.composite
def random_views(
    draw: st.DrawFn,
    *,
    states: tuple[PeerState, ...] = STATES,
    zones: int = 3,
    sizes: int = 100,
    most_peers: int = 8,
    most_roots: int = 6,
    odd: bool = True,
) -> SwarmView:
    """A view of a few peers and roots. `me` is alive. `odd`: with doubted copies, sources and missing links."""
    names = "abcdefghijklmnop"[: draw(st.integers(1, most_peers))]
    odd = odd and draw(st.booleans())
    peers = []
    for index, name in enumerate(names):
        capacity = draw(st.integers(0, 1000))
        peers.append(
            peer(
                name,
                "alive" if index == 0 else draw(st.sampled_from(states)),
                zone=f"z{draw(st.integers(1, zones))}",
                keeper=draw(st.integers(0, 9)) > 0,
                capacity_bytes=capacity,
                used_bytes=draw(st.integers(0, capacity)),
                full_kinds=frozenset({"ipfs"}) if draw(st.integers(0, 4)) == 0 else frozenset(),
                store_ids={"ipfs": "shared"} if draw(st.integers(0, 5)) == 0 else {},
                kinds=frozenset() if draw(st.integers(0, 9)) == 0 else frozenset({"ipfs"}),
                connected=draw(st.none() | st.frozensets(st.sampled_from(names))) if odd else None,
            )
        )
    roots = []
    for index in range(draw(st.integers(1, most_roots))):
        high = draw(st.integers(0, 4))
        low = draw(st.integers(min(1, high), high))
        holders = draw(st.frozensets(st.sampled_from(names)))
        facts: dict[str, Any] = {"size_bytes": draw(st.integers(0, sizes)), "ever_held": draw(st.booleans())}
        if odd:
            facts["unproven"] = draw(st.frozensets(st.sampled_from(names)))
            facts["elsewhere"] = draw(st.frozensets(st.sampled_from(names))) - holders
        roots.append(root(f"r{index}", f"{low}:{high}", holders, **facts))
    return swarm(names[0], peers, roots, mass_loss=draw(st.integers(0, 5)) == 0)
