"""Images whose pins others cut short: they do not count any more, and stay here for as long as a removal lies in the trash.

Nobody can tell whether whoever did it was right: a curator who lies or whose clock is wrong, a charter that is forked, a
role that ended with a record which came before those that were signed anew because of it. What was a mistake can be
pinned again meanwhile; what a steward purges goes at once.
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Final

import trio

from node.events import wall_ms
from node.swarm.knowledge import Knowledge
from node.swarm.set_aside import SetAside
from protocol.life import cut_short, ends_ms
from protocol.limits import MS_PER_DAY
from protocol.record_view import RecordView
from protocol.records import Pin, Record, Signed
from protocol.touch import Aside
from store.cid import cid_text

log = logging.getLogger("pinakothek.swarm")

LEAST_DAYS: Final = 30
"""Where the trash is emptied sooner than a person comes by."""
AT_ONCE: Final = 2000
"""Pins looked at between two turns of other tasks: some 10 ms."""
TOLD_EACH: Final = 100
"""Events of one batch; `records/` has all of them."""
RECORDS_EACH: Final = 8
"""Of one root: it is kept for one as well as for all, and a curator may have any pin name one root after another. Those of
pins that would have ended soon count only until one comes by which it is kept for longer. Guess."""
SLACK_MS: Final = MS_PER_DAY
"""Longer by less is as long: there is one more a day at most. Guess."""


class Sparing:
    """Of one peer, and what it holds.

    Args:
        is_recovering: this peer does not know yet what it holds.
    """

    def __init__(
        self, knowledge: Knowledge, aside: SetAside, *, is_recovering: Callable[[], bool] = lambda: False
    ) -> None:
        self._knowledge = knowledge
        self._aside = aside
        self._is_recovering = is_recovering
        knowledge.records.on_replaced = self.spare

    async def spare(self, replaced: Sequence[Signed[Record]]) -> None:
        """Put aside those pins that were cut short and whose roots are here, and what the disk refused before.

        Raises:
            StoreError: it refuses; they are put aside in memory, and what counts instead must not be written either.
        """
        membership = self._knowledge.membership
        now_ms, (_, latest_ms) = membership.swarm_ms(wall_ms()), membership.span_ms(wall_ms())
        asides, untils = [], dict[bytes, list[int]]()
        wanted = WantedUntil(self._knowledge.records.counting)
        for number, before in enumerate(replaced):
            if number % AT_ONCE == AT_ONCE - 1:  # all that a curator ever pinned may be cut short by one expulsion
                await trio.lowlevel.checkpoint()
                wanted = WantedUntil(self._knowledge.records.counting)
            if (aside := self._aside_of(before, now_ms, latest_ms, wanted, untils)) is not None:
                asides.append(aside)
        if asides:
            self._tell_of(asides)
        await self._aside.put(asides, latest_ms, self._days)

    @property
    def _days(self) -> int:
        return max(self._knowledge.records.counting.trash_days, LEAST_DAYS)

    def _aside_of(
        self,
        before: Signed[Record],
        now_ms: int,
        latest_ms: int,
        wanted: "WantedUntil",
        untils: dict[bytes, list[int]],
    ) -> Aside | None:
        """What is to be put aside of a pin that counts no longer; None where its root is not here, or wanted all the same.

        Args:
            latest_ms: that it may be, where clocks differ.
            untils: of each root, until when it will be kept for what is put aside with this one; takes in this one.
        """
        counting, pin = self._knowledge.records.counting, before.record
        if not isinstance(pin, Pin) or not (self._knowledge.own.kinds_of(pin.root) or self._is_recovering()):
            return None
        now = counting.get(before.key)
        why = cut_short(pin, None if now is None else now.record, counting.trash_days, now_ms)
        if not why:
            return None
        would_end_ms = ends_ms(pin, counting.trash_days)
        until_ms = latest_ms + self._days * MS_PER_DAY
        until_ms = until_ms if would_end_ms is None else min(until_ms, would_end_ms)
        together = untils.setdefault(pin.root, [])
        if wanted(pin.root, until_ms) or _is_enough([*self._aside.untils_of(pin.root), *together], until_ms):
            return None
        together.append(until_ms)
        return Aside(before, why, deleted=True, ends_ms=would_end_ms)

    def _tell_of(self, asides: Sequence[Aside]) -> None:
        log.warning("%d pins were cut short; their images are kept for now: %s", len(asides), asides[0].reason)
        for aside in asides[:TOLD_EACH]:
            assert isinstance(aside.signed.record, Pin)
            self._knowledge.events.tell(
                "put_aside", root=cid_text(aside.signed.record.root), peer_id=aside.signed.author, detail=aside.reason
            )


def _is_enough(untils: Sequence[int | None], until_ms: int) -> bool:
    """Whether enough is put aside already for a root to be kept about so long."""
    return len(untils) >= RECORDS_EACH and any(each is None or each > until_ms - SLACK_MS for each in untils)


class WantedUntil:
    """Whether live pins want a root so long as it would be kept for what was put aside; None: whether they do at all.

    All pins of a root are looked at once, as there may be any number of them: good until others have had their turn.
    """

    def __init__(self, counting: RecordView) -> None:
        self._counting = counting
        self._until_ms: dict[bytes, float] = {}

    def __call__(self, root: bytes, until_ms: int | None) -> bool:
        latest_ms = self._until_ms.get(root)
        if latest_ms is None:
            latest_ms = self._until_ms[root] = self._latest_ms(root)
        return latest_ms >= (0 if until_ms is None else until_ms)

    def _latest_ms(self, root: bytes) -> float:
        """When the last of its pins ends; below any time where there is none."""
        pins, days = self._counting.live_pins(root), self._counting.trash_days
        ends = (ends_ms(signed.record, days) for signed in pins)
        return max((math.inf if end is None else end for end in ends), default=-math.inf)
