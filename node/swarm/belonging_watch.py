"""Whether this peer still belongs: the one that is expelled while it is away hears nothing of it by gossip or sync.

Members treat it as a stranger from then on. So a peer that is connected to members and hears no heartbeat of theirs asks
one for the charters; a member answers an expelled peer with the signed expulsion instead, and that counts by its own
signature. Guests, who hear no gossip at all, learn of new charters in the same way.
"""

import logging
import random
from collections.abc import Callable

import trio

from node.swarm.knowledge import Knowledge
from node.swarm.names import QUERY
from protocol.errors import Refused
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError
from protocol.net.rpc import Rpc
from protocol.query import CharterAnswer, CharterAsk, NoAnswer

log = logging.getLogger("pinakothek.swarm")

LOOK_S = 10.0
AFRESH_S = 300.0
"""How often somebody without a role asks for new charters: guess."""
TIMEOUT_S = 10.0


class BelongingWatch:
    """Asks now and then.

    Args:
        reachable: members that are connected.
    """

    def __init__(self, rpc: Rpc, knowledge: Knowledge, *, reachable: Callable[[], frozenset[str]]) -> None:
        self._rpc = rpc
        self._knowledge = knowledge
        self._reachable = reachable
        self._asked_s = -AFRESH_S

    async def work(self) -> float:
        """Ask one connected member, if none of them speaks to this peer."""
        reachable = sorted(self._reachable() - {self._knowledge.me})
        now_s = trio.current_time()
        if reachable and not any(self._speaks(peer, now_s) for peer in reachable):
            belongs = self._knowledge.records.counting.is_member(self._knowledge.me)
            if belongs or now_s - self._asked_s >= AFRESH_S:
                self._asked_s = now_s
                await self._ask(random.choice(reachable))
        return LOOK_S

    def _speaks(self, peer_id: str, now_s: float) -> bool:
        membership = self._knowledge.membership
        peer = membership.get(peer_id)
        return peer is not None and peer.last is not None and peer.silent_s(now_s) < membership.suspect_after_s

    async def _ask(self, peer_id: str) -> None:
        try:
            raw = await self._rpc.call(peer_id, QUERY, write_message(CharterAsk()), TIMEOUT_S)
            answer = read_message(raw, (CharterAnswer, NoAnswer))
        except (NetError, Refused) as error:
            log.debug("%s does not say whether this peer belongs: %s", peer_id, error)
            return
        if isinstance(answer, CharterAnswer):
            await self._knowledge.records.accept(answer.charters)
        elif isinstance(answer, NoAnswer) and answer.record is not None:
            await self._knowledge.records.accept([answer.record])
