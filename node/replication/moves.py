"""When a copy that is not missing may move: to spread zones, or because a peer holds too much or too little.

A *share* is the bytes that placement names a store for. Moves happen only outside a band around it, so that placement
and holdings may differ a little for ever instead of chasing each other.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from node.replication.placement import spread
from node.replication.view import RootKey
from node.replication.weighing import Level, Roster, Weighed, zone_use

BAND_PERCENT = 10
"""How far a store may be off its share before copies move. Source: DESIGN §7, invariant 3."""

MOVED_PER_DAY_PERCENT = 10
"""Of its capacity, what a peer fetches a day at most for moves: a newcomer is filled in ten days, and copies that nobody
misses never crowd out those that somebody does. Guess."""

_DAY_S = 86_400
_BURST_S = _DAY_S / 10

StoreKey = tuple[str, str]
"""(kind, slot id)."""


@dataclass(slots=True)
class Balance:
    """What every store should hold and does hold, in bytes of wanted roots."""

    shares: dict[StoreKey, int] = field(default_factory=dict)
    holdings: dict[StoreKey, int] = field(default_factory=dict)

    def copy(self) -> "Balance":
        """One to be changed while a pass plans its moves."""
        return Balance(dict(self.shares), dict(self.holdings))

    def under(self, store: StoreKey) -> bool:
        """Whether the store holds less than its share by more than the band."""
        return self.holdings.get(store, 0) * 100 < self.shares.get(store, 0) * (100 - BAND_PERCENT)

    def over(self, store: StoreKey) -> bool:
        """Whether the store holds more than its share by more than the band."""
        return self.holdings.get(store, 0) * 100 > self.shares.get(store, 0) * (100 + BAND_PERCENT)

    def move(self, size_bytes: int, frm: StoreKey, to: StoreKey) -> None:
        """Count a move that was planned, so that the next one is judged after it."""
        self.holdings[frm] = self.holdings.get(frm, 0) - size_bytes
        self.holdings[to] = self.holdings.get(to, 0) + size_bytes


class MoveBudget:
    """What moves may fetch here: so much a day, a tenth of a day's in one go. Source: DESIGN §7, invariant 3."""

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s - _BURST_S
        self._moving: dict[RootKey, int] = {}

    @property
    def moving(self) -> frozenset[RootKey]:
        """The moves that were begun."""
        return frozenset(self._moving)

    def left_bytes(self, capacity_bytes: int, now_s: float) -> int:
        """What may be begun now; below 0 while the last move was too large."""
        self._since_s = max(self._since_s, now_s - _BURST_S)
        return int((now_s - self._since_s) * _rate(capacity_bytes))

    def due_s(self) -> float:
        """When something may be begun again."""
        return self._since_s + 1

    def follow(self, moves: Mapping[RootKey, int], begun: Container[RootKey], capacity_bytes: int) -> None:
        """Charge the moves of a plan, with their sizes, that are new; forget those that are over."""
        for key in [key for key in self._moving if key not in moves and key not in begun]:
            del self._moving[key]
        for key, size_bytes in moves.items():
            if key not in self._moving:
                self._moving[key] = size_bytes
                self._since_s += size_bytes / _rate(capacity_bytes)


def _rate(capacity_bytes: int) -> float:
    return max(1, capacity_bytes) * MOVED_PER_DAY_PERCENT / 100 / _DAY_S


def balance_of(rosters: Mapping[str, Roster], weighed: Iterable[Weighed]) -> Balance:
    """Shares and holdings over `weighed`, which should be every root there is."""
    balance = Balance()
    shares = {kind: [0] * len(roster.slots) for kind, roster in rosters.items()}
    holdings = {kind: [0] * len(roster.slots) for kind, roster in rosters.items()}
    for one in weighed:
        size_bytes, kind = one.root.size_bytes, one.root.kind
        for slot in one.owners:
            shares[kind][slot] += size_bytes
        for slot in one.kept[: one.root.max]:
            holdings[kind][slot] += size_bytes
    for kind, roster in rosters.items():
        names = [(kind, slot.slot_id) for slot in roster.slots]
        balance.shares |= zip(names, shares[kind], strict=True)
        balance.holdings |= zip(names, holdings[kind], strict=True)
    return balance


def at_rest(one: Weighed) -> bool:
    """Whether the root has exactly what it wants, so that only a move is left to consider."""
    return not one.cautious and not one.missing and len(one.counted) == one.root.max and bool(one.lacking)


def spreader(roster: Roster, one: Weighed) -> int | None:
    """The owner that should fetch a root at rest because two of its copies share a zone and the owner's has none to spare."""
    use = zone_use(roster, one.counted)
    slot = one.lacking[0]
    if max(use.values()) < use.get(roster.zones[slot], 0) + 2 or roster.slot_levels[slot] != Level.ALIVE:
        return None
    return slot


def mover(roster: Roster, one: Weighed, balance: Balance) -> tuple[int, int] | None:
    """The owner that should take a root at rest over, and the store that could then let it go; None to leave it."""
    for slot in one.lacking:
        if roster.slot_levels[slot] != Level.ALIVE:
            continue
        victim = _relieved(roster, one, slot)
        if balance.under(store_key(roster, one, slot)) or balance.over(store_key(roster, one, victim)):
            return slot, victim
    return None


def store_key(roster: Roster, one: Weighed, slot: int) -> StoreKey:
    """The name of a slot in a `Balance`."""
    return one.root.kind, roster.slots[slot].slot_id


def _relieved(roster: Roster, one: Weighed, taker: int) -> int:
    """Who would come last, were there one more copy on `taker`."""
    here = [slot for slot in one.owners if slot in one.counted or slot == taker]
    others = [slot for slot in one.counted if slot not in here]
    order = roster.ranking.order(one.root.root)
    return spread(order, roster.zones, len(others), placed=here, among=others.__contains__)[-1]
