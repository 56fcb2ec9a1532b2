"""Faults by chance: what happens to a swarm, how often, and that it ends again."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from random import Random

import trio

from tests.sim.peer import SimPeer
from tests.sim.swarm import Swarm

DAY_S = 86_400.0
SETTLE_S = 900.0
"""Between two disks lost for good: what the first one held has been made anew by then, so that no fault alone loses an
image. Failing disks (`forgetful`) know no such mercy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often, per peer and day; what is named for the swarm, per day.

    Attributes:
        crashes: SIGKILL, or the power goes; back after some minutes, sometimes after half an hour.
        stops: SIGTERM and a start.
        freezes: SIGSTOP for 10 s to 10 min.
        deaths: machine and disk gone for good; somebody new joins instead.
        disk_losses: an empty disk under the same identity.
        catalogues: the catalogue is lost, the blocks are not.
        rots: single copies of which a block changes unnoticed.
        forgetful: a disk that keeps nothing of what is written from now on, for hours, and says nothing.
        full: a disk that takes nothing for some minutes.
        splits: of the swarm, in two, for 2 to 40 minutes.
        one_ways: of the swarm: a direction between two peers that carries nothing for some minutes.
    """

    crashes: float = 2.0
    stops: float = 0.5
    freezes: float = 1.0
    deaths: float = 0.05
    disk_losses: float = 0.05
    catalogues: float = 0.05
    rots: float = 1.0
    forgetful: float = 0.1
    full: float = 0.1
    splits: float = 2.0
    one_ways: float = 10.0


class Faults:
    """Makes them happen.

    Attributes:
        happened: how many of each kind.
    """

    def __init__(self, swarm: Swarm, rates: Rates, *, seed: int) -> None:
        self.swarm = swarm
        self.rates = rates
        self.random = Random(seed)
        self.happened: Counter[str] = Counter()
        self._last_loss_s = -math.inf
        self._split = 0

    async def run(self, seconds: float) -> None:
        """Let them happen for so long, and mend everything afterwards."""
        each = {name: getattr(self.rates, name) for name in Rates.__slots__}
        many = {
            name: rate * (1 if name in ("splits", "one_ways") else len(self.swarm.peers)) for name, rate in each.items()
        }
        names, weights = list(many), list(many.values())
        async with trio.open_nursery() as nursery:
            end_s = trio.current_time() + seconds
            while (wait_s := self.random.expovariate(sum(weights) / DAY_S)) < end_s - trio.current_time():
                await trio.sleep(wait_s)
                [name] = self.random.choices(names, weights)
                nursery.start_soon(self._happen, name)
            await trio.sleep_until(end_s)
            nursery.cancel_scope.cancel()
        await self.mend()

    async def mend(self) -> None:
        """Everybody is up, everything connected, and no disk forgets any more."""
        self.swarm.network.sides.clear()
        self.swarm.network.one_way.clear()
        self.swarm.network.changed()
        for peer in self.swarm.peers:
            peer.disk.forgetful = peer.disk.full = False
            if peer.state == "frozen":
                peer.thaw()
            elif peer.state == "down":
                await peer.start()

    async def _happen(self, name: str) -> None:
        peer = self.random.choice(self.swarm.peers)
        if peer.state != "up" and name not in ("splits", "one_ways"):
            return
        match name:
            case "crashes":
                await self._down(peer, self._minutes(0.2, 30), silently=self.random.random() < 0.5)
            case "stops":
                await self._stop(peer)
            case "freezes":
                await self._freeze(peer, self._minutes(0.2, 10))
            case "deaths" | "disk_losses" if self._may_lose_a_disk(peer):
                await (self._replace(peer) if name == "deaths" else self._empty(peer))
            case "catalogues":
                await self._lose_catalogue(peer)
            case "rots" if peer.disk.blocks:
                self.happened[name] += 1
                peer.disk.rot(self.random.choice(sorted(peer.disk.blocks)))
            case "forgetful":
                await self._for_a_while(peer, name, self._minutes(30, 360))
            case "full":
                await self._for_a_while(peer, name, self._minutes(1, 30))
            case "splits":
                await self._split_for(self._minutes(2, 40))
            case "one_ways":
                await self._one_way(peer, self._minutes(1, 30))

    def _minutes(self, least: float, most: float) -> float:
        """Seconds; short ones are more likely."""
        return 60 * least * (most / least) ** self.random.random()

    async def _down(self, peer: SimPeer, seconds: float, *, silently: bool) -> None:
        self.happened["crashes"] += 1
        await peer.kill(silently=silently)
        await trio.sleep(seconds)
        if peer.state == "down":
            await self._start(peer)

    async def _start(self, peer: SimPeer) -> None:
        """A fault that ends ends with a start that nothing interrupts."""
        with trio.CancelScope(shield=True):
            await peer.start()

    async def _stop(self, peer: SimPeer) -> None:
        self.happened["stops"] += 1
        await peer.stop()
        await trio.sleep(self.random.uniform(1, 20))
        if peer.state == "down":
            await self._start(peer)

    async def _freeze(self, peer: SimPeer, seconds: float) -> None:
        self.happened["freezes"] += 1
        peer.freeze()
        await trio.sleep(seconds)
        if peer.state == "frozen":
            peer.thaw()

    def _may_lose_a_disk(self, peer: SimPeer) -> bool:
        calm = trio.current_time() - self._last_loss_s > SETTLE_S and peer is not self.swarm.peers[0]
        return calm and not any(copies == {peer.peer_id} for copies in self.swarm.truth.copies.values())

    async def _replace(self, peer: SimPeer) -> None:
        self.happened["deaths"] += 1
        self._last_loss_s = trio.current_time()
        await peer.die()
        await trio.sleep(self._minutes(5, 120))
        with trio.CancelScope(shield=True):
            await self.swarm.join()

    async def _empty(self, peer: SimPeer) -> None:
        self.happened["disk_losses"] += 1
        self._last_loss_s = trio.current_time()
        await peer.lose_disk()
        await trio.sleep(self._minutes(1, 30))
        await self._start(peer)

    async def _lose_catalogue(self, peer: SimPeer) -> None:
        self.happened["catalogues"] += 1
        await peer.kill()
        peer.disk.lose_catalogue()
        await trio.sleep(self.random.uniform(1, 60))
        await self._start(peer)

    async def _for_a_while(self, peer: SimPeer, name: str, seconds: float) -> None:
        self.happened[name] += 1
        disk = peer.disk
        setattr(disk, name, True)
        await trio.sleep(seconds)
        setattr(disk, name, False)

    async def _split_for(self, seconds: float) -> None:
        network = self.swarm.network
        if network.sides:
            return
        self.happened["splits"] += 1
        by_zone = self.random.random() < 0.5
        side_of = {peer.zone: self.random.randrange(2) for peer in self.swarm.peers}
        for peer in self.swarm.peers:
            network.sides[peer.peer_id] = side_of[peer.zone] if by_zone else self.random.randrange(2)
        network.changed()
        await trio.sleep(seconds)
        network.sides.clear()
        network.changed()

    async def _one_way(self, peer: SimPeer, seconds: float) -> None:
        other = self.random.choice(self.swarm.peers)
        if other is peer:
            return
        self.happened["one_ways"] += 1
        pair = (peer.peer_id, other.peer_id)
        self.swarm.network.one_way.add(pair)
        self.swarm.network.changed()
        await trio.sleep(seconds)
        self.swarm.network.one_way.discard(pair)
        self.swarm.network.changed()
