"""What was let go on a backend is erased there once every peer that shares the store has said that it does not claim it.

The embedded store is nobody else's and looks after itself. A bucket, a Kubo or a directory may be shared: whoever has
ever announced its store id is asked for each root, and who cannot be asked keeps everything.

Source: DESIGN §8, backend contract.
"""

import json
import logging
import random
from collections.abc import Callable, Container

import trio

from node.events import wall_ms
from node.offering import Offering
from node.replication.view import RootKey
from node.swarm.knowledge import Knowledge
from node.swarm.names import REPLICA
from protocol.claim_messages import ClaimAnswer, ClaimAsk
from protocol.errors import Refused
from protocol.messages import read_message, write_message
from protocol.net.errors import NetError
from protocol.net.rpc import Rpc
from store.cid import cid_text
from store.clock import steady_s
from store.errors import StoreError
from store.store import Store

log = logging.getLogger("pinakothek.claims")

LOOK_S = 60.0
AT_ONCE = 500
"""Roots of one look, any of those that may go: the rest is looked at later."""
ASK_TIMEOUT_S = 10.0
FACT = "shares/"


class Claims:
    """Both sides, for one peer.

    Args:
        busy: whether a copy of a root on a kind is being made here, or waits to be.
        has_all: whether a root has all copies on a kind that it should have, by the last plan.
        blocked: why nothing may be concluded from what is known now, or None.
        set_aside: unwanted roots that are kept all the same.
    """

    def __init__(
        self,
        rpc: Rpc,
        store: Store,
        knowledge: Knowledge,
        offering: Offering,
        *,
        busy: Callable[[RootKey], bool],
        has_all: Callable[[RootKey], bool],
        blocked: Callable[[], str | None],
        set_aside: Container[bytes] = (),
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._knowledge = knowledge
        self._offering = offering
        self._busy = busy
        self._has_all = has_all
        self._blocked = blocked
        self._set_aside = set_aside
        self._promising = trio.CapacityLimiter(1)
        self._sharers: dict[str, set[str]] = {
            name.removeprefix(FACT): set(json.loads(fact)) for name, fact in store.facts(FACT).items()
        }

    async def answer(self, ask: ClaimAsk) -> ClaimAnswer:
        """Answer a peer that wants to erase a root in a store that this one may share.

        A peer that has lost its catalogue knows neither what it holds nor, before it has asked, which store it has. Who
        claims nothing puts nothing there for some minutes: an image may be added again while it is being erased.

        Raises:
            StoreError: the disk refuses to keep that; the asker is told nothing.
        """
        known_id = self._offering.store_id(ask.kind)
        unsure = self._store.rebuilt or (not known_id and ask.kind in self._offering.places)
        shared = unsure or known_id == ask.store_id
        if not shared:
            return ClaimAnswer(free=True)
        if unsure or self._claims(RootKey(ask.root, ask.kind)):
            return ClaimAnswer(free=False)
        promise = self._store.kinds.promise
        return ClaimAnswer(free=await trio.to_thread.run_sync(promise, ask.root, ask.kind, limiter=self._promising))

    async def work(self) -> float:
        """Erase what nobody claims; the seconds until the next look. Raises: StoreError: the catalogue refuses."""
        await self._note_sharers()
        if not self._offering.places or self._blocked() is not None:
            return LOOK_S
        departed = await trio.to_thread.run_sync(self._store.kinds.departed, wall_ms())
        silent: set[str] = set()
        # Not the first ones: what has to stay for now must not be all that is ever looked at.
        for root, kind in random.sample(departed, min(AT_ONCE, len(departed))):
            store_id, begun_s = self._offering.store_id(kind), steady_s()
            if kind in self._offering.kinds and await self._is_free(RootKey(root, kind), store_id, silent):
                await self._erase(root, kind, store_id, begun_s)
        return LOOK_S

    def _claims(self, key: RootKey) -> bool:
        """Whether this peer holds the root, makes a copy of it, or may be about to: a live pin wants it on that kind."""
        wanted = self._knowledge.records.counting.wanted(key.root)
        is_wanted = wanted is not None and key.kind in wanted.kinds
        return is_wanted or self._busy(key) or self._knowledge.own.holds(key.root, key.kind)

    def _is_needed(self, root: bytes) -> bool:
        """Whether what lies here may be all that is left of a root: its backend was away, or a block of it was lost."""
        wanted = self._knowledge.records.counting.wanted(root)
        if wanted is None:
            return root in self._set_aside
        return not any(self._has_all(RootKey(root, kind)) for kind in wanted.kinds)

    async def _is_free(self, key: RootKey, store_id: str, silent: set[str]) -> bool:
        """Whether nobody who shares the store claims it. `silent`: who did not answer in this look, and is not asked again."""
        if self._is_needed(key.root) or self._is_held_who_knows_where(key):
            return False
        others = self._members_of(self._sharers.get(store_id, set()))
        if not others:  # the store is this peer's alone: what is wanted here but not held may go, and come again
            return not self._busy(key) and not self._knowledge.own.holds(key.root, key.kind)
        if self._claims(key) or not silent.isdisjoint(others):
            return False
        ask = write_message(ClaimAsk(root=key.root, kind=key.kind, store_id=store_id))
        for peer in others:
            try:
                answer = read_message(await self._rpc.call(peer, REPLICA, ask, ASK_TIMEOUT_S), (ClaimAnswer,))
            except (NetError, Refused) as error:
                log.debug("%s does not say whether it claims %s: %s", peer, cid_text(key.root), error)
                silent.add(peer)
                return False
            if answer is None or not answer.free:
                return False
        return not self._claims(key)

    def _is_held_who_knows_where(self, key: RootKey) -> bool:
        """Whether a member holds it on this kind that has not said yet in which store, as who went before our start."""
        membership = self._knowledge.membership
        holders = self._members_of(set(self._knowledge.holders(*key)) - {self._knowledge.me})
        return any((peer := membership.get(holder)) is None or peer.beat is None for holder in holders)

    async def _erase(self, root: bytes, kind: str, store_id: str, begun_s: float) -> None:
        try:
            if await trio.to_thread.run_sync(self._store.kinds.erase, root, kind, store_id, begun_s):
                log.debug("erased %s on %s", cid_text(root), kind)
        except StoreError as error:  # what is left of it stays named
            log.info("%s is not erased on %s yet: %s", cid_text(root), kind, error)

    def _members_of(self, peers: set[str]) -> list[str]:
        return sorted(peer for peer in peers if self._knowledge.records.counting.is_member(peer))

    async def _note_sharers(self) -> None:
        """Remember who announces one of this peer's stores: it may be away when it is to be asked."""
        ids = {self._offering.store_id(kind) for kind in self._offering.places} - {""}
        for peer_id, peer in self._knowledge.membership.peers().items():
            for report in peer.beat.backends if peer.beat is not None else ():
                known = self._sharers.setdefault(report.store_id, set()) if report.store_id in ids else {peer_id}
                if peer_id not in known:
                    known.add(peer_id)
                    fact = json.dumps(sorted(known)).encode()
                    await trio.to_thread.run_sync(self._store.set_fact, FACT + report.store_id, fact)
