"""A seeded swarm of simulated peers, and a way to run a story with it."""

from __future__ import annotations

import gc
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

import trio

from node.events import wall_ms
from node.replication.planner import Release
from node.replication.releasing import Releasing
from protocol.admission import CURATOR, KEEPER, Admission
from protocol.author import Author
from protocol.fields import Replicas
from protocol.founding import found_swarm
from protocol.identity import KeyPair
from protocol.records import Record, Signed
from tests.sim.clock import Freezer, simulated
from tests.sim.image import Picture, make_picture
from tests.sim.network import Conditions, Network
from tests.sim.peer import SimPeer
from tests.sim.truth import Image, Truth

T = TypeVar("T")

PACE = {
    "node.running.TICK_S": 5.0,
    "node.replication.controller.SPACING_S": 1.0,
    "node.replication.draining.LOOK_S": 5.0,
    "node.swarm.catching_up.LOOK_S": 2.0,
    "node.swarm.homecoming.LOOK_S": 5.0,
    "protocol.net.redial.LOOK_S": 4.0,
}
"""Loops that look around more often than a simulation of days can pay for. What wakes them early still does."""

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""The few files that a daemon writes beside its store."""

SHARED = (
    "node.swarm.listening.open_beat",
    "node.swarm.listening.open_delta",
    "node.swarm.checking.read_record",
    "node.swarm.checking.verify",
)
"""Pure readings of signed bytes that every peer gets: read, and their signatures checked, once for all."""

GARBAGE = (100_000, 20, 50)
"""Thresholds of the collector: what twenty peers hold is looked through less often. It takes a fifteenth of the time else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A swarm to simulate.

    Attributes:
        liars: peers, one in each zone but the first, that keep nothing and say that they do.
        with_leases: without, a surplus copy is let go at once.
        skew_s: wall clocks are off by up to so much.
    """

    seed: int
    peers: int = 8
    zones: int = 4
    factor: tuple[int, int] = (2, 3)
    capacity_bytes: int = 10_000_000
    conditions: Conditions = field(default_factory=Conditions)
    liars: int = 0
    with_leases: bool = True
    skew_s: float = 1.0


class Swarm:
    """Peers `p0` … in zones `z0` …, all members from the beginning; it runs while its story does.

    Attributes:
        truth: what is so, whatever they believe.
        nursery: of the peers' lives.
        refusals: what operators were told.
    """

    def __init__(self, setting: Setting, folder: Path, nursery: trio.Nursery) -> None:
        self.setting = setting
        self.folder = folder
        self.nursery = nursery
        self.random = Random(setting.seed)
        self.network = Network(Random(setting.seed + 1), setting.conditions)
        self.freezer = Freezer()
        self.truth = Truth()
        self.refusals: list[str] = []
        self.acknowledgements: list[tuple[bytes, int]] = []
        self.pictures: list[Picture] = []
        self.steward = KeyPair(b"s" * 32)
        self._author = Author(self.steward)
        self.peers = [self._make(n) for n in range(setting.peers)]
        self.founding = found_swarm(
            self.peers[0].key.peer_id, self.steward, KeyPair(b"r" * 32).peer_id, name="simulated", now_ms=wall_ms(),
            replicas=Replicas(*setting.factor),
        )  # fmt: skip
        self._admissions: list[Signed[Record]] = [self._admit(peer) for peer in self.peers[1:]]
        for liar in self.peers[1 : 1 + setting.liars]:
            liar.disk.lies = True
        for peer in self.peers:
            peer.initialise(steward=self.steward if peer is self.peers[0] else None)

    def _make(self, number: int) -> SimPeer:
        zones = self.setting.zones
        return SimPeer(self, number, zone=f"z{number % zones}", capacity_bytes=self.setting.capacity_bytes)

    def _admit(self, peer: SimPeer) -> Signed[Record]:
        return self._author.write(Admission(peer=peer.key.peer_id, roles=(CURATOR, KEEPER)), wall_ms())

    def first_records(self) -> list[Signed[Record]]:
        return [*self.founding.records, *self._admissions]

    def addresses(self) -> list[str]:
        return [f"{peer.address}/p2p/{peer.peer_id}" for peer in self.peers]

    async def start(self) -> None:
        for peer in self.peers:
            await peer.start()

    async def run(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def until(self, holds: Callable[[], bool], within_s: float) -> float:
        """Let it run until something holds; returns how long that took. Raises: AssertionError after `within_s`."""
        began_s = trio.current_time()
        while not holds():
            assert trio.current_time() - began_s < within_s, f"not within {within_s:g} s"
            await trio.sleep(1)
        return trio.current_time() - began_s

    async def settle(self, copies: int, within_s: float) -> float:
        """Let it run until each image has so many copies and nothing has moved for half a minute; how long that took."""
        began_s = trio.current_time()
        while not (await self.is_quiet(30) and self.everything_at(copies)):
            assert trio.current_time() - began_s < within_s, f"not settled within {within_s:g} s: {self.copies()}"
        return trio.current_time() - began_s

    async def join(self) -> SimPeer:
        """A new peer is admitted, and starts."""
        peer = self._make(len(self.peers))
        self.peers.append(peer)
        self._admissions.append(self._admit(peer))
        peer.initialise()
        await peer.start()
        founder = next(p for p in self.up() if p is not peer)
        founder.spawn(founder.daemon.parts.records.accept, [self._admissions[-1].raw])
        return peer

    def add(self, count: int, *, at: list[SimPeer] | None = None, wait: int = 1) -> list[bytes]:
        """Add new images, each at one of the peers."""
        roots = []
        for _ in range(count):
            picture = make_picture(self.random, len(self.pictures))
            self.pictures.append(picture)
            image = Image(tuple(cid for cid, _ in picture.blocks), picture.size_bytes, self.setting.factor)
            self.truth.add(picture.root, image)
            self.random.choice(at or self.up()).add(picture, wait=wait)
            roots.append(picture.root)
        return roots

    def acknowledged(self, root: bytes, count: int) -> None:
        self.acknowledgements.append((root, count))

    def up(self) -> list[SimPeer]:
        return [peer for peer in self.peers if peer.state == "up"]

    # what may be asked of it

    def copies(self) -> list[int]:
        """Whole copies of each image on peers that are up."""
        return [self.truth.live(root) for root in self.truth.images]

    def everything_at(self, copies: int) -> bool:
        """Each image has so many whole copies, and nobody has one more."""
        return all(len(self.truth.copies[root]) == self.truth.live(root) == copies for root in self.truth.images)

    def at_rest(self) -> bool:
        """Every image that is not lost has its copies, all on peers that are up, and nobody one more.

        What rotted and was not read since counts as a copy: no peer can know. `Truth.rot_unfound` counts these apart.
        """
        wanted = self.setting.factor[1]
        listed = (self.truth.listed(root) for root in self.truth.ever if self.truth.copies[root])
        return all(len(peers) == wanted and peers <= self.truth.up for peers in listed)

    async def is_quiet(self, seconds: float) -> bool:
        """Whether nothing moves."""
        before = self.network.moved_bytes, self.truth.copied, self.truth.released
        await self.run(seconds)
        return before == (self.network.moved_bytes, self.truth.copied, self.truth.released)


@contextmanager
def paced() -> Iterator[None]:
    """Loops at a pace that days can be simulated at, and what is pure done once for all peers."""
    with ExitStack() as stack:
        for name, value in PACE.items():
            stack.enter_context(patch(name, value))
        for name in SHARED:
            module, _, attribute = name.rpartition(".")
            __import__(module)
            read = getattr(__import__("sys").modules[module], attribute)
            stack.enter_context(patch(name, lru_cache(maxsize=4096)(read)))
        stack.callback(gc.set_threshold, *gc.get_threshold())
        gc.set_threshold(*GARBAGE)
        yield


def simulate(setting: Setting, story: Callable[[Swarm], Awaitable[T]], *, started: bool = True) -> T:
    """Run a story with a swarm, which is up when it begins; returns what the story does."""

    async def main() -> Any:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            async with trio.open_nursery() as nursery:
                swarm = Swarm(setting, Path(folder), nursery)
                nursery.start_soon(swarm.network.run)
                nursery.start_soon(swarm.freezer.run)
                if started:
                    await swarm.start()
                told = await story(swarm)
                nursery.cancel_scope.cancel()
                return told

    log = logging.getLogger("pinakothek")
    level = log.level
    log.setLevel(logging.CRITICAL)
    skews = Random(setting.seed + 2)
    skew_of: dict[str, float] = {}

    def skew_s(peer: str) -> float:
        if peer and peer not in skew_of:
            skew_of[peer] = skews.uniform(-setting.skew_s, setting.skew_s)
        return skew_of[peer] if peer else 0.0

    async def let_go_at_once(releasing: Any, release: Release) -> None:
        holding = await trio.to_thread.run_sync(releasing._store.release, release.root, release.kind)
        if holding is not None:
            releasing._on_release(holding)

    leases = nullcontext() if setting.with_leases else patch.object(Releasing, "release", let_go_at_once)
    try:
        with leases, paced(), simulated(setting.seed, skew_s=skew_s) as clock:
            return trio.run(main, clock=clock)  # type: ignore[no-any-return]
    finally:
        log.setLevel(level)
