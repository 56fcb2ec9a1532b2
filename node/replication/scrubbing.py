"""Hash every block anew, a little at a time, so that rot is found while other copies are good.

A pass takes about `PERIOD_S` at most, whatever is stored; it goes on after a restart where it was. What is bad is put in
quarantine, its roots are retracted, and fetched again.

Source: DESIGN §7, scrub: every block within 30 days.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

import trio

from node.events import wall_ms
from node.swarm.knowledge import Knowledge
from store.cid import cid_text
from store.scrub import ScrubResult
from store.store import Store

log = logging.getLogger("pinakothek.scrub")

PERIOD_S = 25 * 86_400.0
"""Of a whole pass: 30 days less what a machine is off or busy. Guess."""
CHUNK_BYTES = 4 << 20
"""Of one unit: some ten milliseconds of a thread."""
LONGEST_PAUSE_S = 3600.0
"""However little is stored: a peer that runs for some hours a day comes to the end, too."""
FIRST_PAUSE_S = 120.0
WHOLE_CHUNK_BYTES = 64 << 20
HEAL_TIMEOUT_S = 60.0
HEAL_LOOK_S = 0.2
FACT = "scrub"


@dataclass(slots=True)
class Scrubbed:
    """Blocks looked at, those that were bad, those of them that are good again, and how long it took."""

    blocks: int = 0
    bad: int = 0
    healed: int = 0
    seconds: float = 0.0


class Scrubbing:
    """Scrubs one peer's store.

    Args:
        on_unreadable: there is something for `Retracting`.

    Attributes:
        counts: since the start; `healed` stays 0 here, `Retracting` counts it.
        completed_ms: when a pass was last completed, wall clock; None before the first.
    """

    def __init__(self, store: Store, knowledge: Knowledge, *, on_unreadable: Callable[[], None]) -> None:
        self._store = store
        self._knowledge = knowledge
        self._on_unreadable = on_unreadable
        self._turn = trio.Lock()
        self._begun = False
        self.counts = Scrubbed()
        saved = store.fact(FACT)
        self.completed_ms: int | None = json.loads(saved)["completed_ms"] if saved else None

    async def work(self) -> float:
        """One unit; the seconds until the next. Raises: StoreError."""
        if not self._begun:
            self._begun = True
            return FIRST_PAUSE_S
        async with self._turn:
            await self._scrub(CHUNK_BYTES, anew=False)
        used_bytes = await trio.to_thread.run_sync(self._store.used_bytes_everywhere)
        return pause_s(used_bytes)

    async def scrub_all(self) -> Scrubbed:
        """Hash everything now, and wait for what was bad to be fetched anew where somebody has it. Raises: StoreError."""
        began_s = trio.current_time()
        found = Scrubbed()
        bad: list[bytes] = []
        async with self._turn:
            anew, finished = True, False
            while not finished:
                result = await self._scrub(WHOLE_CHUNK_BYTES, anew=anew)
                anew, finished = False, result.finished
                found.blocks += result.blocks_checked
                bad += result.bad
        found.bad = len(set(bad))
        found.healed = await self._until_healed(set(bad))
        found.seconds = round(trio.current_time() - began_s, 3)
        return found

    async def _scrub(self, max_bytes: int, *, anew: bool) -> ScrubResult:
        result = await trio.to_thread.run_sync(lambda: self._store.scrub(max_bytes, anew=anew))
        given_up = result.bad
        if result.unreadable:
            given_up += await trio.to_thread.run_sync(self._store.condition.condemn, result.unreadable)
        self.counts.blocks += result.blocks_checked
        self.counts.bad += len(given_up)
        self.counts.seconds += result.seconds
        for cid in given_up:
            log.warning("block %s is bad", cid_text(cid))
        if given_up:
            self._on_unreadable()
        if result.finished:
            self.completed_ms = wall_ms()
            fact = json.dumps({"completed_ms": self.completed_ms}).encode()
            await trio.to_thread.run_sync(self._store.set_fact, FACT, fact)
        return ScrubResult(
            result.blocks_checked, result.bytes_checked, given_up, result.unreadable, result.seconds, result.finished
        )

    async def _until_healed(self, bad: set[bytes]) -> int:
        """How many of these blocks are good again; a peer that is alone does not wait for that."""
        healed = await self._count_here(bad)
        end_s = trio.current_time() + (HEAL_TIMEOUT_S if self._has_company() else 0)
        while healed < len(bad) and trio.current_time() < end_s:
            await trio.sleep(HEAL_LOOK_S)
            healed = await self._count_here(bad)
        return healed

    async def _count_here(self, cids: set[bytes]) -> int:
        return await trio.to_thread.run_sync(lambda: sum(map(self._store.has, cids))) if cids else 0

    def _has_company(self) -> bool:
        return any(peer.sees == "alive" for peer in self._knowledge.membership.peers().values())


def pause_s(used_bytes: int) -> float:
    """Between two units, so that a pass over `used_bytes` takes `PERIOD_S`."""
    return min(LONGEST_PAUSE_S, PERIOD_S * CHUNK_BYTES / max(used_bytes, 1))
