"""Which members this peer has no connection with, although they are alive: others pass on what they say."""

from node.parts import Parts
from node.replication.links import linked


def unlinked(parts: Parts) -> frozenset[str]:
    """Members that are alive and that do not have, or say that they do not have, a connection with this peer."""
    views = parts.controller.beliefs.view(()).peers
    me = views[parts.key.peer_id]
    members = [peer for peer in parts.knowledge.membership.peers().values() if peer.standing.member]
    alive = [views[peer.peer_id] for peer in members if peer.sees == "alive" and peer.peer_id in views]
    return frozenset(view.peer_id for view in alive if not linked(me, view))
