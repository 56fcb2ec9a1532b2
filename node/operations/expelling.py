"""`expel`: a steward's word that a peer belongs no more, after its records were signed anew, so that no image goes with it.

1. The roots that it alone holds are named; while there are any, nothing is done without `force`.
2. What counts of its pins and flows, tombstones included, is signed by the steward with the old stamps, a batch at a time.
   The copies are told before the expulsion, so that no root is unwanted in between. After a crash the same command goes
   on where it stopped: a copy signed twice is the same bytes.
3. The expulsion.
"""

from collections.abc import Sequence

import trio

from node.errors import RefusedByPolicy
from node.governing import Expel, Expelled
from node.operations import policy
from node.operations.governing import steward_of
from node.operations.naming import name_of, peer_of
from node.parts import Parts
from node.quantities import plural
from protocol.admission import Expulsion
from protocol.holdings_messages import Element
from protocol.identity import KeyPair, PeerId
from protocol.records import Flow, Pin, Record, Signed, sign_record
from store.cid import cid_text

BATCH = 500
"""Records signed and written at a time: some 50 ms in a thread, one fsync. Guess."""
ROUNDS = 10
"""Whoever writes on and on is expelled all the same."""
LISTED = 20
"""Roots that a refusal lists; it says how many there are."""
AT_ONCE = 2000
"""Holdings, and records, looked at between two turns of other tasks: a few milliseconds."""
LIVE = frozenset({"alive", "away", "draining", "leaving", "recovering"})


class Expelling:
    """Expels peers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._records = parts.records.counting

    async def expel(self, request: Expel) -> Expelled:
        """See `Governing.expel`."""
        parts = self._parts
        policy.check_clock(parts)
        steward = steward_of(parts)
        peer = peer_of(parts, request.peer)
        name = name_of(parts, peer)
        self._check(peer, request.peer)
        sole = await self._sole_copies(peer)
        if sole and not request.force:
            raise RefusedByPolicy(
                f"{request.peer}: roots without another live copy: {len(sole)}",
                hint="wait until they are copied, or use --force: its copies stay to be fetched while it runs",
                candidates=[cid_text(root) for root in sole[:LISTED]],
            )
        dropped = len(await self._written_by(peer)) if request.drop_pins else 0
        resigned = 0 if request.drop_pins else await self._sign_anew(peer, steward.key)
        await parts.records.write_by(steward, Expulsion(peer=peer, reason=request.reason))
        parts.events.tell(
            "peer_expelled", peer_id=peer, detail=f"{name or peer}: {plural(resigned, 'record')} signed anew"
        )
        return Expelled(peer_id=peer, name=name, resigned=resigned, dropped=dropped, sole_copies=len(sole))

    def _check(self, peer: PeerId, word: str) -> None:
        standing = self._records.standing(peer)
        if standing is not None and standing.expelled:
            raise RefusedByPolicy(f"{word}: was expelled already")
        if peer == self._parts.key.peer_id:
            raise RefusedByPolicy(f"{word}: this peer does not expel itself", hint="another steward's peer can")
        if self._records.is_steward(peer):
            raise RefusedByPolicy(
                f"{word}: its key is a steward's, whose word counts whether it belongs or not",
                hint="`charter steward rm` first, with the recovery key",
            )

    async def _sign_anew(self, peer: PeerId, key: KeyPair) -> int:
        """Sign what counts of its records, and what comes of them while that goes on; return how many."""
        done: set[bytes] = set()
        for _ in range(ROUNDS):
            theirs = [signed for signed in await self._written_by(peer) if signed.digest not in done]
            if not theirs:
                break
            for start in range(0, len(theirs), BATCH):
                batch = theirs[start : start + BATCH]
                await self._parts.records.put(await trio.to_thread.run_sync(_signed_anew, batch, key))
            done.update(signed.digest for signed in theirs)
        return len(done)

    async def _written_by(self, peer: PeerId) -> list[Signed[Record]]:
        """What counts of its pins and flows."""
        keys, theirs = self._records.keys_by(peer), []
        for start in range(0, len(keys), AT_ONCE):
            counting = map(self._records.get, keys[start : start + AT_ONCE])
            theirs += [one for one in counting if one and one.author == peer and isinstance(one.record, Pin | Flow)]
            await trio.lowlevel.checkpoint()
        return theirs

    async def _sole_copies(self, peer: PeerId) -> list[bytes]:
        """Wanted roots that it says to hold and no other live peer does, in order."""
        elements = sorted(self._parts.knowledge.book.of(peer).held.elements)
        sole: list[bytes] = []
        for start in range(0, len(elements), AT_ONCE):
            live = self._live_but(peer)
            sole += [e.root for e in elements[start : start + AT_ONCE] if self._is_sole(e, live)]
            await trio.lowlevel.checkpoint()
        return sorted(set(sole))

    def _live_but(self, peer: PeerId) -> frozenset[str]:
        """Keepers whose copies count, without that peer; a suspect's may be gone."""
        peers = self._parts.controller.beliefs.view(()).peers.values()
        return frozenset(p.peer_id for p in peers if p.keeper and p.state in LIVE and p.peer_id != peer)

    def _is_sole(self, element: Element, live: frozenset[str]) -> bool:
        wanted = self._records.wanted(element.root)
        if wanted is None:
            return False
        if element.kind not in wanted.kinds:  # its flow is being moved, and this copy may be the one to move from
            return not self._parts.knowledge.holders_of_any(element.root) & live
        return not self._parts.knowledge.holders(element.root, element.kind) & live


def _signed_anew(theirs: Sequence[Signed[Record]], key: KeyPair) -> list[Signed[Record]]:
    return [sign_record(signed.record, key) for signed in theirs]
