"""Numbers of what a peer does for its swarm, beside those of `status`: repair, drain, events, messages, leases."""

from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from node.jobs.job import State
from node.parts import Parts
from node.replication.planner import Release
from node.rows import PeerRow
from node.status_rows import Status
from node.swarm.set_aside import SetAside

PREFIX = "pinakothek_"
STATES = ("active", "draining", "away", "leaving", "recovering", "unknown")


def of_repair(status: Status) -> Iterable[Metric]:
    """What is to be copied here, and how fast that goes."""
    repair = status.repair
    yield GaugeMetricFamily(PREFIX + "repair_roots", "Copies to be made here.", repair.roots)
    yield GaugeMetricFamily(PREFIX + "repair_bytes", "Bytes of them that are still to come.", repair.bytes)
    speed = repair.bytes_per_s or 0
    yield GaugeMetricFamily(PREFIX + "repair_bytes_per_second", "Bytes fetched a second, over the last minute.", speed)


def of_peers(rows: Iterable[PeerRow]) -> Iterable[Metric]:
    """Members by what they say of themselves."""
    counts = Counter(dict.fromkeys(STATES, 0)) + Counter(row.state for row in rows)
    said = {state: counts[state] for state in (*STATES, *sorted(set(counts) - set(STATES)))}
    yield _by("peers_by_word", "Members by their own word, this peer included.", "state", said)


def of_parts(parts: Parts) -> Iterable[Metric]:
    """Counters of the parts."""
    work = parts.executor.work
    yield _total("fetched_bytes", "Bytes fetched to be held here, what is under way included.", work.received_bytes)
    releases = sum(isinstance(action, Release) for action in parts.controller.outlook.actions.values())
    yield GaugeMetricFamily(PREFIX + "surplus_copies", "Copies here that are next to be let go.", releases)
    plan = parts.controller.last_plan
    yield GaugeMetricFamily(PREFIX + "no_room_copies", "Copies that no store has room for.", plan.no_room_copies)
    yield GaugeMetricFamily(PREFIX + "no_room_bytes", "Bytes of them.", plan.no_room_bytes)
    progress = parts.draining.progress()
    draining = parts.orders.drain_to is not None
    left = progress.roots_left if draining else 0
    yield GaugeMetricFamily(PREFIX + "drain_roots", "Roots that keep this peer from leaving.", left)
    yield _totals("events", "Events since the start.", "kind", parts.events.counts)
    yield _totals("gossip_published", "Gossip messages of this peer.", "topic", _topics(parts.gossip.published))
    yield _totals("gossip_received", "Gossip messages of other peers.", "topic", _topics(parts.gossip.received))
    yield _totals("rpc_asked", "Questions of this peer to others.", "protocol", parts.rpc.asked)
    yield _totals("leases", "Leases asked for, given and refused by this peer.", "what", parts.releasing.counts)


def of_aside(aside: SetAside) -> Iterable[Metric]:
    """What was put aside after an absence (`protocol.touch`)."""
    yield GaugeMetricFamily(PREFIX + "records_set_aside", "Records put aside, which do not count.", len(aside))
    yield GaugeMetricFamily(PREFIX + "roots_set_aside", "Roots kept for them.", len(aside.roots))


def of_jobs(counts: Mapping[State, int]) -> Iterable[Metric]:
    """Jobs as they are kept: of those that have ended only the latest."""
    by_state = {str(state): count for state, count in counts.items()}
    yield _by("jobs", "Jobs that are kept, by state.", "state", by_state)


def _topics(counts: Mapping[str, int]) -> dict[str, int]:
    """By the name of the topic, `beat` of `/pinakothek/<swarm>/beat/1`."""
    return {topic.split("/")[-2]: count for topic, count in counts.items()}


def _total(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, what, value)


def _totals(name: str, what: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, what, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family


def _by(name: str, what: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, what, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
