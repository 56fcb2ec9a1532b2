"""What each peer may do here, by what the records say of it; a connection whose rights have changed is dialled anew.

| peer | besides Identify and Ping |
|---|---|
| member | everything |
| guest | queries; blocks while the charter serves anyone |
| expelled | queries, answered with the expulsion alone; a Bitswap stream, since it stays a source of blocks |
| stranger | blocks while the charter serves anyone; the join protocol while an invite is open |
"""

from collections.abc import Callable

import trio

from node.swarm.names import BITSWAP, JOIN, QUERY
from protocol.admission import GUEST
from protocol.net.host import Host
from protocol.recordset import RecordSet

LINGER_S = 1.0
"""Before a connection is closed because its peer's rights changed: the answer that changed them is still on its way."""


class Gatekeeping:
    """The gate's questions, answered from the records.

    Args:
        invites_open: whether strangers may join at this moment.
    """

    def __init__(self, counting: RecordSet, invites_open: Callable[[], bool]) -> None:
        self._counting = counting
        self._invites_open = invites_open
        self._ranks: dict[str, str] = {}
        self._serves_anyone = True

    @property
    def serves_anyone(self) -> bool:
        """Whether the charter lets strangers fetch blocks."""
        charter = self._counting.charter
        return charter is None or charter.serve == "anyone"

    def rank(self, peer_id: str) -> str:
        """`member`, `guest`, `expelled` or `stranger`."""
        standing = self._counting.standing(peer_id)
        if standing is None or standing.left:
            return "stranger"
        if standing.member:
            return "member"
        return "expelled" if standing.expelled else "guest" if GUEST in standing.roles else "stranger"

    def strangers_may(self) -> frozenset[str]:
        """Protocols that anybody may open."""
        blocks = BITSWAP if self.serves_anyone else frozenset()
        return blocks | {JOIN} if self._invites_open() else blocks

    def also_may(self, peer_id: str) -> frozenset[str]:
        """Protocols that a peer which is no member may open beside those."""
        rank = self.rank(peer_id)
        if rank == "guest":
            return frozenset({QUERY})
        return BITSWAP | {QUERY} if rank == "expelled" else frozenset()

    def may_serve(self, peer_id: str) -> bool:
        """Whether a peer is sent blocks."""
        return self.serves_anyone or self._counting.is_member(peer_id)

    def moved(self, connected: set[str]) -> frozenset[str]:
        """The connected peers whose rights are others than at the last call."""
        before, self._ranks = self._ranks, {str(peer): self.rank(peer) for peer in self._counting.standings()}
        served, self._serves_anyone = self._serves_anyone, self.serves_anyone
        return frozenset(
            peer
            for peer in connected
            if (rank := self._ranks.get(peer, "stranger")) != before.get(peer, "stranger")
            or (served != self._serves_anyone and rank != "member")
        )


async def dial_anew(host: Host, peer_id: str) -> None:
    """Close a connection in a moment; whoever needs it dials again, and meets the gate as it is then."""
    await trio.sleep(LINGER_S)
    await host.standing_changed(peer_id)
