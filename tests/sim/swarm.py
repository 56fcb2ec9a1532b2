"""A seeded swarm of simulated peers with faults, and the count of what went wrong."""

from random import Random

from tests.sim.keeper import Keeper
from tests.sim.network import Clock, Network


class Swarm:
    """Peers `p0` … in zones `z0` …, every root put on one of them to begin with.

    Attributes:
        copied: copies made after the roots were put.
        released: copies that peers let go.
        short_releases: those after which fewer than `max` whole copies were left on disks that exist.
        lost_by_release: those after which none was.
    """

    def __init__(
        self,
        seed: int,
        *,
        peers: int,
        zones: int = 1,
        roots: int,
        factor: tuple[int, int],
        loss: float = 0.0,
        with_leases: bool = True,
    ) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.network = Network(self.clock, self.random, loss=loss)
        self.with_leases = with_leases
        self.factors = {f"root {n}".encode() * 4: factor for n in range(roots)}
        self.keepers = {f"p{n}": Keeper(self, f"p{n}", f"z{n % zones}") for n in range(peers)}
        self.copied = self.released = self.short_releases = self.lost_by_release = 0
        for keeper in self.keepers.values():
            keeper.start()
        for root in self.factors:
            self.random.choice(list(self.keepers.values())).hold(root)
        self.copied = 0

    def run(self, seconds: float) -> None:
        self.clock.run_until(self.clock.now_s + seconds)

    def holders(self, root: bytes) -> list[str]:
        """Peers with a whole copy, up or not."""
        return [name for name, keeper in self.keepers.items() if root in keeper.disk]

    def copies(self, *, up: bool = True) -> list[int]:
        """Whole copies of each root, on peers that are up or on all."""
        return [sum(self.keepers[name].up or not up for name in self.holders(root)) for root in self.factors]

    def on_release(self, name: str, root: bytes, wanted_max: int) -> None:
        self.released += 1
        left = len(self.holders(root))
        self.short_releases += left < wanted_max
        self.lost_by_release += left == 0

    def churn(self, seconds: float) -> None:
        """Crashes, restarts, freezes, splits, rotting copies: a fault every 20 s or so, then everybody back."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.run(self.random.expovariate(1 / 20))
            self._fault()
        self.network.sides.clear()
        for keeper in self.keepers.values():
            if not keeper.up:
                keeper.start()

    def _fault(self) -> None:
        keeper = self.random.choice(list(self.keepers.values()))
        match self.random.randrange(6):
            case 0 if self.network.sides:
                self.network.sides.clear()
            case 0:
                self.network.sides = {name: self.random.randrange(2) for name in self.keepers}
            case 1 if keeper.disk and self._spare(keeper):
                keeper.disk.discard(self.random.choice(sorted(keeper.disk)))
            case 2 if keeper.up:
                keeper.freeze()
                self.clock.after(self.random.uniform(10, 400), lambda: None if keeper.up else keeper.thaw())
            case _ if keeper.up:
                keeper.crash()
            case _:
                keeper.start()

    def _spare(self, keeper: Keeper) -> bool:
        """Whether a copy may rot here without the fault itself being the loss."""
        return all(len(self.holders(root)) > 1 for root in keeper.disk)
