"""Put a daemon together: the ground, those who talk, those who see to the truth, those who keep the factors, the service."""

from collections.abc import Mapping
from dataclasses import dataclass

import trio

from node.assembly.ground import Ground, MakeNetwork, lay_ground
from node.assembly.network import make_network
from node.assembly.talk import Talk, talk
from node.assembly.truth import Truth, see_to_truth
from node.assembly.upkeep import Upkeep, keep_up
from node.config import Config, Effective
from node.gateway.process import GatewayProcess
from node.ingest.decoder import DecoderPool
from node.ingest.intake import Intake
from node.jobs.ledger import Ledger
from node.jobs.queue import Jobs
from node.jobs.workplace import Workplace
from node.lookup import Lookup
from node.parts import Parts
from node.reading import Reading
from node.replication.pace import Pace
from node.running import Daemon, Inner
from node.similarity import Similarity
from node.sources import Sources
from node.swarm.admitting import Admitting
from node.swarm.answering import Answering
from node.swarm.belonging_watch import BelongingWatch
from node.swarm.checking import Elsewhere, nowhere_else
from node.swarm.twin_watch import TwinWatch
from node.version import VERSION
from store.backends import Backend
from store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Those who find, read and take in pictures, for the operator and for whoever asks over the network."""

    reading: Reading
    lookup: Lookup
    similarity: Similarity
    intake: Intake


async def assemble(
    effective: Effective,
    store: Store,
    decoder: DecoderPool,
    *,
    check: Elsewhere = nowhere_else,
    backends: Mapping[str, Backend] | None = None,
    network: MakeNetwork = make_network,
    ledger: Ledger | None = None,
) -> Daemon:
    """Read what the data directory says and make every part; nothing runs yet.

    Args:
        check: reads and checks the signatures of records.
        backends: those beside the embedded store that `store` was opened with, by kind.
        network: makes what carries messages and blocks; by default libp2p does.
        ledger: the jobs; by default none that outlive this.

    Raises:
        Failed: the data directory is damaged.
        StoreError: the disk refuses.
    """
    ground = await lay_ground(effective, store, backends or {}, check, network)
    truth = see_to_truth(ground)
    talking = await talk(ground, truth)
    sources = Sources(ground.network.host, ground.knowledge)
    service = _serve(ground, talking, sources, decoder)
    upkeep = keep_up(ground, talking, truth, sources, ingesting=lambda: service.intake.running > 0)
    daemon = Daemon(
        _parts(ground, talking, truth, upkeep, service, _jobs(ground, ledger)), _inner(ground, talking, upkeep)
    )
    daemon.connect(ground.hooks)
    await ground.absentees.recall()
    return daemon


def _serve(ground: Ground, talking: Talk, sources: Sources, decoder: DecoderPool) -> Service:
    """Make them; who answers queries and joiners is bound to their protocols."""
    records, knowledge = ground.records, ground.knowledge
    _, _, rpc, bitswap = ground.network
    service = Service(
        reading=Reading(ground.store, bitswap, sources.for_reading),
        lookup=Lookup(records.counting),
        similarity=Similarity(records.counting),
        intake=Intake(
            ground.store, decoder, records, kinds_of=knowledge.own.kinds_of, keeps_on=ground.offering.keeps_on,
            on_holding=knowledge.holding_changed,
        ),
    )  # fmt: skip
    Admitting(rpc, records, ground.swarm, addrs_of=talking.contacts.addrs_of)
    Answering(
        rpc, knowledge, service.lookup, service.reading, service.similarity, name=ground.config.name, version=VERSION,
        swarm=ground.swarm, describe=ground.about.describe, addrs_of=talking.contacts.addrs_of,
    )  # fmt: skip
    return service


def _jobs(ground: Ground, ledger: Ledger | None) -> Jobs:
    workplace = Workplace(ground.store.workspace, ground.config.workspace_bytes)
    return Jobs(ledger or Ledger.opened(None), workplace, ground.knowledge.events)


def _parts(ground: Ground, talking: Talk, truth: Truth, upkeep: Upkeep, service: Service, jobs: Jobs) -> Parts:
    host, gossip, rpc, bitswap = ground.network
    return Parts(
        settings=ground.effective,
        key=ground.key,
        swarm=ground.swarm,
        swarm_id=ground.swarm_id,
        capacity_bytes=ground.about.capacity_bytes,
        started_s=trio.current_time(),
        store=ground.store,
        events=ground.knowledge.events,
        records=ground.records,
        knowledge=ground.knowledge,
        lookup=service.lookup,
        host=host,
        bitswap=bitswap,
        gossip=gossip,
        speaking=talking.speaking,
        comeback=talking.comeback,
        twins=TwinWatch(rpc, ground.knowledge, talking.comeback, reachable=talking.contacts.linked),
        executor=upkeep.executor,
        controller=upkeep.controller,
        receipts=upkeep.receipts,
        releasing=upkeep.releasing,
        rpc=rpc,
        storm=upkeep.storm,
        auditing=truth.auditing,
        audited=truth.audited,
        scrubbing=truth.scrubbing,
        retracting=truth.retracting,
        disk=truth.disk,
        offering=ground.offering,
        backends=truth.backends,
        reading=service.reading,
        intake=service.intake,
        jobs=jobs,
        similarity=service.similarity,
        gateway=_gateway(ground.config),
        orders=ground.orders,
        about=ground.about,
        draining=upkeep.draining,
        pace=Pace(),
        homecoming=talking.homecoming,
        aside=ground.aside,
    )


def _inner(ground: Ground, talking: Talk, upkeep: Upkeep) -> Inner:
    return Inner(
        contacts=talking.contacts, listening=talking.listening, catching_up=talking.catching_up, homecoming=talking.homecoming,
        comeback=talking.comeback, releasing=upkeep.releasing, recovering=upkeep.recovering, about=ground.about,
        gatekeeping=ground.gatekeeping, vigil=upkeep.vigil, heard_before=ground.heard, ever_held=upkeep.ever_held, claims=upkeep.claims,
        absentees=ground.absentees,
        belonging=BelongingWatch(ground.network.rpc, ground.knowledge, reachable=talking.contacts.linked),
    )  # fmt: skip


def _gateway(config: Config) -> GatewayProcess | None:
    if config.gateway is None:
        return None
    host, port = config.gateway
    return GatewayProcess(config.data_dir, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
