"""Whether the backends beside the embedded store still answer; what lies on one that does not is advertised no more.

Each is asked every few seconds. One that fails twice in a row is offered no longer, and what was held on it retracted:
a peer whose bucket went away is as good as a dead peer for these roots. Once it answers again it is offered again, and
plans bring its roots back. Between two looks at all of them some roots are looked up by name, so that one that is gone
is found, too.

Source: DESIGN §7, invariant 9.
"""

import logging
import random
from collections.abc import Callable

import trio

from node.kinds import EMBEDDED
from node.offering import NOT_REACHED, Offering
from node.replication.retracting import Retracting
from node.swarm.knowledge import Knowledge
from store.cid import cid_text
from store.errors import NotInBackend, StoreError

log = logging.getLogger("pinakothek.backends")

LOOK_S = 10.0
PATIENCE_S = 12.0
"""Of one look; two failed ones and their pauses stay within the minute of invariant 9."""
LOOKED_UP = 4
"""Roots of each backend that are looked up by name at each look. Guess."""


class BackendsWatch:
    """Watches one peer's backends.

    Args:
        on_change: what this peer offers has changed.
    """

    def __init__(
        self,
        offering: Offering,
        knowledge: Knowledge,
        retracting: Retracting,
        *,
        on_change: Callable[[], None],
        chance: random.Random | None = None,
    ) -> None:
        self._offering = offering
        self._knowledge = knowledge
        self._retracting = retracting
        self._on_change = on_change
        self._chance = chance or random.SystemRandom()
        self._failed_once: set[str] = set()
        self._left: dict[str, list[bytes]] = {}
        self._begun = False

    async def work(self) -> float:
        """Look at each backend once; the seconds until the next. Raises: StoreError: the catalogue refuses."""
        if not self._begun:
            self._begun = True
            for kind in {element.kind for element in self._knowledge.own.here} - {EMBEDDED, *self._offering.places}:
                await self._give_up(kind, f"backend {kind} is not configured on this peer any more")
        async with trio.open_nursery() as nursery:
            for kind in self._offering.places:
                nursery.start_soon(self._look, kind)
        return LOOK_S

    async def _look(self, kind: str) -> None:
        place = self._offering.places[kind]
        before = place.trouble
        replaced = await self._offering.look(kind, PATIENCE_S)
        if replaced is not None:
            await self._give_up(kind, place.trouble)
            await self._offering.replace(kind, replaced)
        if place.trouble and before in ("", NOT_REACHED) and kind not in self._failed_once:
            self._failed_once.add(kind)
            log.warning("backend %s: %s; it is asked once more", kind, place.trouble)
            place.trouble = before
            return
        self._failed_once.discard(kind)
        if place.trouble:
            self._offering.give_up(kind)
            await self._give_up(kind, f"backend {kind}: {place.trouble}")
        else:
            await self._look_some_up(kind)
        if bool(place.trouble) != bool(before) or replaced is not None:
            self._knowledge.events.tell("backend", detail=f"{kind}: {place.trouble or 'is well'}")
            log.log(
                logging.WARNING if place.trouble else logging.INFO, "backend %s: %s", kind, place.trouble or "is well"
            )
            self._on_change()

    async def _give_up(self, kind: str, why: str) -> None:
        if roots := list(self._knowledge.own.beside(kind)):
            await self._retracting.retract(roots, why, kind)

    async def _look_some_up(self, kind: str) -> None:
        """Look for the block that a root begins with; one that the backend does not have is held there no longer."""
        left = self._left.get(kind)
        if not left:
            left = self._left[kind] = list(self._knowledge.own.beside(kind))
            self._chance.shuffle(left)
        picked = [
            root
            for root in (left.pop() for _ in range(min(LOOKED_UP, len(left))))
            if self._knowledge.own.holds(root, kind)
        ]
        place = self._offering.places[kind]
        for root in picked:
            try:
                with trio.move_on_after(PATIENCE_S) as patience:
                    await trio.to_thread.run_sync(
                        place.bare.stat, root, cid_text(root), abandon_on_cancel=True, limiter=place.calls
                    )
                if patience.cancelled_caught:  # the next look says whether it is well
                    return
            except NotInBackend as error:
                await self._retracting.retract([root], str(error), kind)
            except StoreError as error:  # the next look says what is wrong with it
                log.info("backend %s: %s", kind, error)
                return
