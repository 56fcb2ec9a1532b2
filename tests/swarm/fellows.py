"""A swarm's members in this process: an honest one made of the real parts, and hosts that may say anything as members."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from node.events import Events, wall_ms
from node.swarm.catching_up import CatchingUp
from node.swarm.comeback import Comeback
from node.swarm.knowledge import Knowledge
from node.swarm.listening import Listening
from node.swarm.own_holdings import OwnHoldings
from node.swarm.records import SharedRecords
from node.swarm.sync_answers import SyncAnswers
from protocol.admission import CURATOR, KEEPER, Admission
from protocol.author import Author
from protocol.founding import found_swarm
from protocol.holdings_messages import Element
from protocol.identity import KeyPair
from protocol.membership import Membership
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.net.rpc import Rpc
from protocol.records import Record, Signed
from protocol.recordset import RecordSet
from store.store import Store
from tests.net.hosts import LOOPBACK


class Founded:
    """A swarm on paper: `keys[0]` founded it, the others were admitted."""

    def __init__(self, count: int) -> None:
        self.keys = [KeyPair(bytes([n + 1]) * 32) for n in range(count)]
        steward = KeyPair(b"s" * 32)
        founding = found_swarm(self.keys[0].peer_id, steward, KeyPair(b"r" * 32).peer_id, name="test", now_ms=wall_ms())
        author = Author(steward)
        others = [Admission(peer=key.peer_id, roles=(CURATOR, KEEPER)) for key in self.keys[1:]]
        admitted = [author.write(admission, wall_ms()) for admission in others]
        self.records: tuple[Signed[Record], ...] = (*founding.records, *admitted)
        self.swarm_id, self.swarm = founding.swarm_id, founding.swarm

    def is_member(self, peer_id: str) -> bool:
        return peer_id in {key.peer_id for key in self.keys}


class Fellow:
    """A member's network and nothing above it: what it says is the test's affair."""

    def __init__(self, founded: Founded, key: KeyPair) -> None:
        self.key = key
        self.host = Host(key.seed, is_member=founded.is_member, strangers_may=lambda: frozenset())
        self.gossip = Gossip(self.host)
        self.rpc = Rpc(self.host)


class Honest(Fellow):
    """A member that listens, answers and catches up, on a store of its own."""

    def __init__(self, founded: Founded, key: KeyPair, store: Store) -> None:
        super().__init__(founded, key)
        self.store = store
        self.records = SharedRecords(
            store, RecordSet(founded.swarm), Author(key), None, on_change=lambda _: None, on_news=lambda _: None
        )
        state, held = store.holdings_at()
        own = OwnHoldings(state.epoch, state.seq, [Element(*each) for each in held], on_step=lambda: None)
        membership = Membership(key.peer_id, trio.current_time())
        self.knowledge = Knowledge(key, self.records, membership, own, Events(), replan=lambda _: None)
        self.rpc.on_refusal = self.records.refusals.count_call
        self.listening = Listening(
            self.gossip, founded.swarm_id, self.knowledge, on_beat=lambda _: None, on_offence=self.host.disconnect
        )
        self.catching_up = CatchingUp(
            self.rpc, self.records, self.knowledge.book, reachable=lambda: frozenset(self.host.connected()),
            on_holders=lambda _: None, on_offence=self.host.disconnect,
        )  # fmt: skip
        self.sync_answers = SyncAnswers(
            self.rpc, self.records.counting, stated=self.knowledge.stated_of, last_heard=self.knowledge.last_heard
        )
        self.comeback = Comeback(
            self.rpc, store, self.knowledge, reachable=lambda: frozenset(self.host.connected()), incarnation=1
        )


@asynccontextmanager
async def honest(
    founded: Founded, key: KeyPair, folder: Path, *, records: Sequence[Signed[Record]] | None = None
) -> AsyncIterator[Honest]:
    """An honest member, running, its comeback aside; it knows `records`, or all of the swarm's."""
    store = Store.open(folder)
    try:
        peer = Honest(founded, key, store)
        await peer.records.accept([signed.raw for signed in (founded.records if records is None else records)])
        peer.knowledge.standings_changed()
        async with trio.open_nursery() as nursery:
            await nursery.start(peer.host.run, [LOOPBACK])
            nursery.start_soon(peer.listening.run)
            nursery.start_soon(peer.catching_up.run)
            yield peer
            nursery.cancel_scope.cancel()
    finally:
        store.close()
