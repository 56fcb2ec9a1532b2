"""All roots of one backend kind in columns: what a hundred thousand `RootView`s say, a few bytes a root.

`Beliefs` puts a root here whenever something is said of it anew; `Survey` reads the columns and writes its answers
beside them. A row stays where it is for as long as its root is known. Roots with very many holders or a very high
factor would make every column wide: they stand apart, as the views they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from node.replication.placement import Words, root_seed
from node.replication.shortlist import NOBODY, SlotColumn
from node.replication.view import RootKey, RootView

WIDTH = 8
"""Holders that a row has room for at first; it doubles up to `WIDEST`."""
WIDEST = 32
"""Holders or factor beyond which a root stands apart: it is weighed by itself, in 50 us. Guess."""

Rows = npt.NDArray[np.intp]
_NONE: frozenset[str] = frozenset()


class Board:
    """Columns are arrays whose last axis is the row; only rows with `present` mean anything.

    Attributes:
        roots: by row; None where the row is free.
        peers: by the numbers that `holders` uses.
        holders: of shape (width, rows), packed from the front, the rest is `NOBODY`.
        seed, min, max, size_bytes, ever_held: as `RootView` has them.
        has_elsewhere: whether some peer that is no replica has the blocks.
        may_go: as `RootView` has it.
        apart: roots that are in no row.
        changed, new: whether a row was written, or given to a root, since `Survey` looked; `changed_apart`: roots apart that were.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.roots: list[bytes | None] = []
        self.row_of: dict[bytes, int] = {}
        self.peers: list[str] = []
        self.apart: dict[bytes, RootView] = {}
        self.changed_apart: set[bytes] = set()
        self._number_of: dict[str, int] = {}
        self._free: list[int] = []
        self._elsewhere: dict[int, frozenset[str]] = {}
        self._unproven: dict[int, frozenset[str]] = {}
        self._instead: dict[int, tuple[RootView, ...]] = {}
        self.holders: SlotColumn = np.full((WIDTH, 0), NOBODY, dtype=np.uint16)
        self.seed: Words = np.zeros(0, dtype=np.uint64)
        self.min = self.max = np.zeros(0, dtype=np.uint16)
        self.size_bytes = np.zeros(0, dtype=np.int64)
        self.ever_held = self.has_elsewhere = self.may_go = np.zeros(0, dtype=np.bool_)
        self.present = self.changed = self.new = np.zeros(0, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.row_of) + len(self.apart)

    def __contains__(self, root: object) -> bool:
        return root in self.row_of or root in self.apart

    @property
    def width(self) -> int:
        """How many holders a row has room for."""
        return len(self.holders)

    @property
    def rows(self) -> int:
        """How many rows there are, free ones included."""
        return len(self.roots)

    def put(self, view: RootView) -> None:
        """Write a root down, in place of what was known of it."""
        breadth = max(len(view.holders), view.max)
        if breadth > WIDEST:
            self.drop(view.root)
            self.apart[view.root] = view
            self.changed_apart.add(view.root)
            return
        if view.root in self.apart:
            self.drop(view.root)
        if breadth > self.width:
            self.widen(breadth)
        row = self.row_of.get(view.root)
        if row is None:
            row = self._take_row(view.root)
        self.changed[row] = True
        numbers = [self.number_of(peer) for peer in view.holders]
        self.holders[:, row] = NOBODY
        self.holders[: len(numbers), row] = numbers
        self.min[row], self.max[row] = view.min, view.max
        self.size_bytes[row], self.ever_held[row] = view.size_bytes, view.ever_held
        self._set(self._elsewhere, row, view.elsewhere)
        self._set(self._unproven, row, view.unproven)
        self.has_elsewhere[row] = bool(view.elsewhere)
        self.may_go[row] = view.may_go
        if view.instead:
            self._instead[row] = view.instead
        else:
            self._instead.pop(row, None)

    def put_many(
        self, roots: Sequence[bytes], *, low: int, high: int, sizes_bytes: npt.NDArray[np.int64], holders: SlotColumn
    ) -> Rows:
        """Write down roots that are new, of one factor, all of which somebody held.

        Args:
            holders: numbers of peers (`number_of`), of shape (any, roots), `NOBODY` where there are fewer.
        Returns: their rows.
        """
        first, count = self.rows, len(roots)
        self._grow(first + count)
        self.roots.extend(roots)
        rows = np.arange(first, first + count)
        self.row_of.update(zip(roots, rows.tolist(), strict=True))
        self.seed[rows] = np.fromiter(map(root_seed, roots), dtype=np.uint64, count=count)
        self.min[rows], self.max[rows], self.size_bytes[rows] = low, high, sizes_bytes
        self.ever_held[rows] = self.may_go[rows] = self.present[rows] = self.new[rows] = True
        self.holders[: len(holders), first : first + count] = holders
        self.changed[rows] = True
        return rows

    def drop(self, root: bytes) -> None:
        """Forget a root; one that is not known changes nothing."""
        if self.apart.pop(root, None) is not None:
            self.changed_apart.add(root)
        row = self.row_of.pop(root, None)
        if row is None:
            return
        self.roots[row] = None
        self.present[row] = False
        self.holders[:, row] = NOBODY
        self._set(self._elsewhere, row, _NONE)
        self._set(self._unproven, row, _NONE)
        self._instead.pop(row, None)
        self.changed[row] = True
        self._free.append(row)

    def number_of(self, peer: str) -> int:
        """The number by which `holders` names a peer; a new one is given to a peer that has none."""
        number = self._number_of.get(peer)
        if number is None:
            number = self._number_of[peer] = len(self.peers)
            self.peers.append(peer)
        return number

    def by_number(self, value_of: Mapping[str, int], default: int, dtype: Any) -> npt.NDArray[Any]:
        """A table from peer numbers, `NOBODY` included, to what `value_of` says of each peer."""
        table = np.full(NOBODY + 1, default, dtype=dtype)
        for number, peer in enumerate(self.peers):
            table[number] = value_of.get(peer, default)
        return table

    def key(self, row: int) -> RootKey:
        """The name of the root in a row."""
        root = self.roots[row]
        assert root is not None
        return RootKey(root, self.kind)

    def view(self, row: int) -> RootView:
        """What a row says, as the planner's own value."""
        column = self.holders[:, row]
        return RootView(
            root=self.key(row).root,
            kind=self.kind,
            min=int(self.min[row]),
            max=int(self.max[row]),
            size_bytes=int(self.size_bytes[row]),
            holders=frozenset(self.peers[number] for number in column[column != NOBODY].tolist()),
            elsewhere=self._elsewhere.get(row, _NONE),
            unproven=self._unproven.get(row, _NONE),
            ever_held=bool(self.ever_held[row]),
            instead=self._instead.get(row, ()),
        )

    def elsewhere_of(self, row: int) -> frozenset[str]:
        """Peers that have a row's blocks but are no replica."""
        return self._elsewhere.get(row, _NONE)

    def _take_row(self, root: bytes) -> int:
        if self._free:
            row = self._free.pop()
            self.roots[row] = root
        else:
            row = self.rows
            if row == len(self.present):
                self._grow(max(1024, 2 * row))
            self.roots.append(root)
        self.row_of[root] = row
        self.seed[row] = root_seed(root)
        self.present[row] = self.new[row] = True
        return row

    def _grow(self, rows: int) -> None:
        flags = ("ever_held", "has_elsewhere", "may_go", "present", "changed", "new")
        for name in ("seed", "min", "max", "size_bytes", *flags):
            setattr(self, name, grown(getattr(self, name), rows, 0))
        self.holders = grown(self.holders, rows, NOBODY)

    def widen(self, breadth: int) -> None:
        """Make room for so many holders a row."""
        width = self.width
        while width < breadth:
            width *= 2
        wider = np.full((width, self.holders.shape[1]), NOBODY, dtype=np.uint16)
        wider[: self.width] = self.holders
        self.holders = wider

    @staticmethod
    def _set(facts: dict[int, frozenset[str]], row: int, peers: frozenset[str]) -> None:
        if peers:
            facts[row] = peers
        else:
            facts.pop(row, None)


def grown(column: npt.NDArray[Any], rows: int, filling: int) -> npt.NDArray[Any]:
    """The same column with at least `rows` rows, new ones filled."""
    have = column.shape[-1]
    if have >= rows:
        return column
    longer = np.full((*column.shape[:-1], rows), filling, dtype=column.dtype)
    longer[..., :have] = column
    return longer
