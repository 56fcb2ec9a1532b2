"""Whether another daemon speaks as this peer: what it says does not reach this one, so a member is asked now and then.

What a single member says is shown, not acted on: it may lie.
"""

import logging
import random
from collections.abc import Callable

from node.swarm.comeback import Comeback
from node.swarm.knowledge import Knowledge
from node.swarm.names import SYNC
from protocol.errors import Refused
from protocol.holdings_messages import LastHeardAnswer, LastHeardAsk
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError
from protocol.net.rpc import Rpc

log = logging.getLogger("pinakothek.swarm")

ASK_EVERY_S = 20.0
TIMEOUT_S = 5.0


class TwinWatch:
    """Asks one member at a time.

    Args:
        reachable: members that are connected.

    Attributes:
        told_by: the member that has last said that this identity was cloned; None where the last one asked did not.
    """

    def __init__(
        self, rpc: Rpc, knowledge: Knowledge, comeback: Comeback, *, reachable: Callable[[], frozenset[str]]
    ) -> None:
        self._rpc = rpc
        self._knowledge = knowledge
        self._comeback = comeback
        self._reachable = reachable
        self.told_by: str | None = None

    async def work(self) -> float:
        """Ask one, once this peer has begun to speak."""
        reachable = sorted(self._reachable() - {self._knowledge.me})
        if (
            reachable
            and self._comeback.may_speak.is_set()
            and self._knowledge.records.counting.is_member(self._knowledge.me)
        ):
            await self._ask(random.choice(reachable))
        return ASK_EVERY_S

    async def _ask(self, peer: str) -> None:
        try:
            raw = await self._rpc.call(peer, SYNC, write_message(LastHeardAsk()), TIMEOUT_S)
            answer = read_message(raw, (LastHeardAnswer,))
        except (NetError, Refused) as error:
            log.debug("%s did not say what it last heard: %s", peer, error)
            return
        if answer is not None:
            cloned = answer.cloned or (answer.incarnation or 0) > self._comeback.incarnation
            if cloned and self.told_by is None:
                log.warning("%s has heard two daemons speak as this peer", peer)
            self.told_by = peer if cloned else None
