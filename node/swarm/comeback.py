"""Coming back after a start: what others have last heard of this peer decides how it numbers what it says from now on.

1. Up to three members are asked; the first answer, or some seconds without one, lets this peer speak.
2. Its incarnation becomes one more than the highest stored or heard of.
3. Where others know more of its holdings than the store does, the catalogue is new or an old one was put back: a new
   epoch begins, above the one that they know, and this peer is recovering (`node.replication.recovering`).

Who answers may lie: a number that would use up what the wire can carry is not believed.
"""

import logging
import random
from collections.abc import Callable

import trio

from node.swarm.knowledge import Knowledge
from node.swarm.names import SYNC
from protocol.beat import COUNT_MAX
from protocol.errors import Refused
from protocol.holdings_messages import Element, LastHeardAnswer, LastHeardAsk
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError
from protocol.net.rpc import Rpc
from store.errors import StoreError
from store.store import Store

log = logging.getLogger("pinakothek.swarm")

INCARNATION_FACT = "incarnation"
ASKED = 3
ASK_TIMEOUT_S = 3.0
PATIENCE_S = 4.0
"""How long the first heartbeat waits for an answer: with nobody to answer there is nobody to hear it either. Guess."""
LOOK_S = 0.2
BELIEVED = COUNT_MAX // 2


class Comeback:
    """One start of this peer.

    Args:
        reachable: members that are connected.
        incarnation: of this start, as far as the store knows.

    Attributes:
        may_speak: set once heartbeats and changes of the holdings may go out.
    """

    def __init__(
        self,
        rpc: Rpc,
        store: Store,
        knowledge: Knowledge,
        *,
        reachable: Callable[[], frozenset[str]],
        incarnation: int,
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._knowledge = knowledge
        self._reachable = reachable
        self.incarnation = incarnation
        self.may_speak = trio.Event()

    async def run(self) -> None:
        """Ask until somebody has answered; a sole member asks nobody, nor does who is none."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._lose_patience)
            while self._has_fellows():
                reachable = sorted(self._reachable())
                if reachable and await self._ask_some(random.sample(reachable, min(ASKED, len(reachable)))):
                    break
                await trio.sleep(LOOK_S)
            self.may_speak.set()
            nursery.cancel_scope.cancel()

    def _has_fellows(self) -> bool:
        """Whether there is anybody to ask: members answer members only."""
        members = set(self._knowledge.records.counting.members())
        return self._knowledge.me in members and len(members) > 1

    async def _lose_patience(self) -> None:
        await trio.sleep(PATIENCE_S)
        self.may_speak.set()

    async def _ask_some(self, peers: list[str]) -> bool:
        answered = False

        async def ask(peer: str) -> None:
            nonlocal answered
            try:
                raw = await self._rpc.call(peer, SYNC, write_message(LastHeardAsk()), ASK_TIMEOUT_S)
                answer = read_message(raw, (LastHeardAnswer,))
            except (NetError, Refused) as error:
                log.debug("%s did not say what it last heard: %s", peer, error)
                return
            if answer is not None:
                await self.take(answer)
                answered = True
                self.may_speak.set()

        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(ask, peer)
        return answered

    async def take(self, answer: LastHeardAnswer) -> None:
        """Go on from what somebody has last heard, where that is ahead of what this peer knows of itself."""
        heard = answer.incarnation if answer.incarnation is not None else -1
        if self.incarnation <= heard <= BELIEVED and not (heard == self.incarnation and self.may_speak.is_set()):
            self.incarnation = heard + 1
            await self._write_down()
        order = (answer.epoch or 0, answer.seq or 0)
        if order > self._knowledge.own.order and order[0] <= BELIEVED:
            await self._begin_epoch(order[0] + 1)

    async def _write_down(self) -> None:
        try:
            await trio.to_thread.run_sync(self._store.set_fact, INCARNATION_FACT, str(self.incarnation).encode())
        except StoreError as error:
            log.warning("this start's number is not on disk: %s", error)

    async def vouch(self) -> int:
        """The operator says that this daemon is the one that stays, and that what it holds is what there is.

        It numbers itself above all that others have heard, and has recovered.

        Returns:
            The epoch that it begins.

        Raises:
            StoreError: the disk refuses one.
        """
        await self._ask_some(sorted(self._reachable() - {self._knowledge.me}))
        self.incarnation += 1
        await self._write_down()
        if self._store.rebuilt:
            await trio.to_thread.run_sync(self._store.finish_recovery)
        return await self._number(self._knowledge.own.epoch + 1)

    async def _begin_epoch(self, at_least: int) -> None:
        try:
            # Before the epoch: a crash in between must not leave this peer believing that it knows its promises.
            await trio.to_thread.run_sync(self._store.begin_recovery)
            epoch = await self._number(at_least)
        except StoreError as error:
            log.warning("others know newer holdings of this peer, and the disk refuses a new epoch: %s", error)
            return
        log.info("others know newer holdings of this peer: epoch %d begins", epoch)

    async def _number(self, at_least: int) -> int:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._store.new_epoch, at_least)
            state, held = await trio.to_thread.run_sync(self._store.holdings_at)
            self._knowledge.own.begin(state.epoch, state.seq, [Element(root, kind) for root, kind in held])
        return state.epoch
