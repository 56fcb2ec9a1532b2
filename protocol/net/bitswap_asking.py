"""Decide which source to ask for which block: the mind of a Bitswap session.

Pure: time comes in, and `plan` returns what to send. Every source is believed to hold everything until it says otherwise,
so blocks are asked for outright (no HAVE round first), and a refusal or silence moves a block on.

* A window in bytes bounds what is asked for and not yet taken by the caller. How large the next blocks are is unknown,
  so they are taken to be as large as the largest lately.
* Sources share the window in proportion to their measured speed. Once nothing is left to ask for, an idle source is
  also asked for what a slower one has owed longest, so that one slow peer does not hold up the end.
* A source silent for half of `stall_timeout_s` is asked again, once, and after all of it dropped, with its reason.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_IN_FLIGHT = 128
"""Blocks asked for at once in one session: bounds what a DAG of unexpectedly large blocks can pile up."""
FIRST_GUESS_BYTES = 256 << 10
"""Block size assumed before one was seen. Source: Kubo's default chunk."""
LEAST_GUESS_BYTES = 64 << 10
GUESS_DECAY = 0.9
"""How fast a large block is forgotten, per block received. Guess."""
SECOND_ASK_AFTER_S = 2.0
"""A block owed for this long may be asked of an idle source too. Guess."""
SPEED_MEMORY_S = 2.0
"""Speeds are averages over about this long. Guess."""
OWN_PAUSE_S = 5.0
"""Planning is due twice a second; a longer pause was our own (SIGSTOP, suspend), and nobody is blamed for it."""
SCAN_COUNT = 512
"""Blocks looked through for one that a source has not refused, while others are in flight."""


class Ask(NamedTuple):
    """Send wants, or take wants back, at one source."""

    peer: str
    cids: list[bytes]
    cancel: bool = False


@dataclass(slots=True)
class _Source:
    in_flight: dict[bytes, float] = field(default_factory=dict)
    heard_s: float = 0.0
    is_reminded: bool = False
    counted_from_s: float = 0.0
    bytes: float = 0.0
    seconds: float = 0.0
    received_bytes: int = 0

    def speed(self) -> float | None:
        return self.bytes / self.seconds if self.seconds > 0.05 else None

    def hear(self, now_s: float) -> None:
        self.heard_s = now_s
        self.is_reminded = False

    def count(self, size_bytes: int, now_s: float) -> None:
        self.received_bytes += size_bytes
        self.bytes += size_bytes
        self.seconds += max(0.0, now_s - self.counted_from_s)
        self.counted_from_s = now_s
        if self.seconds > SPEED_MEMORY_S:
            self.bytes, self.seconds = self.bytes / 2, self.seconds / 2


@dataclass(slots=True)
class _Wanted:
    asked: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


class Asking:
    """The wants of one session and the sources they are spread over.

    Args:
        window_bytes: asked for or received, and not yet taken by the caller.
        stall_timeout_s: silence after which a source that owes us something is dropped.
    """

    def __init__(self, *, window_bytes: int, stall_timeout_s: float) -> None:
        self._window_bytes = window_bytes
        self._stall_timeout_s = stall_timeout_s
        self._wanted: dict[bytes, _Wanted] = {}
        self._unasked: dict[bytes, None] = {}
        self._exhausted: dict[bytes, None] = {}
        self._sources: dict[str, _Source] = {}
        self._guess_bytes = float(FIRST_GUESS_BYTES)
        self._planned_s: float | None = None
        self.held_bytes = 0
        """Received, and not yet taken by the caller."""
        self.dropped: dict[str, str] = {}
        """Sources given up, with the reason."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is wanted any more."""
        return not self._wanted

    @property
    def sources(self) -> frozenset[str]:
        """The sources still in use."""
        return frozenset(self._sources)

    @property
    def received_bytes(self) -> dict[str, int]:
        """Bytes of blocks received from each source in use."""
        return {peer: source.received_bytes for peer, source in self._sources.items()}

    def missing(self) -> list[bytes]:
        """Every wanted block, once no source is left that might have any of them; else nothing."""
        return list(self._exhausted) if len(self._exhausted) == len(self._wanted) else []

    def reasons(self) -> dict[str, str]:
        """For each source, why it did not deliver what is `missing`."""
        refused = {
            peer: f"does not have {count} of them"
            for peer in self._sources
            if (count := sum(peer in self._wanted[cid].refused for cid in self._exhausted))
        }
        return {**refused, **self.dropped}

    def is_wanted(self, cid: bytes) -> bool:
        """Whether a block with this CID would be taken."""
        return cid in self._wanted

    def owes(self, peer: str, cid: bytes) -> bool:
        """Whether `peer` was asked for the block and has not answered."""
        return peer in self._sources and cid in self._sources[peer].in_flight

    def in_flight(self) -> dict[str, list[bytes]]:
        """What each source owes: to be taken back when the session ends early, asked again when a stream broke."""
        return {peer: list(source.in_flight) for peer, source in self._sources.items() if source.in_flight}

    def want(self, cids: Iterable[bytes]) -> None:
        """Add blocks; those wanted already are ignored."""
        for cid in cids:
            if cid not in self._wanted:
                self._wanted[cid] = _Wanted()
                self._queue(cid)

    def add_source(self, peer: str, now_s: float) -> None:
        """Use `peer` too, from now on. One that was dropped gets a new chance."""
        if peer in self._sources:
            return
        self.dropped.pop(peer, None)
        self._sources[peer] = _Source(heard_s=now_s, counted_from_s=now_s)
        for wanted in self._wanted.values():
            wanted.refused.discard(peer)
        self._unasked.update(self._exhausted)
        self._exhausted.clear()

    def drop_source(self, peer: str, reason: str) -> None:
        """Ask `peer` no more; what it owes is asked of others."""
        source = self._sources.pop(peer, None)
        if source is None:
            return
        self.dropped[peer] = reason
        for cid in source.in_flight:
            self._unask(cid, peer)
        for cid in list(self._unasked):
            self._queue(cid)

    def refuse(self, peer: str, cids: Iterable[bytes], now_s: float) -> None:
        """`peer` said DONT_HAVE."""
        source = self._sources.get(peer)
        if source is None:
            return
        for cid in cids:
            if source.in_flight.pop(cid, None) is not None:
                source.hear(now_s)
                self._wanted[cid].refused.add(peer)
                self._unask(cid, peer)

    def receive(self, peer: str, cid: bytes, size_bytes: int, now_s: float) -> list[Ask] | None:
        """Count a block that came from `peer`, asked or not.

        Returns:
            Wants to take back from others, or None when the block is not wanted.
        """
        wanted = self._wanted.pop(cid, None)
        if wanted is None:
            return None
        self._unasked.pop(cid, None)
        self._exhausted.pop(cid, None)
        self.held_bytes += size_bytes
        self._guess_bytes = max(size_bytes, LEAST_GUESS_BYTES, self._guess_bytes * GUESS_DECAY)
        if source := self._sources.get(peer):
            source.hear(now_s)
            source.count(size_bytes, now_s)
        for asked in wanted.asked:
            self._sources[asked].in_flight.pop(cid, None)
        return [Ask(asked, [cid], cancel=True) for asked in wanted.asked if asked != peer]

    def taken(self, size_bytes: int) -> None:
        """The caller has taken a block."""
        self.held_bytes -= size_bytes

    def plan(self, now_s: float) -> list[Ask]:
        """Decide what to ask now; to be called after every change and twice a second."""
        asks = list(self._mind_silence(now_s))
        flying = sum(len(source.in_flight) for source in self._sources.values())
        room = self._most_in_flight() - flying
        if room > 0 and self._unasked:
            depths = self._depths()
            scarce = len(self._unasked) / sum(depths.values())
            for peer, depth in depths.items():
                source = self._sources[peer]
                spare = min(depth - len(source.in_flight), room)
                if spare > 0 and spare * 4 >= depth:
                    spare = min(spare, math.ceil(depth * scarce))
                    scan = SCAN_COUNT if flying else len(self._unasked)
                    if cids := self._pick(peer, spare, scan):
                        self._sent(source, peer, cids, now_s)
                        asks.append(Ask(peer, cids))
                        room -= len(cids)
        elif not self._unasked and flying:
            asks += self._second_asks(now_s)
        return asks

    def _most_in_flight(self) -> int:
        left = int((self._window_bytes - self.held_bytes) / self._guess_bytes)
        return min(MAX_IN_FLIGHT, max(left, 0 if self.held_bytes else 1))

    def _depths(self) -> dict[str, int]:
        """How many blocks each source may owe, the fastest first."""
        speeds = {peer: source.speed() for peer, source in self._sources.items()}
        known = [speed for speed in speeds.values() if speed is not None]
        typical = sum(known) / len(known) if known else 1.0
        shares = {peer: typical if speed is None else max(speed, typical / 64) for peer, speed in speeds.items()}
        total = sum(shares.values()) or 1.0
        most = min(MAX_IN_FLIGHT, max(1, int(self._window_bytes / self._guess_bytes)))
        return {peer: max(1, round(most * shares[peer] / total)) for peer in sorted(shares, key=lambda p: -shares[p])}

    def _pick(self, peer: str, count: int, scan: int) -> list[bytes]:
        candidates = itertools.islice(self._unasked, scan)
        return list(itertools.islice((c for c in candidates if peer not in self._wanted[c].refused), count))

    def _sent(self, source: _Source, peer: str, cids: Iterable[bytes], now_s: float) -> None:
        if not source.in_flight:
            source.hear(now_s)
            source.counted_from_s = now_s
        for cid in cids:
            self._unasked.pop(cid, None)
            source.in_flight[cid] = now_s
            self._wanted[cid].asked.add(peer)

    def _second_asks(self, now_s: float) -> Iterator[Ask]:
        owed = sorted(
            (asked_s, cid)
            for source in self._sources.values()
            for cid, asked_s in source.in_flight.items()
            if now_s - asked_s > SECOND_ASK_AFTER_S and len(self._wanted[cid].asked) == 1
        )
        for peer, source in self._sources.items():
            if source.in_flight or not owed:
                continue
            cids = [cid for _, cid in owed if peer not in self._wanted[cid].refused][:4]
            owed = [(asked_s, cid) for asked_s, cid in owed if cid not in cids]
            if cids:
                self._sent(source, peer, cids, now_s)
                yield Ask(peer, cids)

    def _mind_silence(self, now_s: float) -> Iterator[Ask]:
        if self._planned_s is not None and now_s - self._planned_s > OWN_PAUSE_S:
            for source in self._sources.values():
                source.hear(now_s)
        self._planned_s = now_s
        for peer, source in list(self._sources.items()):
            silent_s = now_s - source.heard_s if source.in_flight else 0
            if silent_s > self._stall_timeout_s:
                self.drop_source(peer, f"silent for {self._stall_timeout_s:g} s")
            elif silent_s > self._stall_timeout_s / 2 and not source.is_reminded:
                source.is_reminded = True
                yield Ask(peer, list(source.in_flight))

    def _unask(self, cid: bytes, peer: str) -> None:
        wanted = self._wanted[cid]
        wanted.asked.discard(peer)
        if not wanted.asked:
            self._queue(cid)

    def _queue(self, cid: bytes) -> None:
        """Put a block nobody owes us among those to ask for, or among those nobody is left to ask for."""
        if self._sources.keys() <= self._wanted[cid].refused:
            self._unasked.pop(cid, None)
            self._exhausted[cid] = None
        else:
            self._unasked[cid] = None
