"""Build the planner's view from what this peer knows: the only place where beliefs become a `SwarmView`."""

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import trio

from node.kinds import EMBEDDED, KINDS
from node.replication.ever_held import EverHeld
from node.replication.view import PeerState, PeerView, RootKey, RootView, SwarmView
from node.swarm.knowledge import Knowledge
from node.swarm.speaking import Description
from protocol.admission import KEEPER
from protocol.beat import BackendReport, link_name
from protocol.membership import Peer

log = logging.getLogger("pinakothek.replication")

MOST_STRANGE_KINDS = 8
"""Kinds of a newer version that are planned, although nobody here can offer them: each is a plan of its own, and a pin may
name any. A bound on what a lying curator can make every plan cost. Guess."""
UNKNOWN_CHARTER_COUNTS = ("ipfs",)
OWN_STATES: Mapping[str, PeerState] = {
    "active": "alive",
    "draining": "draining",
    "away": "away",
    "leaving": "leaving",
    "recovering": "alive",
}
"""A peer's own word as it plans itself. While it recovers, others plan it as away; its own copies are as good here as
ever, and nothing is released."""


class Doubts(Protocol):
    """What audits have taught this peer about others' copies. Whoever changes an answer has the root replanned."""

    def unproven(self, root: bytes, kind: str) -> frozenset[str]:
        """Holders whose copy counts, but not for releases of this peer."""
        ...

    def absent(self, root: bytes, kind: str) -> frozenset[str]:
        """Holders whose copy counts as none until it is proven; they still serve as sources."""
        ...


class NoDoubts:
    """Takes everybody at their word."""

    def unproven(self, root: bytes, kind: str) -> frozenset[str]:
        """See `Doubts`."""
        return frozenset()

    def absent(self, root: bytes, kind: str) -> frozenset[str]:
        """See `Doubts`."""
        return frozenset()


class Beliefs:
    """Makes views.

    Args:
        describe: what this peer says of itself at this moment.
        linked: members that this peer has a connection to.
        blocked: why nothing may be planned, or None.
        doubts: of others' copies.
        ever_held: remembers over a restart which roots were held.
        set_aside: unwanted roots that are kept all the same: they are not planned.
        mass_loss: whether the storm guard is on (DESIGN §7, invariant 7), as of now: it is asked once the states of the
            peers are settled, and misses nobody whom the view calls suspect. Whoever changes the answer has all replanned.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        *,
        describe: Callable[[], Description],
        linked: Callable[[], frozenset[str]],
        blocked: Callable[[], str | None],
        doubts: Doubts | None = None,
        mass_loss: Callable[[], bool] = lambda: False,
        ever_held: EverHeld | None = None,
        set_aside: Container[bytes] = (),
    ) -> None:
        self._knowledge = knowledge
        self._records = knowledge.records.counting
        self._describe = describe
        self._linked = linked
        self._blocked = blocked
        self._doubts: Doubts = doubts or NoDoubts()
        self._mass_loss = mass_loss
        self._set_aside = set_aside
        self._strange_kinds: set[str] = set()
        self._ever_held: EverHeld | set[bytes] = set() if ever_held is None else ever_held

    def view(self, keys: Iterable[RootKey]) -> SwarmView:
        """All peers, and these roots."""
        peers = self._peers()
        return SwarmView(
            me=self._knowledge.me,
            peers=peers,
            roots={key: self.root(key) for key in keys},
            mass_loss=self._mass_loss(),
            planning_blocked=self._blocked(),
        )

    def signs(self) -> object:
        """What plans depend on that may change without any news: time passes, and this peer fills up."""
        now_s = trio.current_time()
        peers = self._knowledge.membership.peers().values()
        about = self._describe()
        return [peer.state(now_s) for peer in peers], about.state, about.zone, about.capacity_bytes, about.backends

    def keys_of(self, roots: Iterable[bytes]) -> list[RootKey]:
        """The keys under which these roots are wanted, or held here."""
        own = self._knowledge.own
        keys: dict[RootKey, None] = {}
        for root in roots:
            wanted = self._records.wanted(root)
            for kind in wanted.kinds if wanted else ():
                if self._is_planned(kind):
                    keys[RootKey(root, kind)] = None
            if wanted is None and root in self._set_aside:
                continue
            for kind in own.kinds_of(root):
                keys[RootKey(root, kind)] = None
        return list(keys)

    def _is_planned(self, kind: str) -> bool:
        if kind not in KINDS and kind not in self._strange_kinds:
            if len(self._strange_kinds) >= MOST_STRANGE_KINDS:
                return False
            log.warning("pins want a backend of kind %r, which is not known here", kind)
            self._strange_kinds.add(kind)
        return True

    def all_roots(self) -> set[bytes]:
        """Every root that is wanted or held here."""
        return {*self._records.roots(), *(element.root for element in self._knowledge.own.here)}

    def root(self, key: RootKey) -> RootView:
        """One root."""
        wanted = self._records.wanted(key.root)
        here = wanted is not None and key.kind in wanted.kinds
        holders = self._knowledge.holders(key.root, key.kind)
        if holders:
            self._ever_held.add(key.root)
        absent = holders & self._doubts.absent(key.root, key.kind) - {self._knowledge.me}
        pins = self._records.live_pins(key.root)
        sizes = [pin.record.size_bytes or 0 for pin in pins]
        is_image = any(pin.record.content == "image" for pin in pins)  # whoever wrote its pin had it
        return RootView(
            root=key.root,
            kind=key.kind,
            min=wanted.min if here and wanted else 0,
            max=self._copies_to_plan(wanted.max, holders, absent) if here and wanted else 0,
            size_bytes=max(sizes, default=0),
            holders=holders - absent,
            elsewhere=absent | self._on_other_kinds(key),
            unproven=self._doubts.unproven(key.root, key.kind),
            ever_held=key.root in self._ever_held or is_image,
            instead=() if here or wanted is None else self._instead(key.root, wanted.kinds),
        )

    def _instead(self, root: bytes, kinds: Sequence[str]) -> tuple[RootView, ...]:
        """A root on the kinds that pins want it on, those that are planned; else on one that is not: nobody can tell yet."""
        planned = [kind for kind in kinds if self._is_planned(kind)] or kinds[:1]
        return tuple(self.root(RootKey(root, kind)) for kind in planned)

    def _copies_to_plan(self, wanted_max: int, holders: frozenset[str], absent: frozenset[str]) -> int:
        """`max`, and one more for each absent copy that is still to be replaced.

        Its holder may be placed for the root, and will never fetch it: it says that it holds it.
        """
        replaced = not absent or sum(map(self._is_there, holders - absent)) >= wanted_max
        return wanted_max if replaced else wanted_max + sum(map(self._is_there, absent))

    def _is_there(self, peer_id: str) -> bool:
        peer = self._knowledge.membership.get(peer_id)
        return peer_id == self._knowledge.me or (peer is not None and peer.sees in ("alive", "suspect"))

    def _on_other_kinds(self, key: RootKey) -> frozenset[str]:
        known = {*self._knowledge.book.kinds(key.root), *self._knowledge.own.kinds_of(key.root)}
        kinds = known - {key.kind}
        return frozenset[str]().union(*(self._knowledge.holders(key.root, kind) for kind in kinds))

    def _peers(self) -> dict[str, PeerView]:
        now_s = trio.current_time()
        charter = self._records.charter
        counts = frozenset(charter.counts if charter else UNKNOWN_CHARTER_COUNTS)
        names = {link_name(peer_id): str(peer_id) for peer_id in self._knowledge.membership.peers()}
        names[link_name(self._knowledge.me)] = self._knowledge.me
        peers = {
            str(peer_id): self._other(peer, counts, names, now_s)
            for peer_id, peer in self._knowledge.membership.peers().items()
        }
        peers[self._knowledge.me] = self._this(counts)
        return peers

    def keepers(self) -> Iterator[tuple[str, PeerState, int]]:
        """Every keeper's id, state and capacity in bytes, this peer's included: all that the storm guard looks at."""
        now_s = trio.current_time()
        for peer_id, peer in self._knowledge.membership.peers().items():
            if KEEPER in peer.standing.roles:
                yield peer_id, self._state(peer, now_s), 0 if peer.beat is None else peer.beat.capacity_bytes
        if KEEPER in self._records.role(self._knowledge.me):
            about = self._describe()
            yield self._knowledge.me, OWN_STATES[about.state], about.capacity_bytes

    def _state(self, peer: Peer, now_s: float) -> PeerState:
        return "cloned" if self._knowledge.book.of(peer.peer_id).cloned else peer.state(now_s)

    def _other(self, peer: Peer, counts: frozenset[str], names: Mapping[bytes, str], now_s: float) -> PeerView:
        beat = peer.beat
        keeper = KEEPER in peer.standing.roles
        state = self._state(peer, now_s)
        if beat is None:
            return PeerView(peer_id=peer.peer_id, state=state, keeper=keeper, kinds=frozenset(), heard=False)
        return PeerView(
            peer_id=peer.peer_id,
            zone=beat.zone or "",
            state=state,
            keeper=keeper,
            capacity_bytes=beat.capacity_bytes,
            used_bytes=beat.used_bytes,
            kinds=frozenset(store.kind for store in beat.backends) & counts,
            full_kinds=frozenset(store.kind for store in beat.backends if store.full),
            store_ids=_shared(beat.backends),
            connected=frozenset(names[link] for link in beat.links if link in names),
            silent_s=peer.silent_s(now_s),
        )

    def _this(self, counts: frozenset[str]) -> PeerView:
        about = self._describe()
        roles = self._records.role(self._knowledge.me)
        return PeerView(
            peer_id=self._knowledge.me,
            zone=about.zone,
            state=OWN_STATES[about.state],
            keeper=KEEPER in roles,
            capacity_bytes=about.capacity_bytes,
            used_bytes=about.used_bytes,
            kinds=frozenset(store.kind for store in about.backends) & counts,
            full_kinds=frozenset(store.kind for store in about.backends if store.full),
            store_ids=_shared(about.backends),
            connected=self._linked(),
        )


def _shared(backends: Sequence[BackendReport]) -> dict[str, str]:
    """The stores that other peers may share.

    The embedded one is nobody else's: a member that named another's would speak for it, and its owner make no copy.
    """
    return {store.kind: store.store_id for store in backends if store.kind != EMBEDDED}
