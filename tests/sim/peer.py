"""One simulated peer: the daemon's own parts, put together by its own assembly, over a disk and a network that are not.

A *life* is one process. What survives it is the disk; a kill leaves it as it is at that instant.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import trio

from node.assembly.daemon import assemble
from node.assembly.network import Network
from node.config import Config, load
from node.events import wall_ms
from node.keys import IDENTITY, STEWARD, write_key
from node.running import Daemon
from node.setup import CONTACTS_FACT, SWARM_FACT
from node.swarm.gatekeeping import Gatekeeping
from node.swarm.storing import entry_of
from protocol.identity import KeyPair
from protocol.net.errors import NetError
from protocol.pin import Pin, pin_id
from protocol.recordset import RecordSet
from store.errors import StoreError
from store.store import Owner
from tests.sim.blocks import SimBitswap
from tests.sim.calls import SimRpc
from tests.sim.clock import IS_ALIVE, PEER
from tests.sim.disk import Disk, MemoryStore
from tests.sim.host import SimGossip, SimHost

if TYPE_CHECKING:
    from tests.sim.image import Picture
    from tests.sim.swarm import Swarm

T = TypeVar("T")

State = Literal["down", "starting", "up", "frozen", "dead"]


class SimPeer:
    """A peer of a simulated swarm.

    Attributes:
        state: `dead` peers never come back.
        daemon: of this life; read it only while the peer is up.
    """

    def __init__(self, swarm: Swarm, number: int, *, zone: str, capacity_bytes: int) -> None:
        self.swarm = swarm
        self.name = f"p{number}"
        self.key = KeyPair(b"%032d" % number)
        self.peer_id: str = self.key.peer_id
        self.zone = zone
        self.capacity_bytes = capacity_bytes
        self.folder: Path = swarm.folder / self.name
        self.address = f"/ip4/10.0.{number // 200}.{number % 200 + 1}/tcp/4801"
        self.disk = Disk(f"store-{number}")
        self.state: State = "down"
        self.daemon: Daemon
        self._store: MemoryStore
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._stop = trio.Event()
        self._ended = trio.Event()

    def initialise(self, *, steward: KeyPair | None = None) -> None:
        """As `init` leaves a data directory."""
        self.folder.mkdir(exist_ok=True)
        write_key(self.folder, IDENTITY, self.key)
        if steward is not None:
            write_key(self.folder, STEWARD, steward)
        entries = [entry_of(signed) for signed in self.swarm.first_records()]
        self.disk.records |= {entry.key: entry for entry in entries}
        self.disk.facts[SWARM_FACT] = self.swarm.founding.swarm_id.encode()
        self.swarm.truth.watch(self.peer_id, self.disk)

    # one life

    async def start(self) -> None:
        """Begin a life; returns when it runs."""
        assert self.state == "down"
        self.state = "starting"
        self.disk.facts[CONTACTS_FACT] = "\n".join(self.swarm.addresses()).encode()
        await self.swarm.nursery.start(self._live)
        self.state = "up"

    async def _live(self, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        PEER.set(self.peer_id)
        flags = {
            "name": self.name, "zone": self.zone, "capacity": str(self.capacity_bytes), "listen": [self.address],
            "gateway": "off",
        }  # fmt: skip
        self._store = store = MemoryStore(self.disk, self.folder, wall_ms)
        store.on_release = lambda root: self.swarm.truth.release(self.peer_id, root)
        IS_ALIVE.set(lambda: store.alive)
        self._stop, self._ended = trio.Event(), trio.Event()
        try:
            with trio.CancelScope() as self._scope:
                self.daemon = await assemble(load(self.folder, {}, flags), store, None, network=self._network)  # type: ignore[arg-type]
                async with trio.open_nursery() as self._nursery:
                    await self.daemon.start(self._nursery, self._stop, grace_s=5)
                    self.swarm.truth.is_up(self.peer_id, True)
                    task_status.started()
                    await trio.sleep_forever()
        except* Exception:  # whatever a process that was killed would still have come upon
            if store.alive:
                raise
        finally:
            self._ended.set()

    def _network(self, config: Config, key: KeyPair, store: Any, counting: RecordSet, gatekeeping: Gatekeeping) -> Any:
        host = SimHost(self.swarm.network, key.peer_id, counting.is_member, gatekeeping)

        def read(cid: bytes) -> bytes | None:
            try:
                block: bytes = store.get(cid)
            except StoreError:
                return None
            return block

        bitswap = SimBitswap(host, read=read, may_serve=gatekeeping.may_serve)
        return Network(host, SimGossip(host), SimRpc(host), bitswap)  # type: ignore[arg-type]

    async def kill(self, *, silently: bool = False) -> None:
        """SIGKILL, or with `silently` the power goes; what the process was doing changes nothing any more."""
        if self.state == "frozen":
            self.thaw()
        self.state = "down"
        self._store.alive = False
        self.swarm.truth.is_up(self.peer_id, False)
        self.swarm.network.host_gone(self.peer_id, silently=silently)
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._ended.wait()

    async def stop(self) -> None:
        """SIGTERM."""
        self._stop.set()
        await self.daemon.finish()
        await self.kill()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.state = "frozen"
        self.swarm.truth.is_up(self.peer_id, False)
        self.swarm.network.silent.add(self.peer_id)
        self.swarm.network.changed()
        self.swarm.freezer.freeze(self.peer_id)

    def thaw(self) -> None:
        """SIGCONT."""
        self.state = "up"
        self.swarm.freezer.thaw(self.peer_id)
        self.swarm.network.silent.discard(self.peer_id)
        self.swarm.network.changed()
        self.swarm.truth.is_up(self.peer_id, True)

    async def die(self) -> None:
        """The machine burns, its disk with it."""
        if self.state in ("up", "frozen"):
            await self.kill(silently=True)
        self.state = "dead"
        self.swarm.truth.destroy(self.peer_id)

    async def lose_disk(self) -> None:
        """The disk is replaced by an empty one; the identity was kept elsewhere, and the swarm's records come by sync."""
        if self.state in ("up", "frozen"):
            await self.kill(silently=True)
        self.swarm.truth.destroy(self.peer_id)
        self.disk = Disk(f"{self.disk.store_id}+")
        self.disk.rebuilt = True
        shutil.rmtree(self.folder)
        self.initialise()

    # what its operator asks of it

    def spawn(self, task: Callable[..., Awaitable[Any]], *given: Any) -> None:
        """Run something in this peer's process."""
        assert self._nursery is not None
        self._nursery.start_soon(self._as_this_peer, task, given)

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Run something in this peer's process, and wait for what it returns."""
        answers: list[T] = []
        done = trio.Event()

        async def answer() -> None:
            answers.append(await question())
            done.set()

        self.spawn(answer)
        await done.wait()
        return answers[0]

    async def _as_this_peer(self, task: Callable[..., Awaitable[Any]], given: tuple[Any, ...]) -> None:
        store = self._store
        PEER.set(self.peer_id)
        IS_ALIVE.set(lambda: store.alive)
        try:
            await task(*given)
        except (StoreError, NetError) as error:
            self.swarm.refusals.append(f"{self.name}: {error}")

    def add(self, picture: Picture, *, wait: int = 1) -> None:
        """`pina add --wait`: everything after the decoding, as `node.ingest.intake` does it."""
        self.spawn(self._add, picture, wait)

    async def _add(self, picture: Picture, wait: int) -> None:
        parts = self.daemon.parts
        pin = Pin(
            id=pin_id("default", picture.root, picture.name, None), flow="default", root=picture.root,
            name=picture.name, original=picture.root, size_bytes=picture.size_bytes, added_at_ms=wall_ms(),
        )  # fmt: skip
        owner = Owner("job", picture.root)

        def persist(entry: Any) -> Any:
            self._store.put(picture.blocks, owner=owner, verified=True)
            return self._store.commit_image(
                picture.root, "ipfs", [cid for cid, _ in picture.blocks], picture.size_bytes, owner, [entry]
            )

        with trio.CancelScope(shield=True):
            signed, holding = await parts.records.write_along(pin, persist)
            parts.knowledge.holding_changed(holding, True)
        if wait > 1:
            self.swarm.acknowledged(picture.root, await parts.receipts.collect(signed, wait, trio.current_time() + 60))
