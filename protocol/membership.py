"""Who is there: every member's state as this peer sees it, from heartbeats and silence alone.

Liveness never uses a sender's clock: a heartbeat counts if its (incarnation, seq) is new, timed on our own monotonic
clock. If our own loop stood still, everybody was silent to us; then every silence begins anew and nothing is planned
for a while. Pure: `now_s` is monotonic seconds, `wall_ms` wall-clock milliseconds, both given.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from protocol.beat import Beat, SignedBeat
from protocol.clock_check import ClockVerdict, judge_clock
from protocol.identity import PeerId
from protocol.limits import (
    AWAY_S_MAX,
    BEAT_MEMBERS_PER_S,
    BEAT_S,
    FREEZE_S,
    RECOVERING_S,
    REPAIR_AFTER_S,
    SUSPECT_AFTER_S,
    SUSPECT_BEATS,
)
from protocol.roles import Standing

Sees = Literal["alive", "suspect", "down", "left", "expelled"]
State = Literal["alive", "suspect", "away", "recovering", "draining", "leaving", "down", "left", "expelled"]
_OWN_WORDS: Final[dict[str, State]] = {"draining": "draining", "leaving": "leaving", "recovering": "recovering"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A peer is seen in another state than before.

    Attributes:
        peer: who.
        before: None when the peer has just become known.
        sees: the new state.
        reason: one line for log and `events`.
    """

    peer: PeerId
    before: Sees | None
    sees: Sees
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restated:
    """A peer says something new that placement, dialling or people look at."""

    peer: PeerId


@dataclass(frozen=True, slots=True, kw_only=True)
class Froze:
    """Our own loop stood still; every silence begins anew."""

    stood_s: float


Event = Seen | Restated | Froze


@dataclass(slots=True, kw_only=True)
class Peer:
    """What is known of one peer; read it, `Membership` writes it.

    Attributes:
        sees: its state in our eyes.
        standing: its roles by the records.
        last: its last heartbeat that counted, None if there was none since our start.
        heard_s: when that was, or when its silence began anew.
        recalled: its last heartbeat before our start, where that was kept and none has come since.
        silent_before_s: how long ago that was at our start, by our wall clock; for people to read.
        away_until_s: until when it has asked to be excused.
        recovering_since_s: since when it has beaten without holdings.
        offset_ms: its wall clock less ours when last heard.
    """

    peer_id: PeerId
    sees: Sees
    standing: Standing
    heard_s: float
    last: SignedBeat | None = None
    recalled: SignedBeat | None = None
    silent_before_s: float = 0.0
    away_until_s: float | None = None
    recovering_since_s: float | None = None
    offset_ms: int | None = None

    @property
    def beat(self) -> Beat | None:
        signed = self.last or self.recalled
        return None if signed is None else signed.beat

    def state(self, now_s: float) -> State:
        """Return the state that placement and plan go by: what we see, or its own word where that says more."""
        if self.sees in ("left", "expelled", "down") or self.beat is None:
            return self.sees
        if self.recovering_since_s is not None and now_s - self.recovering_since_s >= RECOVERING_S:
            return "down"
        if self.away_until_s is not None and now_s < self.away_until_s:
            return "away"
        return _OWN_WORDS.get(self.beat.state, self.sees)

    def silent_s(self, now_s: float) -> float:
        return max(0.0, now_s - self.heard_s)


class Membership:
    """Everyone but this peer.

    Args:
        me: this peer.
        now_s: monotonic seconds at start; call `tick` at least every second from then on.
        suspect_after_s, repair_after_s: silence that makes a peer suspect, and down.
        beat_s: heartbeat interval in a small swarm.
        heard: (incarnation, seq) of each peer's last heartbeat, as kept over a restart, so that none is replayed.
    """

    def __init__(
        self,
        me: PeerId,
        now_s: float,
        *,
        suspect_after_s: float = SUSPECT_AFTER_S,
        repair_after_s: float = REPAIR_AFTER_S,
        beat_s: float = BEAT_S,
        heard: Mapping[PeerId, tuple[int, int]] | None = None,
    ) -> None:
        self.me = me
        self._suspect_after_s = suspect_after_s
        self._repair_after_s = repair_after_s
        self._beat_s = beat_s
        self._peers: dict[PeerId, Peer] = {}
        self._orders: dict[PeerId, tuple[int, int]] = dict(heard or {})
        self._now_s = now_s
        self._members = 1
        self.plans_blocked_until_s = now_s + self.suspect_after_s

    # -- timing -------------------------------------------------------------------------------------------------

    @property
    def beat_interval_s(self) -> float:
        """How often every member beats."""
        return max(self._beat_s, self._members / BEAT_MEMBERS_PER_S)

    @property
    def suspect_after_s(self) -> float:
        """Silence that makes a peer suspect: never less than a few beats."""
        return max(self._suspect_after_s, SUSPECT_BEATS * self.beat_interval_s)

    @property
    def repair_after_s(self) -> float:
        """Silence that makes a peer down."""
        return max(self._repair_after_s, self.suspect_after_s)

    # -- events -------------------------------------------------------------------------------------------------

    def set_standings(self, standings: Mapping[PeerId, Standing], now_s: float) -> tuple[Event, ...]:
        """Take over who belongs (`RecordSet.standings`), after every change of roles."""
        events = list(self._notice_freeze(now_s))
        for peer_id in self._peers.keys() - standings.keys():
            del self._peers[peer_id]
        self._members = 1 + sum(1 for peer, standing in standings.items() if peer != self.me and standing.member)
        for peer_id, standing in standings.items():
            if peer_id == self.me:
                continue
            peer = self._peers.get(peer_id)
            if peer is None:
                peer = Peer(peer_id=peer_id, sees="suspect", standing=standing, heard_s=now_s)
                self._peers[peer_id] = peer
                if standing.member:
                    events.append(Seen(peer=peer_id, before=None, sees="suspect", reason="not heard yet"))
            else:
                changed = peer.standing != standing
                peer.standing = standing
                if changed and standing.member:
                    events.append(Restated(peer=peer_id))
            events += self._look(peer, now_s)
        return tuple(events)

    def is_new(self, signed: SignedBeat) -> bool:
        """Tell whether a heartbeat counts and is worth passing on: a member's, and newer than its last."""
        peer = self._peers.get(signed.sender)
        known = self._orders.get(signed.sender, (-1, -1))
        return peer is not None and peer.standing.member and signed.beat.order > known

    def on_beat(self, signed: SignedBeat, now_s: float, wall_ms: int) -> tuple[Event, ...]:
        """Take a heartbeat whose signature has been checked; one that does not count changes nothing."""
        events = list(self._notice_freeze(now_s))
        if not self.is_new(signed):
            return tuple(events)
        beat, peer = signed.beat, self._peers[signed.sender]
        self._orders[signed.sender] = beat.order
        before = peer.beat
        peer.last, peer.heard_s, peer.offset_ms = signed, now_s, beat.clock_ms - wall_ms
        peer.recalled, peer.silent_before_s = None, 0.0
        peer.away_until_s = _away_until_s(beat, now_s)
        if beat.state != "recovering" and beat.holdings is not None:
            peer.recovering_since_s = None
        elif peer.recovering_since_s is None:
            peer.recovering_since_s = now_s
        if before is None or _slow_facts(before) != _slow_facts(beat):
            events.append(Restated(peer=peer.peer_id))
        return (*events, *self._look(peer, now_s))

    def recall(self, signed: SignedBeat, silent_before_s: float, now_s: float, *, was_down: bool) -> tuple[Event, ...]:
        """Take a heartbeat from before our own start, its signature checked: what it says holds on, and nobody is alive by it.

        The peer's silence begins with our start, when nobody can have heard it before; one that was down while we
        listened still is. An absence that it asked for ends when it would have.

        Args:
            silent_before_s: how long ago it was heard.
            was_down: it was seen so before our start.
        """
        peer = self._peers.get(signed.sender)
        known = self._orders.get(signed.sender, (-1, -1))
        if peer is None or not peer.standing.member or peer.last is not None or signed.beat.incarnation < known[0]:
            return ()
        self._orders[signed.sender] = max(known, signed.beat.order)
        heard_s = now_s - silent_before_s
        peer.recalled, peer.silent_before_s = signed, silent_before_s
        peer.away_until_s = _away_until_s(signed.beat, heard_s)
        if signed.beat.state == "recovering" or signed.beat.holdings is None:
            peer.recovering_since_s = heard_s
        if was_down:
            peer.heard_s = now_s - self.repair_after_s
            peer.away_until_s, peer.silent_before_s = None, max(0.0, silent_before_s - self.repair_after_s)
        return (Restated(peer=peer.peer_id), *self._look(peer, now_s))

    def tick(self, now_s: float) -> tuple[Event, ...]:
        """Let silence act."""
        events = list(self._notice_freeze(now_s))
        quiet_s = self.suspect_after_s
        for peer in self._peers.values():
            if peer.sees != "alive" or now_s - peer.heard_s >= quiet_s:  # every second, and most are well
                events += self._look(peer, now_s)
        return tuple(events)

    def _notice_freeze(self, now_s: float) -> Iterable[Event]:
        stood_s, self._now_s = now_s - self._now_s, now_s
        if stood_s <= FREEZE_S:
            return ()
        for peer in self._peers.values():
            if peer.sees != "down":
                peer.heard_s = now_s
        self.plans_blocked_until_s = max(self.plans_blocked_until_s, now_s + self.suspect_after_s)
        return (Froze(stood_s=stood_s),)

    def _look(self, peer: Peer, now_s: float) -> tuple[Event, ...]:
        sees, reason = self._judge(peer, now_s)
        before, peer.sees = peer.sees, sees
        if sees == before:
            return ()
        return (Seen(peer=peer.peer_id, before=before, sees=sees, reason=reason),)

    def _judge(self, peer: Peer, now_s: float) -> tuple[Sees, str]:
        if peer.standing.expelled:
            return "expelled", "a steward expelled it"
        if not peer.standing.member:
            return "left", "it has left" if peer.standing.left else "it stores and curates nothing"
        silent_s = peer.silent_s(now_s)
        excused_s = 0.0 if peer.away_until_s is None else max(0.0, min(now_s, peer.away_until_s) - peer.heard_s)
        if silent_s - excused_s >= self.repair_after_s:
            return "down", f"silent for {silent_s:.0f} s"
        if peer.last is None:
            return "suspect", "not heard yet"
        if silent_s >= self.suspect_after_s:
            return "suspect", f"silent for {silent_s:.0f} s"
        return "alive", "heard"

    # -- looking ------------------------------------------------------------------------------------------------

    def peers(self) -> Mapping[PeerId, Peer]:
        """Return everyone known but this peer, those that left or were expelled included; read only."""
        return self._peers

    def get(self, peer_id: str) -> Peer | None:
        return self._peers.get(PeerId(peer_id))

    def is_awaited(self, peer_id: str, now_s: float) -> bool:
        """Tell whether a member is not heard yet only because our start, or its admission, was a moment ago."""
        peer = self.get(peer_id)
        if peer is None or peer.last is not None or peer.sees != "suspect":
            return False
        return peer.silent_s(now_s) < self.suspect_after_s

    def orders(self) -> Mapping[PeerId, tuple[int, int]]:
        """Return the (incarnation, seq) last heard of each peer, to be kept over a restart."""
        return self._orders

    def may_plan(self, now_s: float) -> bool:
        """Tell whether enough has been heard since our own start or freeze to act on silence."""
        return now_s >= self.plans_blocked_until_s

    def clock(self) -> ClockVerdict:
        """Compare our wall clock with that of the peers that are alive."""
        offsets = (peer.offset_ms for peer in self._peers.values() if peer.sees == "alive")
        return judge_clock([offset for offset in offsets if offset is not None])

    def swarm_ms(self, wall_ms: int) -> int:
        """Return our wall-clock time, or where our clock is wrong the others' median."""
        clock = self.clock()
        return wall_ms - (clock.ahead_ms or 0) if clock.wrong else wall_ms

    def span_ms(self, wall_ms: int) -> tuple[int, int]:
        """Return the earliest and the latest that it may be: by our clock and the others' median, whichever is wrong."""
        others_ms = wall_ms - (self.clock().ahead_ms or 0)
        return min(wall_ms, others_ms), max(wall_ms, others_ms)


def _away_until_s(beat: Beat, heard_s: float) -> float | None:
    """Turn a time on the sender's clock into one on ours, by how far ahead of the heartbeat it lies."""
    if beat.state != "away" or beat.away_until_ms is None:
        return None
    return heard_s + min(max(0.0, (beat.away_until_ms - beat.clock_ms) / 1000), AWAY_S_MAX)


def _slow_facts(beat: Beat) -> tuple[object, ...]:
    """Return what a heartbeat says that does not change from one to the next in quiet times."""
    return (
        beat.incarnation,
        beat.state,
        beat.name,
        beat.zone,
        beat.capacity_bytes,
        beat.backends,
        beat.addrs,
        frozenset(beat.links),
        beat.version,
    )
