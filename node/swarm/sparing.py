"""Images whose pins others cut short: they do not count any more, and stay here for as long as a removal lies in the trash.

Nobody can tell whether whoever did it was right: a curator who lies or whose clock is wrong, a charter that is forked, a
role that ended with a record which came before those that were signed anew because of it. What was a mistake can be
pinned again meanwhile; what a steward purges goes at once.
"""

import logging
from collections.abc import Sequence
from typing import Final

from node.events import wall_ms
from node.swarm.knowledge import Knowledge
from node.swarm.set_aside import SetAside
from protocol.life import cut_short
from protocol.records import Pin, Record, Signed
from protocol.touch import Aside
from store.cid import cid_text
from store.errors import StoreError

log = logging.getLogger("pinakothek.swarm")

LEAST_DAYS: Final = 30
"""Where the trash is emptied sooner than a person comes by."""
TOLD_EACH: Final = 100
"""Events of one batch; `records/` has all of them."""


class Sparing:
    """Of one peer, and what it holds."""

    def __init__(self, knowledge: Knowledge, aside: SetAside) -> None:
        self._knowledge = knowledge
        self._aside = aside
        knowledge.records.on_replaced = self.spare

    async def spare(self, replaced: Sequence[Signed[Record]]) -> None:
        """Put aside those pins that were cut short and whose roots are here; in memory even where the disk refuses."""
        counting, now_ms = self._knowledge.records.counting, wall_ms()
        asides = []
        for before in replaced:
            if not isinstance(before.record, Pin) or not self._knowledge.own.kinds_of(before.record.root):
                continue
            now = counting.get(before.key)
            why = cut_short(before.record, None if now is None else now.record, counting.trash_days, now_ms)
            if why:
                asides.append(Aside(before, why, deleted=True))
        if asides:
            self._tell_of(asides)
            try:
                await self._aside.put(asides, now_ms, max(counting.trash_days, LEAST_DAYS))
            except StoreError as error:
                log.warning("pins that were cut short are put aside, and not on disk: %s", error)

    def _tell_of(self, asides: Sequence[Aside]) -> None:
        log.warning("%d pins were cut short; their images are kept for now: %s", len(asides), asides[0].reason)
        for aside in asides[:TOLD_EACH]:
            assert isinstance(aside.signed.record, Pin)
            self._knowledge.events.tell(
                "put_aside", root=cid_text(aside.signed.record.root), peer_id=aside.signed.author, detail=aside.reason
            )
