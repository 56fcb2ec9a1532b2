"""What people call peers and roots, and which peer a word means: an id, a part of it that no other has, or a name."""

from node.errors import Ambiguous, NotFound
from node.operator_rows import Destination
from node.parts import Parts
from node.replication.view import SwarmView
from protocol.identity import PeerId

SHORTEST = 8
"""Characters of an id; a shorter word is a name. All ids begin alike, so an end tells more."""


def name_of(parts: Parts, peer_id: str) -> str:
    """What a peer calls itself; empty where it was not heard."""
    if peer_id == parts.key.peer_id:
        return parts.settings.config.name
    peer = parts.knowledge.membership.get(peer_id)
    return (peer.beat.name if peer is not None and peer.beat is not None else None) or ""


def peer_of(parts: Parts, word: str) -> PeerId:
    """The admitted peer that `word` stands for.

    Raises:
        NotFound: none.
        Ambiguous: several, since anybody may call himself anything; `candidates` lists their ids.
    """
    known = parts.records.counting.standings()
    if word in known:
        return PeerId(word)
    found = [peer for peer in known if len(word) >= SHORTEST and (peer.startswith(word) or peer.endswith(word))]
    found += [peer for peer in known if peer not in found and name_of(parts, peer) == word]
    if not found:
        raise NotFound(f"{word}: no such peer", hint="`pinakothek members` lists them")
    if len(found) > 1:
        raise Ambiguous(f"{word}: {len(found)} peers", hint="give an id", candidates=sorted(found))
    return found[0]


def name_of_root(parts: Parts, root: bytes) -> str:
    """The name of a root's first pin, empty where it has none."""
    return next((pin.record.name for pin in parts.records.counting.live_pins(root) if pin.record.name), "")


def destination(parts: Parts, view: SwarmView, peer_id: str) -> Destination:
    """A peer that is to make a copy."""
    peer = view.peers.get(peer_id)
    return Destination(peer_id=peer_id, name=name_of(parts, peer_id), zone=peer.zone if peer is not None else "")
