"""What `Survey` keeps of one backend kind: the board, how every row was weighed last, and the sums over all rows.

A look weighs anew only the rows that a change can have touched: those that were written, those held by a peer whose
state changed, and those that its store may own. Sums are kept by taking the old answers of these rows out and putting
the new ones in. A look may run in a thread of its own while roots are looked up in the answers of the last.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from node.replication.board import Board, Rows, grown
from node.replication.columns import FAR, STANDINGS, UNKNOWN, ZONES, Answers, weigh_rows
from node.replication.facts import Facts
from node.replication.moves import Balance
from node.replication.picking import Flags
from node.replication.placement import GONE, Ranking, Slot, slots_of
from node.replication.planner import without_room
from node.replication.shortlist import NOBODY, Shortlist, SlotColumn
from node.replication.view import PeerView, RootKey, SwarmView
from node.replication.weighing import Roster, Standing, Weighed, weigh

SHORT = 16
"""Slots kept of each root: of a hundred in three zones they tell the owners of 995 in 1,000. Measured."""
LONGEST = 64
MOST_GONE = 0.75
"""Where fewer of all slots may own something, as in a split, these alone are ranked at once."""
MOST_FAR = 0.05
"""Share of rows whose shortlist may fail before another one is made."""

_FEW = 8
_LOW_BITS = 28
_LOW = (1 << _LOW_BITS) - 1
_EXACT = 1 << 53
"""Floats sum whole numbers exactly up to here."""

Sums = npt.NDArray[np.int64]


class Desk:
    """Everything about one kind.

    Attributes:
        roster: of the last look.
        answers: by row; `UNKNOWN` where a row is free.
        apart: the roots that the board has in no row.
    """

    def __init__(self, kind: str) -> None:
        self.board = Board(kind)
        self.roster: Roster | None = None
        self.facts: Facts | None = None
        self.answers = Answers.empty(self.board.width, 0)
        self.apart: dict[bytes, Weighed] = {}
        self._seen: dict[str, PeerView] = {}
        self._made_of: list[object] = []
        self._made: tuple[Slot, ...] = ()
        self._ranking: Ranking | None = None
        self._shortlist: Shortlist | None = None
        self._length = SHORT
        self._ranked: SlotColumn = np.full((0, 0), NOBODY, dtype=np.uint16)
        self._counted_bytes = np.zeros(0, dtype=np.int64)
        self._forget_sums()

    def look(self, view: SwarmView) -> Rows:
        """Weigh what changed since the last look; the rows that were."""
        before = self.facts
        roster, self.facts = self._see(view)
        self.roster = roster
        same_slots = self._shortlist is not None and roster.ranking is self._ranking
        self._ranking = roster.ranking
        self._fit()
        if before is None or not same_slots or not self._ranks(self.facts.placeable):
            touched = self._weigh_all()
        else:
            touched = self._weigh_some(self._touched(before, self.facts))
        if self.board.apart or self.apart:
            self._weigh_apart(everything=before is None or not same_slots or not before.equals(self.facts))
        self.board.changed_apart.clear()
        self.board.changed[:] = self.board.new[:] = False
        return touched

    def _see(self, view: SwarmView) -> tuple[Roster, Facts]:
        """The view in tables; those of the last look, where it says the same of all peers."""
        peers, last = dict(view.peers), self.roster
        if last is not None and self.facts is not None and self.facts.stand(last, view) and peers == self._seen:
            return last.seen_in(view), self.facts
        self._seen = peers
        roster = Roster(view, self.board.kind, self._ranking, self._slots(view))
        return roster, Facts(roster, self.board)

    def _slots(self, view: SwarmView) -> tuple[Slot, ...]:
        """The slots, made anew where something that they are made of changed."""
        kind = self.board.kind
        made_of: list[object] = [
            (peer.peer_id, peer.zone, peer.capacity_bytes, peer.keeper, peer.state in GONE, peer.store_ids.get(kind))
            for peer in view.peers.values()
        ]
        if made_of != self._made_of:
            self._made_of = made_of
            self._made = slots_of(view.peers.values(), kind)
        return self._made

    # -- sums ---------------------------------------------------------------------------------------------------

    @property
    def standings(self) -> Counter[Standing]:
        """How many roots stand how."""
        counts = Counter({name: int(self._standings[code]) for code, name in enumerate(STANDINGS)})
        counts.update(one.standing for one in self.apart.values())
        return counts

    def balance(self) -> Balance:
        """Shares and holdings of every slot."""
        balance = Balance()
        if self.roster is not None:
            names = [(self.board.kind, slot.slot_id) for slot in self.roster.slots]
            balance.shares |= zip(names, self._shares.tolist(), strict=True)
            balance.holdings |= zip(names, self._holdings.tolist(), strict=True)
            for one in self.apart.values():
                for slot in one.owners:
                    balance.shares[names[slot]] += one.root.size_bytes
                for slot in one.kept[: one.root.max]:
                    balance.holdings[names[slot]] += one.root.size_bytes
        return balance

    def standing_of(self, root: bytes) -> Standing | None:
        """How a root stood at the last look; None if it was not there."""
        if root in self.apart:
            return self.apart[root].standing
        row = self.board.row_of.get(root)
        if row is None or row >= len(self.answers.standing):
            return None
        code = int(self.answers.standing[row])
        return None if code == UNKNOWN else STANDINGS[code]

    def standing_so(self, standing: Standing) -> Iterator[RootKey]:
        """The roots that stood so."""
        code = STANDINGS.index(standing)
        for row in np.flatnonzero(self.answers.standing[: self.board.rows] == code).tolist():
            root = self.board.roots[row]
            if root is not None:
                yield RootKey(root, self.board.kind)
        for root, one in self.apart.items():
            if one.standing == standing:
                yield RootKey(root, self.board.kind)

    @property
    def homeless_copies(self) -> int:
        """Copies that no store has room for."""
        return self._homeless_copies + sum(copies for _, copies in self._homeless_apart())

    @property
    def homeless_bytes(self) -> int:
        """The bytes of these."""
        return self._homeless_bytes + sum(copies * one.root.size_bytes for one, copies in self._homeless_apart())

    def homeless_of(self, root: bytes) -> int:
        """Copies of a root that no store has room for."""
        if root in self.apart and self.roster is not None:
            return without_room(self.roster, self.apart[root])
        row = self.board.row_of.get(root)
        return 0 if row is None or row >= len(self.answers.homeless) else int(self.answers.homeless[row])

    def homeless(self) -> Iterator[RootKey]:
        """The roots with such copies."""
        yield from (self.board.key(row) for row in np.flatnonzero(self.answers.homeless).tolist())
        yield from (one.root.key for one, _ in self._homeless_apart())

    def _homeless_apart(self) -> Iterator[tuple[Weighed, int]]:
        if self.roster is None:
            return
        for one in self.apart.values():
            if copies := without_room(self.roster, one):
                yield one, copies

    # -- weighing -----------------------------------------------------------------------------------------------

    def _fit(self) -> None:
        rows = len(self.board.present)
        self.answers = self.answers.fitted(self.board.width, rows)
        self._ranked = grown(self._ranked, rows, NOBODY)
        self._counted_bytes = grown(self._counted_bytes, rows, 0)

    def _ranks(self, slots: npt.NDArray[np.intp]) -> bool:
        assert self._shortlist is not None
        return bool(np.isin(slots, self._shortlist.among).all())

    def _weigh_all(self) -> Rows:
        assert self.roster is not None
        assert self.facts is not None
        present = np.flatnonzero(self.board.present)
        among = list(range(len(self.roster.slots)))
        if len(self.facts.placeable) < MOST_GONE * len(among):
            among = self.facts.placeable.tolist()
        while True:
            self._shortlist = shortlist = Shortlist(self.roster.slots, among, self._length)
            self._ranked = np.full((shortlist.length, len(self.board.present)), NOBODY, dtype=np.uint16)
            self._ranked[:, present] = shortlist.rank(self.board.seed[present])
            answers = Answers.empty(self.board.width, len(self.board.present))
            answers.write(present, weigh_rows(self.facts, shortlist, self.board, self._ranked, present))
            self.answers = answers  # whole, for those who look a root up meanwhile
            self._counted_bytes[present] = self.board.size_bytes[present]
            self._forget_sums()
            self._sum(present, 1)
            if not self._too_far(len(present)):
                return present
            if len(among) > len(self.facts.placeable):
                among = self.facts.placeable.tolist()
            else:
                self._length *= 2

    def _too_far(self, present: int) -> bool:
        """Whether so many shortlists fail that another one is worth its time, and there is one."""
        assert self.facts is not None
        assert self._shortlist is not None
        among = self._shortlist.among
        if self._far <= MOST_FAR * present:
            return False
        return len(among) > len(self.facts.placeable) or self._length < min(LONGEST, len(among))

    def _weigh_some(self, touched: Flags) -> Rows:
        assert self._shortlist is not None
        new = np.flatnonzero(self.board.new & self.board.present)
        self._ranked[:, new] = self._shortlist.rank(self.board.seed[new])
        gone = np.flatnonzero(self.board.changed & ~self.board.present)
        self._sum(gone, -1)
        self.answers.clear(gone)
        rows = np.flatnonzero(touched & self.board.present)
        self._weigh(rows)
        if len(rows) and self._too_far(len(self.board.row_of)):
            return self._weigh_all()
        return rows

    def _weigh(self, rows: Rows) -> None:
        assert self.facts is not None
        assert self._shortlist is not None
        answers, was_bytes, now_bytes = self.answers, self._counted_bytes[rows], self.board.size_bytes[rows]
        was_owners, was_stay = answers.owners.take(rows, axis=1), answers.stay.take(rows, axis=1)
        self._count(rows, -1)
        answers.write(rows, weigh_rows(self.facts, self._shortlist, self.board, self._ranked, rows))
        self._counted_bytes[rows] = now_bytes
        self._count(rows, 1)
        resized = was_bytes != now_bytes
        for total, was, column in (
            (self._shares, was_owners, answers.owners),
            (self._holdings, was_stay, answers.stay),
        ):
            now = column.take(rows, axis=1)
            other = np.flatnonzero((was != now).any(axis=0) | resized)
            total -= bytes_by_slot(was[:, other], was_bytes[other], len(total))
            total += bytes_by_slot(now[:, other], now_bytes[other], len(total))

    def _touched(self, before: Facts, now: Facts) -> Flags:
        """The rows that a change of the roster, or of themselves, can have touched."""
        if before.storm != now.storm:
            return np.ones_like(self.board.present)
        touched = self.board.changed.copy()
        if before is now:
            return touched
        slots, peers = now.moved(before)
        if len(numbers := np.flatnonzero(peers)):
            touched |= self.board.has_elsewhere
            for column in self.board.holders:
                touched |= _among(column, peers, numbers)
        if len(numbers := np.flatnonzero(slots)):
            for place, column in enumerate(self._ranked):
                touched |= _among(column, slots, numbers) & (self.answers.last >= np.uint8(place))
            touched |= self.answers.reach == FAR
            if before.open_zones != now.open_zones:
                touched |= self.answers.reach == ZONES
        return touched

    def _weigh_apart(self, *, everything: bool) -> None:
        assert self.roster is not None
        board = self.board
        if everything:
            self.apart = {root: weigh(self.roster, view) for root, view in board.apart.items()}
        elif board.changed_apart:
            apart = {root: one for root, one in self.apart.items() if root not in board.changed_apart}
            changed = board.changed_apart & board.apart.keys()
            self.apart = apart | {root: weigh(self.roster, board.apart[root]) for root in changed}

    def _forget_sums(self) -> None:
        count = len(self.roster.slots) if self.roster is not None else 0
        self._standings = np.zeros(len(STANDINGS), dtype=np.int64)
        self._shares = np.zeros(count, dtype=np.int64)
        self._holdings = np.zeros(count, dtype=np.int64)
        self._homeless_copies = self._homeless_bytes = self._far = 0

    def _sum(self, rows: Rows, sign: int) -> None:
        """Put the answers of rows into the sums, or take them out."""
        if not len(rows):
            return
        self._count(rows, sign)
        for total, columns in ((self._shares, self.answers.owners), (self._holdings, self.answers.stay)):
            total += sign * bytes_by_slot(columns[:, rows], self._counted_bytes[rows], len(total))

    def _count(self, rows: Rows, sign: int) -> None:
        """The sums that are no sums by slot."""
        self._far += sign * int(np.count_nonzero(self.answers.reach[rows] == FAR))
        answers, sizes_bytes = self.answers, self._counted_bytes[rows]
        standing = answers.standing[rows]
        known = standing[standing != UNKNOWN]
        self._standings += sign * np.bincount(known, minlength=len(STANDINGS))
        homeless = answers.homeless[rows].astype(np.int64)
        self._homeless_copies += sign * int(homeless.sum())
        self._homeless_bytes += sign * int((homeless * sizes_bytes).sum())


def _among(column: SlotColumn, named: Flags, numbers: Rows) -> Flags:
    """Where a column has one of the numbers that are named; comparing is far faster than looking a few of them up."""
    if len(numbers) > _FEW:
        return named.take(column)
    found = np.zeros(len(column), dtype=np.bool_)
    for number in numbers.astype(
        column.dtype
    ):  # beside a wider number the whole column would be made wide: eight times slower
        found |= column == number
    return found


def bytes_by_slot(slots: SlotColumn, sizes_bytes: Sums, count: int) -> Sums:
    """The sizes of each slot's roots together; exact, where one sum of floats may round."""
    flat = slots.ravel()
    known = np.flatnonzero(flat != NOBODY)
    if not len(known):
        return np.zeros(count, dtype=np.int64)
    at, sizes = flat[known], sizes_bytes[known % slots.shape[1]]
    if int(sizes.max()) < _EXACT // len(sizes):
        return np.bincount(at, weights=sizes, minlength=count).astype(np.int64)
    low = np.bincount(at, weights=sizes & _LOW, minlength=count).astype(np.int64)
    high = np.bincount(at, weights=sizes >> _LOW_BITS, minlength=count).astype(np.int64)
    return low + (high << _LOW_BITS)
