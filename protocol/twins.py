"""Two daemons with one identity, told from their heartbeats, and from what they ask over connections of their own.

Gossip often reaches only one of the two: it keeps one stream a peer. So each names its start when it asks what was last
heard of it. Any of these is proof:

- two different heartbeats under one (incarnation, seq), since they are signed;
- heartbeats of an older start, never heard before, that were signed after a later start had begun to speak. One may have
  been long on its way, and a clock may have been set back between two starts; so it takes a few of them;
- a question of an older start, which cannot have been on its way: it came over a connection just now;
- questions of two starts with one number, told apart by what each has drawn at random: where both came up at once, neither
  had heard of the other.

Two different statements of holdings under one (epoch, seq) are found where holdings are kept (`protocol.holdings`).
"""

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from protocol.beat import SignedBeat
from protocol.identity import PeerId

STRIKES: Final = 3
REMEMBERED: Final = 16
"""Heartbeats of one peer kept to compare with: more than a minute's. Guess."""
STARTS: Final = 8
"""Starts of one peer kept apart; each comes with a signature of that peer, so it only blinds itself by more. Guess."""


@dataclass(slots=True)
class _Start:
    """One incarnation: its highest seq, when its first heartbeat heard here was signed by its own clock, its drawn bytes."""

    seq: int
    first_ms: int
    drawn: bytes | None = None


@dataclass(slots=True)
class _Speaker:
    said: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)
    starts: dict[int, _Start] = field(default_factory=dict)
    strikes: int = 0


class Twins:
    """What is remembered of everybody's heartbeats."""

    def __init__(self) -> None:
        self._speakers: dict[PeerId, _Speaker] = {}

    def on_beat(self, signed: SignedBeat) -> bool:
        """Take any heartbeat of a member, its signature checked, new or not; True where it proves a second daemon."""
        speaker = self._speakers.setdefault(signed.sender, _Speaker())
        contradicts = _contradicts(speaker, signed)
        outlives = _outlives(speaker, signed)
        if outlives:
            speaker.strikes += 1
        if speaker.strikes < STRIKES and not contradicts:
            return False
        speaker.strikes = 0
        return True

    def on_word(self, peer: PeerId, incarnation: int, clock_ms: int, drawn: bytes | None = None) -> bool:
        """A start asks over a connection that proves who it is; True where it proves a second daemon.

        Args:
            drawn: what this start has drawn at random, if it says so.
        """
        starts = self._speakers.setdefault(peer, _Speaker()).starts
        proof = clock_ms > _spoken_since(starts, incarnation)
        _begin(starts, incarnation, _Start(-1, clock_ms))
        start = starts.get(incarnation)
        if start is not None and drawn is not None:
            proof = proof or start.drawn not in (None, drawn)
            start.drawn = drawn
        return proof

    def newest_start(self, peer: PeerId) -> int | None:
        """The highest incarnation that has been heard or has asked."""
        speaker = self._speakers.get(peer)
        return max(speaker.starts, default=None) if speaker is not None else None

    def keep_only(self, peers: frozenset[PeerId]) -> None:
        """Forget everybody else."""
        for peer in self._speakers.keys() - peers:
            del self._speakers[peer]


def _contradicts(speaker: _Speaker, signed: SignedBeat) -> bool:
    digest = hashlib.sha256(signed.raw).digest()
    known = speaker.said.setdefault(signed.beat.order, digest)
    if len(speaker.said) > REMEMBERED:
        speaker.said.popitem(last=False)
    return known != digest


def _outlives(speaker: _Speaker, signed: SignedBeat) -> bool:
    """Note the heartbeat; tell whether an older start speaks anew."""
    beat, starts = signed.beat, speaker.starts
    start = starts.get(beat.incarnation)
    unheard = start is None or beat.seq > start.seq
    proof = unheard and beat.clock_ms > _spoken_since(starts, beat.incarnation)
    if start is None:
        _begin(starts, beat.incarnation, _Start(beat.seq, beat.clock_ms))
    elif unheard:
        start.seq = beat.seq
    return proof


def _spoken_since(starts: dict[int, _Start], incarnation: int) -> float:
    """Return since when, by its own clock, a later start has spoken; never, if none has."""
    return max((start.first_ms for number, start in starts.items() if number > incarnation), default=math.inf)


def _begin(starts: dict[int, _Start], incarnation: int, start: _Start) -> None:
    starts.setdefault(incarnation, start)
    if len(starts) > STARTS:
        del starts[min(starts)]
