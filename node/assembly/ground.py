"""What everything else stands on: the settings, the store, who this peer is, what it knows, and how it reaches others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from node.assembly.hooks import Hooks
from node.assembly.network import Network
from node.config import Config, Effective
from node.errors import Failed
from node.events import Events
from node.keys import IDENTITY, STEWARD, read_key
from node.offering import Offering
from node.self_description import SelfDescription
from node.standing_orders import StandingOrders
from node.swarm.absentees import Absentees
from node.swarm.belonging import swarm_of
from node.swarm.checking import Elsewhere
from node.swarm.gatekeeping import Gatekeeping
from node.swarm.heard import Heard, load_heard
from node.swarm.knowledge import Knowledge
from node.swarm.own_holdings import OwnHoldings
from node.swarm.records import SharedRecords
from node.swarm.set_aside import SetAside
from node.swarm.sparing import Sparing
from protocol.author import Author
from protocol.charter import swarm_hash
from protocol.holdings_messages import Element
from protocol.identity import KeyPair, PeerId
from protocol.membership import Membership
from protocol.recordset import RecordSet
from store.backends import Backend
from store.store import Store

MakeNetwork = Callable[[Config, KeyPair, Store, RecordSet, Gatekeeping], Network]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Made before any other part.

    Attributes:
        swarm: hash of the first charter; `swarm_id` is its text.
        heard: what was last heard of each peer before this start.
    """

    effective: Effective
    store: Store
    key: KeyPair
    swarm: bytes
    swarm_id: str
    hooks: Hooks
    records: SharedRecords
    heard: dict[PeerId, Heard]
    aside: SetAside
    knowledge: Knowledge
    absentees: Absentees
    orders: StandingOrders
    offering: Offering
    about: SelfDescription
    gatekeeping: Gatekeeping
    network: Network

    @property
    def config(self) -> Config:
        return self.effective.config


async def lay_ground(
    effective: Effective, store: Store, backends: Mapping[str, Backend], check: Elsewhere, make_network: MakeNetwork
) -> Ground:
    """Read what the data directory says.

    Raises:
        Failed: it is damaged.
        StoreError: the disk refuses.
    """
    config = effective.config
    key, swarm_id = await _identified(config, store)
    hooks = Hooks()
    records = await _records(store, key, config.data_dir, swarm_id, check, hooks)
    heard = await trio.to_thread.run_sync(load_heard, config.data_dir)
    aside = SetAside(store)
    await trio.to_thread.run_sync(aside.load)
    orders = StandingOrders(store)
    offering = Offering(store, backends, config.allow_backends)
    knowledge = _knowledge(effective, store, key, records, heard, hooks)
    Sparing(knowledge, aside, is_recovering=lambda: store.rebuilt)
    await records.go_on()
    gatekeeping = Gatekeeping(records.counting, lambda: hooks.invites_open())
    return Ground(
        effective=effective,
        store=store,
        key=key,
        swarm=swarm_hash(swarm_id),
        swarm_id=swarm_id,
        hooks=hooks,
        records=records,
        heard=heard,
        aside=aside,
        knowledge=knowledge,
        absentees=Absentees(config.data_dir, knowledge),
        orders=orders,
        offering=offering,
        about=SelfDescription(store, config, orders, offering),
        gatekeeping=gatekeeping,
        network=make_network(config, key, store, records.counting, gatekeeping),
    )


async def _identified(config: Config, store: Store) -> tuple[KeyPair, str]:
    """Who this peer is, and of which swarm."""
    key = read_key(config.data_dir, IDENTITY)
    swarm_id = None if key is None else await trio.to_thread.run_sync(swarm_of, store, key.peer_id)
    if key is None or swarm_id is None:
        raise Failed(f"{config.data_dir}: damaged: no identity or no swarm in it", hint="restore it from a backup")
    return key, swarm_id


async def _records(
    store: Store, key: KeyPair, data_dir: Path, swarm_id: str, check: Elsewhere, hooks: Hooks
) -> SharedRecords:
    author = Author(key)
    steward = read_key(data_dir, STEWARD)
    records = SharedRecords(
        store,
        RecordSet(swarm_hash(swarm_id)),
        author,
        Author(steward, author.clock) if steward else None,
        on_change=lambda change: hooks.change(change),
        on_news=lambda news: hooks.news(news),
        swarm_ms=lambda: hooks.swarm_ms(),
        check=check,
    )
    await records.load()
    if records.counting.standing(key.peer_id) is None:
        raise Failed(f"{data_dir / IDENTITY}: damaged: the key of another peer", hint="restore it from a backup")
    return records


def _knowledge(
    effective: Effective, store: Store, key: KeyPair, records: SharedRecords, heard: dict[PeerId, Heard], hooks: Hooks
) -> Knowledge:
    config = effective.config
    membership = Membership(
        key.peer_id,
        trio.current_time(),
        suspect_after_s=config.suspect_after_s,
        repair_after_s=config.repair_after_s,
        heard={peer: (one.incarnation, one.seq) for peer, one in heard.items()},
    )
    state = store.new_epoch(1) if store.rebuilt else store.holding_state()
    held = [Element(element.root, element.kind) for element in store.holdings()]
    own = OwnHoldings(state.epoch, state.seq, held, on_step=lambda: hooks.step())
    knowledge = Knowledge(key, records, membership, own, Events(), replan=lambda roots: hooks.replan(roots))
    knowledge.recall_clones({peer: one.cloned_epoch for peer, one in heard.items() if one.cloned_epoch is not None})
    return knowledge
