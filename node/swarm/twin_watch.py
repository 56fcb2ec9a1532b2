"""Whether another daemon speaks as this peer: what it says does not reach this one, so members are asked in turn.

Each question names this start, so that a member whom gossip connects with the other one learns of this one. What a single
member says is shown, not acted on: it may lie.
"""

import logging
import secrets
from collections.abc import Callable

from node.events import wall_ms
from node.swarm.comeback import Comeback
from node.swarm.knowledge import Knowledge
from node.swarm.names import SYNC
from protocol.errors import Refused
from protocol.holdings_messages import START_BYTES, LastHeardAnswer, LastHeardAsk
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError
from protocol.net.rpc import Rpc

log = logging.getLogger("pinakothek.swarm")

ASK_EVERY_S = 10.0
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
        self._last = ""
        self._start = secrets.token_bytes(START_BYTES)

    async def work(self) -> float:
        """Ask the next one, once this peer has begun to speak."""
        reachable = sorted(self._reachable() - {self._knowledge.me})
        belongs = self._knowledge.records.counting.is_member(self._knowledge.me)
        if reachable and belongs and self._comeback.may_speak.is_set():
            self._last = next((peer for peer in reachable if peer > self._last), reachable[0])
            await self._ask(self._last)
        return ASK_EVERY_S

    async def _ask(self, peer: str) -> None:
        ask = LastHeardAsk(incarnation=self._comeback.incarnation, clock_ms=wall_ms(), start=self._start)
        try:
            raw = await self._rpc.call(peer, SYNC, write_message(ask), TIMEOUT_S)
            answer = read_message(raw, (LastHeardAnswer,))
        except (NetError, Refused) as error:
            log.debug("%s did not say what it last heard: %s", peer, error)
            return
        if answer is not None:
            cloned = answer.cloned or (answer.incarnation or 0) > self._comeback.incarnation
            if cloned and self.told_by is None:
                log.warning("%s has heard two daemons speak as this peer", peer)
            self.told_by = peer if cloned else None
