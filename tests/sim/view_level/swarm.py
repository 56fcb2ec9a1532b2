"""A swarm with its faults: peers that hold, copy and let go, as the sides that they are on have them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.replication.board import Rows
from node.replication.desk import Desk
from tests.sim.view_level.agenda import Agenda
from tests.sim.view_level.churn import Rates
from tests.sim.view_level.side import KIND, Facts, Side
from tests.sim.view_level.transfers import Transfers
from tests.sim.view_level.world import World

ZONES = 10
MEAN_BYTES = 2 << 20
FILLED = 0.4
"""Of all capacity, what the images take at their factor."""
MOVED_PER_DAY = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What to simulate.

    Attributes:
        bytes_per_s: what a peer fetches for repairs.
        false_share: of all claims, those without good bytes behind them.
        stop_at_loss: end with the first image that was lost through a release.
    """

    seed: int
    peers: int = 100
    images: int = 100_000
    months: float = 24.0
    low: int = 2
    high: int = 3
    bytes_per_s: float = 20_000.0
    false_share: float = 0.02
    with_leases: bool = True
    stop_at_loss: bool = False
    rates: Rates = Rates()  # noqa: RUF009


class Swarm:
    """Peers are numbers; `places` of them exist at a time, and a dead one's successor has a number of its own.

    Attributes:
        up, exists: by peer; a peer that is not up but exists will be back.
        wakes_at_s: when a peer that came back plans again.
        side_of: by peer, its place in `sides`.
        peer_at: by place, the peer there now.
        released, refused: copies let go, and rounds in which a lease was refused.
    """

    def __init__(self, setting: Setting, random: np.random.Generator, agenda: Agenda, deaths: int) -> None:
        self.setting = setting
        self.random = random
        self.agenda = agenda
        self.released = self.refused = self.looks = self.holdings_changes = 0
        self.healed_bytes = 0.0
        self.most = setting.peers + deaths
        sizes_bytes = self.random.lognormal(0, 0.7, setting.images) * MEAN_BYTES / 1.28
        self.world = World(self.most, sizes_bytes.astype(np.int64) + 1, setting.high)
        mean_bytes = self.world.sizes_bytes.sum() * setting.high / setting.peers / FILLED
        self._capacities = (self.random.uniform(0.5, 1.5, setting.peers) * mean_bytes).astype(int).tolist()
        self.up = np.zeros(self.most, dtype=np.bool_)
        self.exists = np.zeros(self.most, dtype=np.bool_)
        self.wakes_at_s = np.zeros(self.most)
        self.side_of = np.zeros(self.most, dtype=np.intp)
        self.peer_at = list(range(setting.peers))
        self.sides = [self._first_side()]
        self.transfers = [self.new_transfers()]
        self._place_first_copies()

    def _first_side(self) -> Side:
        desk = Desk(KIND)
        for number in range(self.most):
            desk.board.number_of(_name(number))
        images = self.setting.images
        desk.board.put_many(
            [b"\x01\x55\x12\x20" + self.random.bytes(32) for _ in range(images)],
            low=self.setting.low, high=self.setting.high, sizes_bytes=self.world.sizes_bytes,
            holders=np.zeros((0, images), dtype=np.uint16),
        )  # fmt: skip
        side = Side(desk, np.zeros_like(self.world.claim))
        for place in range(self.setting.peers):
            self.admit(side, place, place)
            self.up[place] = self.exists[place] = True
        return side

    def admit(self, side: Side, number: int, place: int) -> None:
        """A side hears of a new peer."""
        side.stale = True
        side.facts[number] = Facts(_name(number), f"zone {place % ZONES}", self._capacities[place])
        side.judge(number, "alive")

    def new_transfers(self) -> Transfers:
        """No copies under way."""
        return Transfers(self.most, self.world.sizes_bytes, self.setting.bytes_per_s)

    def _place_first_copies(self) -> None:
        side = self.sides[0]
        side.look(0.0)
        owners = side.desk.answers.owners[: self.setting.high, : self.setting.images].astype(np.intp)
        for number in range(self.setting.peers):
            images = np.flatnonzero((owners == number).any(axis=0))
            self.world.hold(np.full(len(images), number), images)
            side.hear(np.full(len(images), number), images, held=True)

    # -- copies arrive ------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """Copies under way come closer."""
        for index, (side, transfers) in enumerate(zip(self.sides, self.transfers, strict=True)):
            self._arrive(index, side, *transfers.advance(seconds, self.up))

    def _arrive(self, index: int, side: Side, peers: Rows, images: Rows) -> None:
        """Copies that were under way are whole, where there was a good one to be had; false ones are found out."""
        if not len(peers):
            return
        holders = side.desk.board.holders[:, images].astype(np.intp)
        known = holders < self.most
        holders[~known] = 0
        there = known & self.up[holders] & (self.side_of[holders] == index)
        good = there & self.world.disk[holders, images]
        had = good.any(axis=0)
        asked = there & ~good & (~had | (self.random.random(holders.shape) < 0.5))
        which, column = np.nonzero(asked)
        self.find_out(index, holders[which, column], images[column])
        done = had & ~self.world.claim[peers, images]
        self.world.hold(peers[done], images[done])
        self._tell(index, peers[done], images[done], held=True)

    def _tell(self, index: int, peers: Rows, images: Rows, *, held: bool) -> None:
        """The side hears of changed holdings."""
        self.holdings_changes += len(peers)
        self.sides[index].hear(peers, images, held=held)

    def find_out(self, index: int, peers: Rows, images: Rows) -> None:
        """Peers re-hash what they could not prove, and take it back."""
        codes = np.unique(peers * self.setting.images + images)
        peers, images = codes // self.setting.images, codes % self.setting.images
        false = self.world.claim[peers, images] & ~self.world.disk[peers, images] & self.up[peers]
        peers, images = peers[false], images[false]
        self.world.unclaim(peers, images)
        self._tell(index, peers, images, held=False)

    # -- plans are carried out ----------------------------------------------------------------------------------

    def act(self) -> None:
        """Every side looks, lets go and copies."""
        for index, side in enumerate(self.sides):
            acting = self._acting(index)
            for _ in range(4):
                side.look(self.agenda.now_s)
                self.looks += 1
                if not self._release(index, side, acting):
                    break
            self.transfers[index].want(*side.fetches(acting))

    def move(self) -> None:
        """What is off its share moves, as much as a day allows."""
        for index, side in enumerate(self.sides):
            side.look(self.agenda.now_s)
            budget_bytes = int(MOVED_PER_DAY * float(np.mean(self._capacities)))
            side.plan_moves(self.world.used_bytes, budget_bytes, self._acting(index))

    def _acting(self, index: int) -> npt.NDArray[np.bool_]:
        return self.up & (self.side_of == index) & (self.wakes_at_s <= self.agenda.now_s)

    def _release(self, index: int, side: Side, acting: npt.NDArray[np.bool_]) -> bool:
        """Have surplus copies let go; whether any holdings changed."""
        peers, images, ask = side.releases(acting)
        if not len(peers):
            return False
        before = self.holdings_changes
        if self.setting.with_leases:
            asked = np.maximum(ask, 0)
            answers = (ask < 0) | (self.up[asked] & (self.side_of[asked] == index))
            proven = (ask < 0) | self.world.disk[asked, images]
            lied, column = np.nonzero(answers & ~proven)
            self.find_out(index, asked[lied, column], images[column])
            leased = (answers & proven).all(axis=0)
            self.refused += int((~leased).sum())
            peers, images = peers[leased], images[leased]
        self.released += len(peers)
        self.lose(self.world.release(peers, images))
        self._tell(index, peers, images, held=False)
        return self.holdings_changes > before

    def lose(self, images: Rows) -> None:
        """Images are lost: nobody looks for them any more."""
        for side in self.sides if len(images) else []:
            side.give_up(images)

    # -- figures ------------------------------------------------------------------------------------------------

    def false_share(self) -> float:
        """Of all claims of peers that exist, those without good bytes."""
        here = np.flatnonzero(self.exists)
        claims = int(np.count_nonzero(self.world.claim[here]))
        return (claims - int(np.count_nonzero(self.world.disk[here]))) / max(1, claims)

    @property
    def moved_bytes(self) -> float:
        """What peers received for copies, given up ones included."""
        return self.healed_bytes + sum(transfers.moved_bytes for transfers in self.transfers)


def _name(number: int) -> str:
    return f"peer {number:04}"
