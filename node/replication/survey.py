"""Plan for a whole pinset, kept up to date: `Planner.survey` for hundreds of thousands of roots, a change at a time.

Roots are put in as they change; `plan` takes the peers as they are now, weighs what either touched, and has the
reference planner decide on the few rows that call upon this peer. Equal beliefs give the plan that `Planner` gives.
Pure, like the planner.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from node.replication.board import Board, Rows
from node.replication.calling import Calls, UnderWay, calls
from node.replication.columns import MISSING
from node.replication.desk import Desk
from node.replication.moves import Balance
from node.replication.planner import Plan, act
from node.replication.view import RootKey, RootView, SwarmView
from node.replication.weighing import Roster, Standing, Weighed, weigh

IDLE = UnderWay()


class Survey:
    """All roots of a swarm as one peer believes them to be, and how they stand.

    Attributes:
        touched: the roots that the last plan weighed anew.
        due_count, due_bytes: copies that are missing and that this peer is to make, those beyond a plan's limit included.
    """

    def __init__(self) -> None:
        self.touched = Touched({})
        self.due_count = self.due_bytes = 0
        self._desks: dict[str, Desk] = {}
        self._left_out: dict[str, npt.NDArray[np.bool_]] = {}
        self._turn = 0

    def desk(self, kind: str) -> Desk:
        """What is kept of one kind."""
        if kind not in self._desks:
            self._desks[kind] = Desk(kind)
        return self._desks[kind]

    def board(self, kind: str) -> Board:
        """The roots of one kind."""
        return self.desk(kind).board

    def put(self, view: RootView) -> None:
        """Take a root in as it is now."""
        self.board(view.kind).put(view)

    def drop(self, key: RootKey) -> None:
        """Forget a root that is neither wanted nor here."""
        if key.kind in self._desks:
            self._desks[key.kind].board.drop(key.root)

    def __len__(self) -> int:
        return sum(len(desk.board) for desk in self._desks.values())

    def kinds_of(self, root: bytes) -> list[str]:
        """The kinds under which a root is known here."""
        return [kind for kind, desk in self._desks.items() if root in desk.board]

    def plan(self, view: SwarmView, *, limit: int | None = None, work: UnderWay = IDLE) -> Plan:
        """Weigh what changed and plan this peer's next actions, over all roots.

        Args:
            view: the peers and what holds for all; its roots are not looked at.
            limit: how many fetches, and how many releases, of a kind to plan at most, the most urgent; None is all.
            work: what is being done; it has a say where there is a limit.
        """
        self.touched = Touched({desk.board.kind: (desk.board, desk.look(view)) for desk in self._desks.values()})
        balance = self._balance()
        self._left_out = {}
        self.due_count = self.due_bytes = 0
        self._turn += 1
        weighed: list[Weighed] = []
        if not view.planning_blocked and view.peers[view.me].state == "alive":
            for desk in self._desks.values():
                called = calls(desk, view, balance)
                due = called.fetches[desk.answers.todo[called.fetches] == MISSING]
                self.due_count += len(due)
                self.due_bytes += int(desk.board.size_bytes[due].sum())
                weighed += self._weigh(desk, called, called.chosen(desk, limit, work, self._turn))
        acts = act(view, self._rosters(), weighed, balance.copy())
        return Plan(
            actions=acts.actions,
            standing_of=StandingOf(self._desks),
            standings=self.standings,
            no_room=NoRoom(self._desks),
            no_room_copies=sum(desk.homeless_copies for desk in self._desks.values()),
            no_room_bytes=sum(desk.homeless_bytes for desk in self._desks.values()),
            no_eligible=frozenset(self._without_keeper()),
            crowded_out=acts.crowded_out,
            moves_put_off=acts.moves_put_off,
            balance=balance,
        )

    def leaves_out(self, key: RootKey) -> bool:
        """Whether the last plan has no action for a root only because there were too many, or it has to wait."""
        desk = self._desks.get(key.kind)
        row = -1 if desk is None else desk.board.row_of.get(key.root, -1)
        return row >= 0 and key.kind in self._left_out and bool(self._left_out[key.kind][row])

    @property
    def standings(self) -> Counter[Standing]:
        """How many roots stand how, unwanted ones included."""
        total: Counter[Standing] = Counter()
        for desk in self._desks.values():
            total.update(desk.standings)
        return total

    def standing_of(self, key: RootKey) -> Standing | None:
        """How a root stood in the last plan; None if it was not there."""
        return self._desks[key.kind].standing_of(key.root) if key.kind in self._desks else None

    def standing_so(self, *standings: Standing) -> Iterator[RootKey]:
        """The roots that stood so in the last plan."""
        for standing in standings:
            for desk in self._desks.values():
                yield from desk.standing_so(standing)

    def _weigh(self, desk: Desk, called: Calls, chosen: npt.NDArray[np.intp]) -> list[Weighed]:
        """The rows chosen and the roots apart, as the reference weighs them."""
        left_out = np.zeros(len(desk.board.present), dtype=np.bool_)
        left_out[called.fetches] = left_out[called.releases] = True
        left_out[chosen] = False
        self._left_out[desk.board.kind] = left_out
        roster = desk.roster
        assert roster is not None
        views = [desk.board.view(row) for row in chosen.tolist()]
        apart = list(desk.apart.values())
        roster.ranking.learn(view.root for view in views)
        weighed = [weigh(roster, view) for view in views] + apart
        roster.ranking.keep_only(one.root.root for one in weighed)
        return weighed

    def _rosters(self) -> dict[str, Roster]:
        return {kind: desk.roster for kind, desk in self._desks.items() if desk.roster is not None}

    def _balance(self) -> Balance:
        balance = Balance()
        for desk in self._desks.values():
            one = desk.balance()
            balance.shares |= one.shares
            balance.holdings |= one.holdings
        return balance

    def _without_keeper(self) -> Iterator[RootKey]:
        for kind, desk in self._desks.items():
            if desk.roster is not None and not any(desk.roster.placeable):
                for row in np.flatnonzero(desk.board.present & (desk.board.max > 0)).tolist():
                    yield desk.board.key(row)
                yield from (RootKey(root, kind) for root, view in desk.board.apart.items() if view.max)


class StandingOf(Mapping[RootKey, Standing]):
    """How roots stand, looked up when asked."""

    def __init__(self, desks: Mapping[str, Desk]) -> None:
        self._desks = desks

    def __getitem__(self, key: RootKey) -> Standing:
        standing = self._desks[key.kind].standing_of(key.root) if key.kind in self._desks else None
        if standing is None:
            raise KeyError(key)
        return standing

    def __iter__(self) -> Iterator[RootKey]:
        for kind, desk in self._desks.items():
            yield from (RootKey(root, kind) for root in (*desk.board.row_of, *desk.board.apart))

    def __len__(self) -> int:
        return sum(len(desk.board) for desk in self._desks.values())


class NoRoom(Mapping[RootKey, int]):
    """Copies of each root that no store has room for, looked up when asked."""

    def __init__(self, desks: Mapping[str, Desk]) -> None:
        self._desks = desks

    def __getitem__(self, key: RootKey) -> int:
        copies = self._desks[key.kind].homeless_of(key.root) if key.kind in self._desks else 0
        if not copies:
            raise KeyError(key)
        return copies

    def __iter__(self) -> Iterator[RootKey]:
        for desk in self._desks.values():
            yield from desk.homeless()

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Touched(Collection[RootKey]):
    """Roots, named only when asked: there may be very many."""

    def __init__(self, rows: Mapping[str, tuple[Board, Rows]], others: Sequence[RootKey] = ()) -> None:
        self._rows = rows
        self._others = others

    def and_also(self, others: Sequence[RootKey]) -> "Touched":
        """These roots and others."""
        return Touched(self._rows, [*self._others, *others])

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self._rows.values()) + len(self._others)

    def __iter__(self) -> Iterator[RootKey]:
        yield from self._others
        for board, rows in self._rows.values():
            yield from (board.key(row) for row in rows.tolist() if board.present[row])

    def __contains__(self, key: object) -> bool:
        return any(key == one for one in self)
