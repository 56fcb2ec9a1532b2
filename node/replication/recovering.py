"""After the catalogue was made anew, or an old one put back: hold again what is whole, catch up with the members, then let things go again.

Until then this peer beats without holdings, and neither releases, deletes nor leases: it cannot know what it promised.
It is over once it has synced with a majority of the members heard from in the last 30 days, and has asked its backends.
A peer that knows of none stays recovering until its operator says `doctor --accept`.

Source: DESIGN §8, crash safety.
"""

import logging
from collections.abc import Callable

import trio

from node.kinds import EMBEDDED
from node.offering import Offering
from node.swarm.catching_up import CatchingUp
from node.swarm.knowledge import Knowledge
from node.swarm.set_aside import SetAside
from store.cid import cid_text
from store.dag import walk
from store.errors import BackendFailed, StoreError
from store.store import Holding, Store

log = logging.getLogger("pinakothek.recovery")

LOOK_S = 1.0
IDLE_S = 5.0
BACKENDS_PATIENCE_S = 600.0
"""How long it waits for backends that do not answer: then it goes on without them. Guess."""


class Recovering:
    """The way back of one peer.

    Args:
        lately_heard: the members that were heard from in the last 30 days: it takes a majority of these.
        on_over: called when everything is as before.
    """

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        catching_up: CatchingUp,
        offering: Offering,
        aside: SetAside,
        *,
        lately_heard: Callable[[], set[str]],
        on_over: Callable[[], None],
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._catching_up = catching_up
        self._offering = offering
        self._aside = aside
        self._lately_heard = lately_heard
        self._on_over = on_over
        self._looked_at: dict[str, set[bytes]] = {}
        self._was = store.rebuilt
        self._begun_s: float | None = None

    def reason(self) -> str:
        """Why nothing may be let go or promised, or ""."""
        return "this peer's catalogue was made anew or is an old one; it is recovering" if self._store.rebuilt else ""

    async def work(self) -> float:
        """Go on with it; the seconds until there may be more to do. Raises: StoreError."""
        if self._store.rebuilt:
            self._was = True
            if self._begun_s is None:
                self._begun_s = trio.current_time()
            reached, caught_up = (
                self._all_reached(),
                self._caught_up(),
            )  # before: what comes meanwhile is not looked at yet
            await self._hold_what_is_whole()
            if not caught_up or not (reached or trio.current_time() > self._begun_s + BACKENDS_PATIENCE_S):
                self._catching_up.trigger.ask_anyone()
                return LOOK_S
            await trio.to_thread.run_sync(self._store.finish_recovery)
        if self._was:
            self._was, self._begun_s = False, None
            self._looked_at.clear()
            log.info("recovered: %d roots are held again", len(self._knowledge.own.here))
            self._on_over()
        return IDLE_S

    def _caught_up(self) -> bool:
        others = self._lately_heard() - {self._knowledge.me}
        return bool(others) and 2 * len(self._catching_up.synced_with & others) > len(others)

    def _all_reached(self) -> bool:
        """Whether every backend has been asked: what lies there alone must not be taken for lost."""
        return not any(place.trouble for place in self._offering.places.values())

    async def _hold_what_is_whole(self) -> None:
        """Every root wanted, or kept for records put aside, whose blocks are all here, whoever placement names for it."""
        for kind in dict.fromkeys((EMBEDDED, *self._offering.kinds)):
            looked_at = self._looked_at.setdefault(kind, set())
            for root in [*self._knowledge.records.counting.roots(), *self._aside.roots]:
                if root in looked_at:
                    continue
                looked_at.add(root)
                if self._knowledge.own.holds(root, kind):
                    continue
                try:
                    holding = await trio.to_thread.run_sync(self._hold, root, kind)
                except BackendFailed as error:  # it says nothing of the root
                    looked_at.discard(root)
                    log.warning("nothing more is held again on %s for now: %s", kind, error)
                    break
                if holding is not None:
                    self._knowledge.holding_changed(holding, True)

    def _hold(self, root: bytes, kind: str) -> Holding | None:
        try:
            if kind != EMBEDDED:
                return self._store.kinds.adopt(root, kind)
            blocks = list(walk(root, self._store.reader(EMBEDDED)))
        except BackendFailed:
            raise
        except StoreError as error:
            log.info("not held again on %s: %s: %s", kind, cid_text(root), error)
            return None
        size_bytes = sum(block.size_bytes for block in blocks)
        return self._store.hold(root, kind=kind, blocks=[b.cid for b in blocks], size_bytes=size_bytes, frm=None)
