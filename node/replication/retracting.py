"""A root with a block that cannot be read is no copy: it is retracted, and fetched again like any other.

What is left of it is kept for that fetch, so only what is bad crosses the wire, and nothing good is lost where this was
the only copy. While a retraction cannot be written down this peer does not beat: it is as good as dead to the others.

Source: DESIGN §7, invariant 9: a peer stops advertising what it cannot read, within a minute.
"""

import logging
from collections.abc import Iterable, Sequence

import trio

from node.kinds import EMBEDDED, KINDS
from node.quantities import plural
from node.swarm.knowledge import Knowledge
from store.cid import cid_text
from store.errors import StoreError
from store.store import Holding, Store

log = logging.getLogger("pinakothek.retraction")

LOOK_S = 20.0
HEALING_LOOK_S = 2.0
AT_ONCE = 500
"""Roots of one transaction."""
LOGGED = 20
"""Roots named in the log one by one; of more only the number is told."""


class Retracting:
    """Looks for such roots on one peer.

    Attributes:
        overdue: there is something to retract and the disk refuses: nothing may be advertised.
        retracted: roots retracted since the start.
        healed: blocks that were bad and are good again.
    """

    def __init__(self, store: Store, knowledge: Knowledge) -> None:
        self._store = store
        self._knowledge = knowledge
        self._waiting: dict[bytes, set[bytes]] = {}
        self.overdue = False
        self.retracted = 0
        self.healed = 0

    async def work(self) -> float:
        """Retract what cannot be read; the seconds until the next look. Raises: StoreError."""
        self._notice_healed()
        for kind in KINDS:
            await self._retract_bad(kind)
        return HEALING_LOOK_S if self._waiting else LOOK_S

    async def _retract_bad(self, kind: str) -> None:
        missing = await trio.to_thread.run_sync(self._missing, kind)
        bad_of: dict[bytes, set[bytes]] = {}
        for cid, roots in missing:
            for root in roots:
                bad_of.setdefault(root, set()).add(cid)
        await self.retract(bad_of, "a block of it cannot be read", kind)
        for root, cids in bad_of.items():
            self._waiting.setdefault(root, set()).update(cids)

    def _missing(self, kind: str) -> Sequence[tuple[bytes, Sequence[bytes]]]:
        return self._store.missing() if kind == EMBEDDED else self._store.kinds.missing(kind)

    async def retract(self, roots: Iterable[bytes], why: str, kind: str = EMBEDDED) -> None:
        """Say of these roots that they are no longer held on a kind. Raises: StoreError: the disk refuses."""
        held = [root for root in dict.fromkeys(roots) if self._knowledge.own.holds(root, kind)]
        try:
            for start in range(0, len(held), AT_ONCE):
                with trio.CancelScope(shield=True):
                    chunk = held[start : start + AT_ONCE]
                    for holding in await trio.to_thread.run_sync(self._store.retract, chunk, kind):
                        self._tell(holding, why, aloud=len(held) <= LOGGED)
        except StoreError:
            self.overdue = True
            raise
        self.overdue = False
        if len(held) > LOGGED:
            log.warning("%d roots are no longer held: %s", len(held), why)

    def _tell(self, holding: Holding, why: str, *, aloud: bool) -> None:
        self._knowledge.holding_changed(holding, False)
        self.retracted += 1
        self._knowledge.events.tell("retracted", root=cid_text(holding.root), detail=why)
        if aloud:
            log.warning("%s is no longer held: %s", cid_text(holding.root), why)

    def _notice_healed(self) -> None:
        for root in list(self._waiting):
            if self._knowledge.own.kinds_of(root):
                blocks = len(self._waiting.pop(root))
                self.healed += blocks
                what = f"{plural(blocks, 'block')} {'is' if blocks == 1 else 'are'} good again"
                self._knowledge.events.tell("healed", root=cid_text(root), detail=what)
                log.info("%s is held again: %d bad blocks were fetched anew", cid_text(root), blocks)
            elif self._knowledge.records.counting.wanted(root) is None:
                del self._waiting[root]
