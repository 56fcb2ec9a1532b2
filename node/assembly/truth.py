"""Those who see to it that what peers say they hold is there: disk, scrub, audit, retraction."""

from dataclasses import dataclass

from node.assembly.ground import Ground
from node.replication.audited import Audited
from node.replication.auditing import Auditing
from node.replication.backend_health import BackendHealth
from node.replication.backends_watch import BackendsWatch
from node.replication.releasing import SteadyClock
from node.replication.retracting import Retracting
from node.replication.scrubbing import Scrubbing


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Of our own copies, and of what others claim."""

    retracting: Retracting
    disk: BackendHealth
    scrubbing: Scrubbing
    audited: Audited
    auditing: Auditing
    backends: BackendsWatch


def see_to_truth(ground: Ground) -> Truth:
    """Make them."""
    store, knowledge, hooks, rpc = ground.store, ground.knowledge, ground.hooks, ground.network.rpc
    retracting = Retracting(store, knowledge)
    audited = Audited(
        rpc, store, ground.key.peer_id, holds=knowledge.own.holds, on_unreadable=lambda: hooks.unreadable()
    )
    return Truth(
        retracting=retracting,
        disk=BackendHealth(
            store, knowledge, retracting, on_refusal=ground.about.disk_refused, on_unreadable=lambda: hooks.unreadable()
        ),
        backends=BackendsWatch(
            ground.offering, knowledge, retracting, on_change=lambda: hooks.offering()
        ),
        scrubbing=Scrubbing(store, knowledge, on_unreadable=lambda: hooks.unreadable()),
        audited=audited,
        auditing=Auditing(
            rpc, store, knowledge, now_ms=SteadyClock().now_ms, blocked=lambda: hooks.blocked(),
            owners_of=lambda root, kind: hooks.owners_of(root, kind), on_unreadable=lambda: hooks.unreadable(),
            on_doubted=audited.recheck, on_judged=lambda roots: hooks.replan(roots),
        ),
    )  # fmt: skip
