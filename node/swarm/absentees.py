"""Peers that are not there, kept over a restart: what each last said of itself, and what it then held.

Without it a peer that restarts takes the images of who is away for missing, and copies them for nothing.

1. Once a peer falls silent, or says that it will be away, its last heartbeat is written down, and its holdings if they
   have changed since they were last. Of who is there nothing is written: it speaks for itself.
2. At a start that is taken in again before anything is planned. It makes nobody alive: silence begins with the start,
   and ends as usual with the peer's return or in its being down; an absence that it asked for lasts as long as it would
   have, and who was down is down.
3. Once a peer is back its heartbeat is deleted. Its holdings stay, for the next time that it falls silent with them.

Nothing is kept of a peer that was cloned: it counts as no replica, and nobody would know any more.
"""

import logging
import math
from pathlib import Path
from typing import Final

import trio

from node.events import wall_ms
from node.swarm import last_words
from node.swarm.knowledge import Knowledge
from node.swarm.last_words import BEAT, SET, LastWords
from protocol.beat import SignedBeat
from protocol.holdings import ElementSet
from protocol.membership import Peer

log = logging.getLogger("pinakothek.swarm")

LOOK_S: Final = 5.0
"""A look costs a glance at every member, and nothing while none is absent that was not before."""
ELEMENT_BYTES: Final = 42
"""Of an element in the file: a CID of 36 bytes as DAG-CBOR has it."""
SET_EVERY_S: Final = 60.0
"""A peer that comes and goes with another set each time costs no more than one writing of it in so long."""
ALL_BYTES: Final = 256 << 20
"""All sets together: guess, six million roots; those that find no room are not kept."""


class Absentees:
    """Writes down what they said, and takes it in again.

    Args:
        data_dir: where it is kept, in a folder of its own.
    """

    def __init__(self, data_dir: Path, knowledge: Knowledge) -> None:
        self._folder = data_dir / last_words.FOLDER
        self._knowledge = knowledge
        self._beats: dict[str, object] = {}  # what of the heartbeat is written down
        self._sets: dict[str, tuple[int, int] | None] = {}  # (epoch, seq) of the set that is, None if not known
        self._set_bytes: dict[str, int] = {}
        self._set_at_s: dict[str, float] = {}
        self._turn = trio.Lock()

    # at a start

    async def recall(self) -> None:
        """Take in what was kept; call it once it is known who is a member, and before anything is planned."""
        try:
            beats = await trio.to_thread.run_sync(last_words.kept, self._folder, BEAT)
            self._set_bytes = await trio.to_thread.run_sync(last_words.kept, self._folder, SET)
        except OSError as error:
            log.warning("%s is not readable: what absent peers said is forgotten: %s", self._folder, error)
            return
        self._beats, self._sets = dict.fromkeys(beats), dict.fromkeys(self._set_bytes)
        for peer in beats:
            if self._is_member(peer):
                words = await trio.to_thread.run_sync(last_words.load, self._folder, peer)
                if words is not None:
                    self._take(peer, words)

    def _is_member(self, peer_id: str) -> bool:
        peer = self._knowledge.membership.get(peer_id)
        return peer is not None and peer.standing.member

    def _take(self, peer: str, words: LastWords) -> None:
        # A clock that was put back since makes an absence no longer than it was announced.
        silent_before_s = max(0, wall_ms() - words.at_ms) / 1000
        stated = None
        if words.stated is not None:
            self._sets[peer] = words.stated.summary.order
            stated = words.stated.summary, words.stated.raw, words.stated.held
        self._beats[peer] = words.signed.beat.order, words.was_down
        self._knowledge.recall(words.signed, silent_before_s, stated, was_down=words.was_down)

    # while it runs

    async def work(self) -> float:
        """Write down who has gone, forget who is back; the seconds until the next look. Raises: OSError."""
        async with self._turn:
            for peer_id, peer in list(self._knowledge.membership.peers().items()):
                if not peer.standing.member or self._knowledge.book.of(peer_id).cloned:
                    await self._forget(peer_id)
                elif (signed := peer.last or peer.recalled) is not None:
                    await (self._keep(peer, signed) if self._is_absent(peer) else self._welcome(peer_id))
        return LOOK_S

    @staticmethod
    def _is_absent(peer: Peer) -> bool:
        return peer.sees != "alive" or peer.state(trio.current_time()) == "away"

    async def _keep(self, peer: Peer, signed: SignedBeat) -> None:
        """The set before the heartbeat: with that alone a peer would seem to hold what nobody knows."""
        beat = signed.beat
        is_there, is_down = peer.sees == "alive", peer.sees == "down"
        said = (beat.incarnation, beat.away_until_ms) if is_there else (beat.order, is_down)
        told = self._beats.get(peer.peer_id) == said
        if not (told and is_there):
            await self._keep_set(peer.peer_id)
        if not told:
            silent_s = peer.silent_s(trio.current_time()) + peer.silent_before_s
            at_ms = wall_ms() - int(silent_s * 1000)
            await trio.to_thread.run_sync(last_words.save_beat, self._folder, peer.peer_id, signed.raw, at_ms, is_down)
            self._beats[peer.peer_id] = said

    async def _keep_set(self, peer: str) -> None:
        known = self._knowledge.stated_of(peer)
        if known is None or known[0] == self._sets.get(peer):
            return
        order, statement, held = known
        now_s = trio.current_time()
        if not self._has_room(peer, held) or now_s < self._set_at_s.get(peer, -math.inf) + SET_EVERY_S:
            return
        self._set_at_s[peer] = now_s
        elements = list(held.elements)
        self._set_bytes[peer] = await trio.to_thread.run_sync(
            last_words.save_set, self._folder, peer, statement, elements
        )
        self._sets[peer] = order

    def _has_room(self, peer: str, held: ElementSet) -> bool:
        size_bytes = ELEMENT_BYTES * len(held.elements)
        others_bytes = sum(size for other, size in self._set_bytes.items() if other != peer)
        return size_bytes <= last_words.SET_BYTES and others_bytes + size_bytes <= ALL_BYTES

    async def _welcome(self, peer: str) -> None:
        if peer in self._beats:
            await trio.to_thread.run_sync(last_words.forget, self._folder, peer, BEAT)
            del self._beats[peer]

    async def _forget(self, peer: str) -> None:
        if peer in self._beats or peer in self._sets:
            await trio.to_thread.run_sync(last_words.forget, self._folder, peer, BEAT, SET)
            self._beats.pop(peer, None)
            self._sets.pop(peer, None)
            self._set_bytes.pop(peer, None)
