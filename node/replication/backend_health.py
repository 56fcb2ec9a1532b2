"""Whether the disk under the blocks still gives back what it was given; what it does not is advertised no more.

A probe every few seconds looks at some blocks. A folder or mount that went away, or a file that is missing, has every
file looked for; a disk that reads nothing at all has everything retracted. `Retracting` then says so to the swarm. A disk
that turned read-only keeps what it has, and is given nothing more: no root is to wait for a copy that cannot be made.

Source: DESIGN §7, invariant 9.
"""

import logging
from collections.abc import Callable

import trio

from node.kinds import EMBEDDED
from node.replication.retracting import Retracting
from node.swarm.knowledge import Knowledge
from store.condition import Probe
from store.errors import StoreError
from store.store import Store

log = logging.getLogger("pinakothek.retraction")

LOOK_S = 15.0
"""A third of the minute that invariant 9 gives, with time left to find all that is gone and to say so."""


class BackendHealth:
    """Probes one peer's store.

    Args:
        on_refusal: nothing should be given to this store for a while, and why.
        on_unreadable: there is something for `Retracting`.

    Attributes:
        trouble: what is wrong with the disk, or "".
    """

    def __init__(
        self,
        store: Store,
        knowledge: Knowledge,
        retracting: Retracting,
        *,
        on_refusal: Callable[[str], None],
        on_unreadable: Callable[[], None],
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._retracting = retracting
        self._on_refusal = on_refusal
        self._on_unreadable = on_unreadable
        self.trouble = ""

    async def work(self) -> float:
        """Probe once; the seconds until the next. Raises: StoreError: the catalogue cannot be asked, or written."""
        before, self.trouble = self.trouble, await self._look()
        if self.trouble:
            self._on_refusal(self.trouble)
        if self.trouble != before:
            self._knowledge.events.tell("disk", detail=self.trouble or "the disk is well again")
            log.warning("the disk: %s", self.trouble or "well again")
        return LOOK_S

    async def _look(self) -> str:
        try:
            probe = await trio.to_thread.run_sync(self._store.condition.probe)
            if probe.dead:  # once more before everything is given up for it
                probe = await trio.to_thread.run_sync(self._store.condition.probe)
        except StoreError as error:
            return str(error)
        if probe.dead:
            return await self._give_up()
        if probe.unreadable:
            await trio.to_thread.run_sync(self._store.condition.condemn, probe.unreadable)
            self._on_unreadable()
        trouble = await self._find_lost(probe) if probe.lost else ""
        return trouble or ("the disk is read-only" if probe.read_only else "")

    async def _give_up(self) -> str:
        here = [element.root for element in self._knowledge.own.here if element.kind == EMBEDDED]
        await self._retracting.retract(here, "the disk reads nothing")
        return "no block can be read"

    async def _find_lost(self, probe: Probe) -> str:
        lost = await trio.to_thread.run_sync(self._store.condition.find_lost)
        if lost:
            log.warning("%d blocks are no longer on the disk", lost)
        self._on_unreadable()
        if probe.present:
            return ""
        try:
            restored = await trio.to_thread.run_sync(self._store.condition.restore_folders)
        except OSError as error:
            return f"the folder of blocks went away: {error.strerror or error}"
        return "" if restored else "the disk that blocks/ was on went away"
