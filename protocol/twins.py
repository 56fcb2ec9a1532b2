"""Two daemons with one identity, told from their heartbeats alone: what no single daemon says.

Either of these is proof, whoever passed it on, since each is signed:

- two different heartbeats under one (incarnation, seq);
- heartbeats of an older start, never heard before, that were signed after a later start had begun to speak. One may have
  been long on its way, and a clock may have been set back between two starts; so it takes a few of them.

Two different statements of holdings under one (epoch, seq) are found where holdings are kept (`protocol.holdings`).
"""

import hashlib
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
    """One incarnation: its highest seq, and when its first heartbeat heard here was signed by its own clock."""

    seq: int
    first_ms: int


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
    later = [other.first_ms for incarnation, other in starts.items() if incarnation > beat.incarnation]
    if start is None:
        starts[beat.incarnation] = _Start(beat.seq, beat.clock_ms)
        if len(starts) > STARTS:
            del starts[min(starts)]
    elif unheard:
        start.seq = beat.seq
    return unheard and bool(later) and beat.clock_ms > max(later)
