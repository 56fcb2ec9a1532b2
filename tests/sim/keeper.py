"""One simulated peer: the real planner and the real lease machine around a disk and a mailbox that are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from node.replication.planner import Fetch, Planner, Release
from node.replication.view import PeerState, PeerView, RootKey, RootView, SwarmView, by_key
from protocol.leases import Cancel, Granted, Lease, Leases, Refused

if TYPE_CHECKING:
    from tests.sim.swarm import Swarm

BEAT_S = 5.0
SUSPECT_AFTER_S = 15.0
REPAIR_AFTER_S = 300.0
FETCHES = 4


class Keeper:
    """What survives a crash are `disk`, `claims`, `version` and `lease_file`; `start` forgets the rest."""

    def __init__(self, swarm: Swarm, name: str, zone: str) -> None:
        self.swarm, self.name, self.zone = swarm, name, zone
        self.disk: set[bytes] = set()  # what is whole on the disk
        self.claims: set[bytes] = set()  # what its holdings say; more than `disk` where a disk rots
        self.version = 0
        self.lease_file: dict[tuple[bytes, str, bytes], bytes] = {}
        self.life = 0
        self.up = False

    def start(self) -> None:
        self.up = True
        self.life += 1
        self.swarm.network.unreachable.discard(self.name)
        self.leases = Leases(self.name, [Lease.from_bytes(raw) for raw in self.lease_file.values()])
        self.planner = Planner()
        self.fetching: dict[bytes, int] = {}
        self.heard_s: dict[str, float] = {}
        self.holdings: dict[str, tuple[int, frozenset[bytes]]] = {}
        self.woke_s = self.swarm.clock.now_s
        self._again(self.beat, self.swarm.random.uniform(0, BEAT_S), BEAT_S)
        self._again(self.work, self.swarm.random.uniform(0, BEAT_S), 4.0)

    def crash(self) -> None:
        self.up = False
        self.life += 1
        self.swarm.network.unreachable.add(self.name)

    def freeze(self) -> None:
        """SIGSTOP: memory stays, nothing runs, nothing arrives."""
        self.crash()

    def thaw(self) -> None:
        self.up = True
        self.swarm.network.unreachable.discard(self.name)
        self.woke_s = self.swarm.clock.now_s
        self._again(self.beat, 0.1, BEAT_S)
        self._again(self.work, 0.1, 4.0)

    def _again(self, act: object, first_s: float, every_s: float) -> None:
        life = self.life

        def turn() -> None:
            if self.life == life:
                act()  # type: ignore[operator]
                self.swarm.clock.after(every_s, turn)

        self.swarm.clock.after(first_s, turn)

    # membership and holdings

    def beat(self) -> None:
        said = self.version, frozenset(self.claims)
        for other in self.swarm.keepers.values():
            if other is not self:
                self._send(other, lambda other=other: other.on_beat(self.name, *said))

    def on_beat(self, frm: str, version: int, claims: frozenset[bytes]) -> None:
        self.heard_s[frm] = self.swarm.clock.now_s
        if version >= self.holdings.get(frm, (0, None))[0]:
            self.holdings[frm] = version, claims

    def state_of(self, name: str) -> PeerState:
        silent_s = self.swarm.clock.now_s - max(self.heard_s.get(name, 0), self.woke_s)
        if name == self.name or silent_s < SUSPECT_AFTER_S:
            return "alive"
        return "suspect" if silent_s < REPAIR_AFTER_S else "down"

    def view(self) -> SwarmView:
        known: Mapping[str, frozenset[bytes] | set[bytes]] = {
            **{name: claims for name, (_, claims) in self.holdings.items()},
            self.name: self.claims,
        }
        roots = [
            RootView(
                root=root, min=low, max=high, size_bytes=1, holders=frozenset(n for n, c in known.items() if root in c)
            )
            for root, (low, high) in self.swarm.factors.items()
        ]
        peers = {
            name: PeerView(peer_id=name, zone=k.zone, state=self.state_of(name), capacity_bytes=10_000)
            for name, k in self.swarm.keepers.items()
        }
        blind = self.swarm.clock.now_s - self.woke_s < SUSPECT_AFTER_S
        return SwarmView(
            me=self.name, peers=peers, roots=by_key(roots), planning_blocked="just woke" if blind else None
        )

    # acting on the plan

    def work(self) -> None:
        now_ms = int(self.swarm.clock.now_s * 1000)
        for late in self.leases.tick(now_ms):
            self._give_back(late)
        for lease in self.leases.expire(now_ms):
            self.lease_file.pop((lease.root, lease.to, lease.nonce), None)
        actions = self.planner.survey(self.view()).actions
        planned = {action.root for action in actions if isinstance(action, Fetch)}
        self.fetching = {root: turn for root, turn in self.fetching.items() if root in planned}
        for action in actions:
            if isinstance(action, Release):
                self._release(action)
            elif action.root not in self.fetching and len(self.fetching) < FETCHES and action.sources:
                self._fetch(action)

    def _fetch(self, fetch: Fetch) -> None:
        turn = self.swarm.random.getrandbits(32)
        self.fetching[fetch.root] = turn
        best = self.swarm.random.random() < 0.8
        source = self.swarm.keepers[fetch.sources[0] if best else self.swarm.random.choice(fetch.sources)]

        def arrived() -> None:
            if self.fetching.pop(fetch.root, None) == turn:
                self.hold(fetch.root)

        self._send(source, lambda: fetch.root in source.disk and source._send(self, arrived))
        self.swarm.clock.after(10, lambda: self.fetching.get(fetch.root) == turn and self.fetching.pop(fetch.root))

    def hold(self, root: bytes) -> None:
        if root not in self.claims:
            self.version += 1
            self.swarm.copied += 1
        self.disk.add(root)
        self.claims.add(root)

    def _release(self, release: Release) -> None:
        if not self.swarm.with_leases:
            self.let_go(release.root, release.max)
            return
        nonce = self.swarm.random.randbytes(8)
        now_ms = int(self.swarm.clock.now_s * 1000)
        begun = self.leases.begin(release.root, release.kind, release.ask, release.max, nonce=nonce, now_ms=now_ms)
        if isinstance(begun, Refused):
            return
        for name in sorted(begun.needed):
            owner = self.swarm.keepers[name]
            self._send(owner, lambda owner=owner: owner.on_ask(self, release, nonce))

    def on_ask(self, asker: Keeper, release: Release, nonce: bytes) -> None:
        root, now_ms = release.root, int(self.swarm.clock.now_s * 1000)
        answer = self.leases.ask(
            root,
            release.kind,
            asker.name,
            release.max,
            now_ms=now_ms,
            complete=root in self.claims,
            known_max=self.swarm.factors[root][1],
            nonce=nonce,
        )
        if isinstance(answer, Granted):
            self.lease_file[root, asker.name, nonce] = answer.lease.to_bytes()
            self._give_back(answer.cancelled)
        proven = root in self.disk
        if not proven:
            self.swarm.clock.after(5, lambda: self.find_rotten(root))
        self._send(asker, lambda: asker.on_answer(self.name, release, nonce, answer, proven))

    def on_answer(self, owner: str, release: Release, nonce: bytes, answer: Granted | Refused, proven: bool) -> None:
        now_ms = int(self.swarm.clock.now_s * 1000)
        if isinstance(answer, Refused):
            self._give_back(self.leases.refused(nonce, owner, answer.detail))
            return
        outcome = self.leases.granted(answer.lease, proven=proven, now_ms=now_ms)
        if isinstance(outcome, Cancel):
            self._give_back(outcome)
        elif outcome is not None:
            life = self.life

            def carry_out() -> None:
                if self.life == life and self.leases.may_release_now(nonce, int(self.swarm.clock.now_s * 1000)):
                    self.let_go(release.root, release.max)
                    self._give_back(self.leases.finish(nonce))

            self.swarm.clock.after(0.05, carry_out)

    def let_go(self, root: bytes, wanted_max: int) -> None:
        self.claims.discard(root)
        self.disk.discard(root)
        self.version += 1
        self.swarm.on_release(self.name, root, wanted_max)

    def _give_back(self, over: Cancel | None) -> None:
        for name in sorted(over.give_back) if over else ():
            owner = self.swarm.keepers[name]
            self._send(owner, lambda owner=owner: owner.on_return(over.root, self.name, over.nonce))

    def on_return(self, root: bytes, asker: str, nonce: bytes) -> None:
        self.leases.given_back(root, "ipfs", asker, nonce)
        self.lease_file.pop((root, asker, nonce), None)

    def find_rotten(self, root: bytes) -> None:
        """A failed proof makes a peer re-hash the root and take its claim back."""
        if self.up and root not in self.disk and root in self.claims:
            self.claims.discard(root)
            self.version += 1

    def key(self, root: bytes) -> RootKey:
        return RootKey(root, "ipfs")

    def _send(self, to: Keeper, deliver: object) -> None:
        self.swarm.network.send(self.name, to.name, deliver)  # type: ignore[arg-type]
