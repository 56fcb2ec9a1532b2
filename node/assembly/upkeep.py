"""Those who keep the factors: what is believed, planned, carried out and promised."""

from collections.abc import Callable
from dataclasses import dataclass

from node.assembly.ground import Ground
from node.assembly.talk import Talk
from node.assembly.truth import Truth
from node.events import wall_ms
from node.replication.beliefs import Beliefs
from node.replication.claims import Claims
from node.replication.controller import Controller
from node.replication.draining import Draining
from node.replication.ever_held import EverHeld
from node.replication.executor import Executor
from node.replication.receipts import Receipts
from node.replication.recovering import Recovering
from node.replication.releasing import Releasing
from node.replication.storm_watch import StormWatch
from node.replication.throttle import Throttle
from node.replication.vigil import Vigil
from node.replication.work import Work
from node.sources import Sources
from node.swarm.farewell import until_known
from node.swarm.replica_calls import answer_replica_calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """Of the replicas."""

    recovering: Recovering
    ever_held: EverHeld
    storm: StormWatch
    releasing: Releasing
    executor: Executor
    controller: Controller
    draining: Draining
    vigil: Vigil
    receipts: Receipts
    claims: Claims


def keep_up(ground: Ground, talk: Talk, truth: Truth, sources: Sources, *, ingesting: Callable[[], bool]) -> Upkeep:
    """Make them; who answers about replicas is bound to their protocol."""
    store, knowledge, hooks, about, rpc = (
        ground.store, ground.knowledge, ground.hooks, ground.about, ground.network.rpc,
    )  # fmt: skip
    recovering = Recovering(
        store,
        knowledge,
        talk.catching_up,
        ground.offering,
        ground.aside,
        lately_heard=lambda: hooks.lately_heard(),
        on_over=lambda: hooks.replan(None),
    )
    ever_held = EverHeld(store)
    beliefs = Beliefs(
        knowledge, describe=about.describe, linked=talk.contacts.linked, blocked=lambda: hooks.blocked(),
        doubts=truth.auditing, mass_loss=lambda: storm.mass_loss_now(wall_ms()), ever_held=ever_held,
        set_aside=ground.aside,
    )  # fmt: skip
    storm = StormWatch(
        store, knowledge.events, keepers=beliefs.keepers, blocked=lambda: hooks.blocked(),
        on_change=lambda: hooks.replan(None),
    )  # fmt: skip
    about.repair_now_ms = lambda: storm.repair_now_ms(wall_ms())
    releasing, executor = _acting(ground, talk, sources, recovering, storm)
    controller = Controller(beliefs, executor, wait=talk.catching_up.brings_many)
    hooks.owners_of = controller.owners_of
    draining = Draining(
        knowledge, beliefs, ground.orders, knowledge.events, blocked=lambda: hooks.blocked(),
        busy=lambda: ingesting() or releasing.is_bound, farewell=lambda: until_known(rpc, talk.contacts.linked()),
    )  # fmt: skip
    about.has_left = lambda: draining.has_left
    controller.outlook.listeners.append(draining.looked_at)
    receipts = Receipts(rpc, knowledge, ground.key, store_id=ground.offering.store_id, owners_of=controller.owners_of)
    claims = Claims(
        rpc, store, knowledge, ground.offering, busy=executor.work.is_making,
        has_all=lambda key: controller.standing_of(key) in ("at_target", "above_target"),
        blocked=lambda: hooks.blocked(), set_aside=ground.aside,
    )  # fmt: skip
    answer_replica_calls(rpc, releasing, receipts, claims, on_doubt=truth.auditing.heard)
    return Upkeep(
        recovering=recovering, ever_held=ever_held, storm=storm, releasing=releasing, executor=executor,
        controller=controller, draining=draining, receipts=receipts, claims=claims,
        vigil=Vigil(controller.outlook, knowledge.events, blocked=lambda: hooks.blocked()),
    )  # fmt: skip


def _acting(
    ground: Ground, talk: Talk, sources: Sources, recovering: Recovering, storm: StormWatch
) -> tuple[Releasing, Executor]:
    """Those who carry out plans."""
    store, knowledge, hooks, about = ground.store, ground.knowledge, ground.hooks, ground.about
    throttle = Throttle(lambda: storm.bytes_per_s(ground.config.repair_bytes_per_s))
    releasing = Releasing(
        store, ground.network.rpc, knowledge.records, knowledge.key, max_of=sources.max_of, holds=knowledge.own.holds,
        blocked=lambda: recovering.reason()
        or talk.homecoming.reason()
        or about.no_promises
        or knowledge.records.unjudged(),
        on_release=lambda holding: knowledge.holding_changed(holding, False),
    )  # fmt: skip
    executor = Executor(
        store, ground.network.bitswap, releasing, Work(), knowledge.events, throttle, sources_of=sources.for_fetch,
        connected=sources.connected, limit_of=sources.limit_of, free_bytes=about.free_bytes,
        on_holding=knowledge.holding_changed, on_retry=lambda root: hooks.replan([root]),
        on_refusal=about.disk_refused, on_backend_full=ground.offering.had_no_room,
    )  # fmt: skip
    return releasing, executor
