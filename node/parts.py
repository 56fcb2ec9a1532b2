"""The parts of a running daemon, as `daemon` has put them together; what `operations` works with."""

from dataclasses import dataclass

from node.config import Effective
from node.events import Events
from node.gateway.process import GatewayProcess
from node.ingest.intake import Intake
from node.jobs.queue import Jobs
from node.lookup import Lookup
from node.offering import Offering
from node.reading import Reading
from node.replication.audited import Audited
from node.replication.auditing import Auditing
from node.replication.backend_health import BackendHealth
from node.replication.backends_watch import BackendsWatch
from node.replication.controller import Controller
from node.replication.draining import Draining
from node.replication.executor import Executor
from node.replication.pace import Pace
from node.replication.receipts import Receipts
from node.replication.releasing import Releasing
from node.replication.retracting import Retracting
from node.replication.scrubbing import Scrubbing
from node.replication.storm_watch import StormWatch
from node.self_description import SelfDescription
from node.similarity import Similarity
from node.standing_orders import StandingOrders
from node.swarm.comeback import Comeback
from node.swarm.homecoming import Homecoming
from node.swarm.knowledge import Knowledge
from node.swarm.records import SharedRecords
from node.swarm.set_aside import SetAside
from node.swarm.speaking import Speaking
from node.swarm.twin_watch import TwinWatch
from protocol.identity import KeyPair
from protocol.net.bitswap import Bitswap
from protocol.net.gossip import Gossip
from protocol.net.host import Host
from protocol.net.rpc import Rpc
from store.store import Store


@dataclass(slots=True, kw_only=True)
class Parts:
    """One daemon.

    Attributes:
        swarm: hash of the first charter, 32 bytes; `swarm_id` is its text.
        capacity_bytes: what this peer offers.
        started_s: `trio.current_time` when it was put together.
        gateway: None when it is off.
    """

    settings: Effective
    key: KeyPair
    swarm: bytes
    swarm_id: str
    capacity_bytes: int
    started_s: float
    store: Store
    events: Events
    records: SharedRecords
    knowledge: Knowledge
    lookup: Lookup
    host: Host
    bitswap: Bitswap
    gossip: Gossip
    speaking: Speaking
    comeback: Comeback
    twins: TwinWatch
    executor: Executor
    controller: Controller
    receipts: Receipts
    releasing: Releasing
    rpc: Rpc
    storm: StormWatch
    auditing: Auditing
    audited: Audited
    scrubbing: Scrubbing
    retracting: Retracting
    disk: BackendHealth
    offering: Offering
    backends: BackendsWatch
    reading: Reading
    similarity: Similarity
    intake: Intake
    jobs: Jobs
    gateway: GatewayProcess | None
    orders: StandingOrders
    about: SelfDescription
    draining: Draining
    pace: Pace
    homecoming: Homecoming
    aside: SetAside
