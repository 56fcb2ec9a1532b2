"""Put a daemon together: which part knows which, all in one place. Nothing here decides; the hooks only pass on."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import trio

from node.config import Config, Effective
from node.errors import Failed
from node.events import Events, wall_ms
from node.gateway.process import GatewayProcess
from node.ingest.decoder import DecoderPool
from node.ingest.intake import Intake
from node.keys import IDENTITY, STEWARD, read_key
from node.lookup import Lookup
from node.parts import Parts
from node.reading import Reading
from node.replication.audited import Audited
from node.replication.auditing import Auditing
from node.replication.backend_health import BackendHealth
from node.replication.beliefs import Beliefs
from node.replication.controller import Controller
from node.replication.draining import Draining
from node.replication.ever_held import EverHeld
from node.replication.executor import Executor
from node.replication.pace import Pace
from node.replication.receipts import Receipts
from node.replication.recovering import Recovering
from node.replication.releasing import Releasing, SteadyClock
from node.replication.retracting import Retracting
from node.replication.scrubbing import Scrubbing
from node.replication.storm_watch import StormWatch
from node.replication.throttle import Throttle
from node.replication.vigil import Vigil
from node.replication.work import Work
from node.running import Daemon, Inner
from node.self_description import SelfDescription
from node.similarity import Similarity
from node.sources import Sources
from node.standing_orders import StandingOrders
from node.swarm.admitting import Admitting
from node.swarm.answering import Answering
from node.swarm.belonging import swarm_of
from node.swarm.belonging_watch import BelongingWatch
from node.swarm.catching_up import CatchingUp
from node.swarm.comeback import INCARNATION_FACT, Comeback
from node.swarm.contacts import Contacts
from node.swarm.farewell import until_known
from node.swarm.gatekeeping import Gatekeeping
from node.swarm.heard import Heard, load_heard
from node.swarm.knowledge import Knowledge
from node.swarm.listening import Listening
from node.swarm.own_holdings import OwnHoldings
from node.swarm.records import SharedRecords
from node.swarm.replica_calls import answer_replica_calls
from node.swarm.speaking import Speaking
from node.swarm.sync_answers import SyncAnswers
from node.swarm.twin_watch import TwinWatch
from node.version import VERSION
from protocol.author import Author
from protocol.beat import SignedBeat
from protocol.changes import Changes
from protocol.charter import swarm_hash
from protocol.holdings_messages import Element
from protocol.identity import KeyPair, PeerId
from protocol.membership import Membership
from protocol.net.bitswap import Bitswap
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.net.rpc import Rpc
from protocol.records import Record, Signed
from protocol.recordset import RecordSet
from store.errors import BlockNotFound, StoreError
from store.store import Store

log = logging.getLogger("pinakothek.daemon")

INLINE_READ_BYTES = 64 * 1024
"""Smaller blocks are read on the event loop: 0.1 ms from the page cache, where a thread costs as much by itself."""


Network = tuple[Host, Gossip, Rpc, Bitswap]


class Hooks:
    """What parts tell one another before all of them exist; `daemon` fills in the rest."""

    def __init__(self) -> None:
        self.change: Callable[[Changes], None] = lambda _: None
        self.news: Callable[[Sequence[Signed[Record]]], None] = lambda _: None
        self.replan: Callable[[Iterable[bytes] | None], None] = lambda _: None
        self.step: Callable[[], None] = lambda: None
        self.beat: Callable[[SignedBeat], None] = lambda _: None
        self.invites_open: Callable[[], bool] = lambda: False
        self.swarm_ms: Callable[[], int] = wall_ms
        self.unreadable: Callable[[], None] = lambda: None


MakeNetwork = Callable[[Config, KeyPair, Store, RecordSet, Gatekeeping], Network]


async def assemble(
    effective: Effective, store: Store, decoder: DecoderPool, *, network: MakeNetwork | None = None
) -> Daemon:
    """Read what the data directory says and make every part; nothing runs yet.

    Args:
        network: makes what carries messages and blocks; by default libp2p does.

    Raises:
        Failed: the data directory is damaged.
        StoreError: the disk refuses.
    """
    config = effective.config
    key, swarm_id, swarm = await _identified(config, store)
    hooks = Hooks()
    records = await _records(store, key, config.data_dir, swarm_id, hooks)
    heard = await trio.to_thread.run_sync(load_heard, config.data_dir)
    knowledge = _knowledge(effective, store, key, records, heard, hooks)
    orders = StandingOrders(store)
    about = SelfDescription(store, config, orders)
    gatekeeping = Gatekeeping(records.counting, lambda: hooks.invites_open())
    host, gossip, rpc, bitswap = (network or _network)(config, key, store, records.counting, gatekeeping)
    contacts = Contacts(host, store, knowledge)
    comeback = Comeback(
        rpc, store, knowledge, reachable=contacts.linked,
        incarnation=await trio.to_thread.run_sync(_next_incarnation, store),
    )  # fmt: skip
    speaking = Speaking(
        host, gossip, swarm_id, knowledge, name=config.name, version=VERSION, comeback=comeback,
        describe=about.describe, muted=lambda: retracting.overdue,
    )  # fmt: skip
    listening = Listening(
        gossip, swarm_id, knowledge, on_beat=lambda signed: hooks.beat(signed), on_offence=host.cut_off
    )
    catching_up = CatchingUp(
        rpc, records, knowledge.book, reachable=contacts.linked, on_holders=lambda roots: hooks.replan(roots),
        on_offence=host.cut_off,
    )  # fmt: skip
    SyncAnswers(rpc, records.counting, stated=knowledge.stated_of, last_heard=knowledge.last_heard)
    recovering = Recovering(
        store, knowledge, catching_up, lately_heard=lambda: daemon.lately_heard(), on_over=lambda: hooks.replan(None)
    )
    ever_held = EverHeld(store)
    sources = Sources(host, knowledge)
    reading = Reading(store, bitswap, sources.for_reading)
    retracting = Retracting(store, knowledge)
    disk = BackendHealth(
        store, knowledge, retracting, on_refusal=about.disk_refused, on_unreadable=lambda: hooks.unreadable()
    )
    scrubbing = Scrubbing(store, knowledge, on_unreadable=lambda: hooks.unreadable())
    audited = Audited(rpc, store, key.peer_id, holds=knowledge.own.holds, on_unreadable=lambda: hooks.unreadable())
    auditing = Auditing(
        rpc, store, knowledge, now_ms=SteadyClock().now_ms, blocked=lambda: daemon.blocked(),
        owners_of=lambda root, kind: controller.owners_of(root, kind), on_unreadable=lambda: hooks.unreadable(),
        on_doubted=audited.recheck, on_judged=lambda roots: hooks.replan(roots),
    )  # fmt: skip
    beliefs = Beliefs(
        knowledge, describe=about.describe, linked=contacts.linked, blocked=lambda: daemon.blocked(),
        doubts=auditing, mass_loss=lambda: storm.mass_loss(), ever_held=ever_held,
    )  # fmt: skip
    storm = StormWatch(store, knowledge.events, keepers=beliefs.keepers, on_change=lambda: hooks.replan(None))
    about.repair_now_ms = lambda: storm.repair_now_ms(wall_ms())
    throttle = Throttle(lambda: storm.bytes_per_s(config.repair_bytes_per_s))
    releasing, executor = _acting(store, knowledge, rpc, bitswap, sources, about, recovering, throttle, hooks)
    controller = Controller(beliefs, executor, wait=catching_up.brings_many)
    draining = Draining(
        knowledge, beliefs, orders, knowledge.events, blocked=lambda: daemon.blocked(),
        busy=lambda: intake.running > 0 or releasing.is_bound, farewell=lambda: until_known(rpc, contacts.linked()),
    )  # fmt: skip
    about.has_left = lambda: draining.has_left
    controller.outlook.listeners.append(draining.looked_at)
    receipts = Receipts(rpc, knowledge, key, store_id=store.store_id, owners_of=controller.owners_of)
    answer_replica_calls(rpc, releasing, receipts, on_doubt=auditing.heard)
    Admitting(rpc, records, swarm, addrs_of=contacts.addrs_of)
    lookup = Lookup(records.counting)
    similarity = Similarity(records.counting)
    Answering(
        rpc, knowledge, lookup, reading, similarity, name=config.name, version=VERSION, swarm=swarm, describe=about.describe,
        addrs_of=contacts.addrs_of,
    )  # fmt: skip
    intake = Intake(store, decoder, records, holds=knowledge.own.holds, on_holding=knowledge.holding_changed)
    parts = Parts(
        settings=effective,
        key=key,
        swarm=swarm,
        swarm_id=swarm_id,
        capacity_bytes=about.capacity_bytes,
        started_s=trio.current_time(),
        store=store,
        events=knowledge.events,
        records=records,
        knowledge=knowledge,
        lookup=lookup,
        host=host,
        bitswap=bitswap,
        gossip=gossip,
        speaking=speaking,
        comeback=comeback,
        twins=TwinWatch(rpc, knowledge, comeback, reachable=contacts.linked),
        executor=executor,
        controller=controller,
        receipts=receipts,
        releasing=releasing,
        rpc=rpc,
        storm=storm,
        auditing=auditing,
        audited=audited,
        scrubbing=scrubbing,
        retracting=retracting,
        disk=disk,
        reading=reading,
        intake=intake,
        similarity=similarity,
        gateway=_gateway(config),
        orders=orders,
        about=about,
        draining=draining,
        pace=Pace(),
    )
    inner = Inner(
        contacts=contacts, listening=listening, catching_up=catching_up, comeback=comeback, releasing=releasing,
        recovering=recovering, about=about, gatekeeping=gatekeeping,
        belonging=BelongingWatch(rpc, knowledge, reachable=contacts.linked),
        vigil=Vigil(controller.outlook, knowledge.events, blocked=lambda: daemon.blocked()),
        heard_before=heard, ever_held=ever_held,
    )  # fmt: skip
    daemon = Daemon(parts, inner)
    daemon.connect(hooks)
    return daemon


def _gateway(config: Config) -> GatewayProcess | None:
    if config.gateway is None:
        return None
    host, port = config.gateway
    return GatewayProcess(config.data_dir, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


async def _identified(config: Config, store: Store) -> tuple[KeyPair, str, bytes]:
    """Who this peer is, and of which swarm."""
    key = read_key(config.data_dir, IDENTITY)
    swarm_id = None if key is None else await trio.to_thread.run_sync(swarm_of, store, key.peer_id)
    if key is None or swarm_id is None:
        raise Failed(f"{config.data_dir}: damaged: no identity or no swarm in it", hint="restore it from a backup")
    return key, swarm_id, swarm_hash(swarm_id)


def _acting(
    store: Store,
    knowledge: Knowledge,
    rpc: Rpc,
    bitswap: Bitswap,
    sources: Sources,
    about: SelfDescription,
    recovering: Recovering,
    throttle: Throttle,
    hooks: Hooks,
) -> tuple[Releasing, Executor]:
    """Those who carry out plans."""
    releasing = Releasing(
        store, rpc, knowledge.records, knowledge.key, max_of=sources.max_of, holds=knowledge.own.holds,
        blocked=lambda: recovering.reason() or about.no_promises, on_release=lambda holding: knowledge.holding_changed(holding, False),
    )  # fmt: skip
    executor = Executor(
        store, bitswap, releasing, Work(), knowledge.events, throttle, sources_of=sources.for_fetch,
        connected=sources.connected, limit_of=sources.limit_of, free_bytes=about.free_bytes,
        on_holding=knowledge.holding_changed, on_retry=lambda root: hooks.replan([root]),
        on_refusal=about.disk_refused,
    )  # fmt: skip
    return releasing, executor


async def _records(store: Store, key: KeyPair, data_dir: Path, swarm_id: str, hooks: Hooks) -> SharedRecords:
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
    return Knowledge(key, records, membership, own, Events(), replan=lambda roots: hooks.replan(roots))


def _network(config: Config, key: KeyPair, store: Store, counting: RecordSet, gatekeeping: Gatekeeping) -> Network:
    async def get_block(cid: bytes) -> bytes | None:
        try:
            if (store.size(cid) or 0) <= INLINE_READ_BYTES:
                return store.get(cid)
            return await trio.to_thread.run_sync(store.get, cid)
        except BlockNotFound:
            return None
        except StoreError as error:
            log.warning("not served: %s", error)
            return None

    def block_size(cid: bytes) -> int | None:
        try:
            return store.size(cid)
        except StoreError:  # a CID of a kind that we do not keep, or a disk that refuses
            return None

    host = Host(
        key.seed, is_member=counting.is_member, strangers_may=gatekeeping.strangers_may, also_may=gatekeeping.also_may
    )
    bitswap = Bitswap(
        host, get_block=get_block, block_size=block_size, may_serve=gatekeeping.may_serve, is_member=counting.is_member,
        strangers_bytes_per_s=config.strangers_bytes_per_s,
    )  # fmt: skip
    return host, Gossip(host), Rpc(host), bitswap


def _next_incarnation(store: Store) -> int:
    """One more than the last; with the count lost, more than it can have been: far fewer starts than seconds."""
    last = store.fact(INCARNATION_FACT)
    incarnation = (wall_ms() // 1000 if last is None and store.rebuilt else int(last or b"0")) + 1
    store.set_fact(INCARNATION_FACT, str(incarnation).encode())
    return incarnation
