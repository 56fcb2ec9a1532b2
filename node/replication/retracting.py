"""A root with a block that cannot be read is no copy: it is retracted, and fetched again like any other.

What is left of it is kept for that fetch, so only what is bad crosses the wire, and nothing good is lost where this was
the only copy.

Source: DESIGN §7, invariant 9: a peer stops advertising what it cannot read, within a minute.
"""

import logging

import trio

from node.events import Events
from node.swarm.knowledge import Knowledge
from store.cid import cid_text, inline_block
from store.dag import links
from store.errors import StoreError
from store.store import Owner, Store

log = logging.getLogger("pinakothek.retraction")

KIND = "ipfs"
LOOK_S = 20.0
BATCH_BYTES = 8 << 20


class Retracting:
    """Looks for such roots on one peer."""

    def __init__(self, store: Store, knowledge: Knowledge, events: Events) -> None:
        self._store = store
        self._knowledge = knowledge
        self._events = events

    async def work(self) -> float:
        """Retract what cannot be read; the seconds until the next look. Raises: StoreError."""
        missing = await trio.to_thread.run_sync(self._store.missing)
        for root in dict.fromkeys(root for _, roots in missing for root in roots):
            if self._knowledge.own.holds(root, KIND):
                await self._retract(root)
        return LOOK_S

    async def _retract(self, root: bytes) -> None:
        try:
            await trio.to_thread.run_sync(self._keep_the_rest, root)
        except StoreError:
            if self._knowledge.holders(root, KIND) <= {self._knowledge.me}:
                raise  # the last copy, bad as it is, keeps its blocks
        with trio.CancelScope(shield=True):
            holding = await trio.to_thread.run_sync(self._store.release, root, KIND)
            if holding is not None:
                self._knowledge.holding_changed(holding, False)
        self._events.tell("retracted", root=cid_text(root), detail="a block of it cannot be read")
        log.warning("%s is no longer held: a block of it cannot be read", cid_text(root))

    def _keep_the_rest(self, root: bytes) -> None:
        """Have what can be read owned by the fetch that will complete it (in a thread)."""
        owner = Owner("fetch", root)
        self._store.begin(owner)
        batch: list[tuple[bytes, bytes]] = []
        seen, waiting = {root}, [root]
        while waiting:
            cid = waiting.pop()
            try:
                block = self._store.get(cid)
                below = [link for link in links(cid, block) if link not in seen]
            except StoreError:
                continue
            seen.update(below)
            waiting += below
            if inline_block(cid) is None:
                batch.append((cid, block))
            if sum(len(block) for _, block in batch) >= BATCH_BYTES:
                self._store.put(batch, owner=owner, verified=True)
                batch = []
        if batch:
            self._store.put(batch, owner=owner, verified=True)
