"""The daemon's numbers for Prometheus, made from `status` and the counters of its parts when they are asked for."""

from collections.abc import Iterable
from dataclasses import asdict

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from node.operations import counted
from node.operations.health import Health
from node.operations.members import Members
from node.parts import Parts
from node.status_rows import Status

PREFIX = "pinakothek_"


class Metrics:
    """Writes them as text."""

    def __init__(self, parts: Parts, health: Health, members: Members) -> None:
        self._parts = parts
        self._members = members
        self._health = health

    async def text(self) -> str:
        """Prometheus' text format, version 0.0.4."""
        status, peers = await self._health.status(), await self._members.peers()
        families = [
            *of_status(status), *self._of_parts(),
            *counted.of_repair(status), *counted.of_peers(peers), *counted.of_parts(self._parts),
            *counted.of_aside(self._parts.aside), *counted.of_jobs(await self._parts.jobs.counts()),
        ]  # fmt: skip
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Given(families))
        return generate_latest(registry).decode()

    def _of_parts(self) -> Iterable[Metric]:
        parts = self._parts
        bitswap = parts.bitswap.counts()
        for name, what in (
            ("received_bytes", "Bytes of blocks received"),
            ("received_blocks", "Blocks received"),
            ("duplicate_blocks", "Blocks received twice"),
            ("unsolicited_blocks", "Blocks received that nobody had asked for"),
            ("sent_bytes", "Bytes of blocks sent"),
        ):
            yield _counter(f"bitswap_{name}", f"{what} over Bitswap.", getattr(bitswap, name))
        work = parts.executor.work
        yield _counter("work_done", "Fetches and releases that came out well.", work.done_count)
        yield _counter("work_failed", "Fetches that failed.", work.failed_count)
        refused = parts.records.refusals.counts()
        forged = sum(refused[word] for word in ("malformed", "forgery", "too_large", "unknown_version"))
        yield _counter("records_refused", "What others sent that was malformed or forged.", forged)
        yield _counted_by("refused", "What others sent that was refused or set aside.", "reason", refused)
        yield from self._of_truth()
        dropped = sum(parts.gossip.dropped.values())
        yield _counter("gossip_dropped", "Messages lost because this peer was too slow.", dropped)
        yield _gauge("records", "Signed records that count.", len(parts.records.counting))
        yield _gauge("connections", "Peers with a live connection.", len(parts.host.connected()))
        if parts.gateway is not None:
            yield _counter("gateway_restarts", "Times the gateway process ended.", parts.gateway.restarts)

    def _of_truth(self) -> Iterable[Metric]:
        parts = self._parts
        audits, scrubs = parts.auditing.counts, parts.scrubbing.counts
        yield _counter("audit_challenges", "Challenges to other holders.", audits.challenges)
        yield _counter("audit_proven", "Challenges answered with the right proof.", audits.proven)
        yield _counter("audit_wrong", "Challenges answered without the right proof.", audits.wrong)
        yield _counter("audit_silent", "Challenges not answered.", audits.silent)
        yield _counter("audit_proofs_given", "Proofs given to other holders.", parts.audited.answered)
        yield _counter(
            "audit_proofs_failed", "Challenges of others that this peer could not prove.", parts.audited.unable
        )
        yield _counter("doubts_published", "Doubts told to other holders.", audits.doubts_published)
        yield _counter("doubts_heard", "Doubts of other holders.", audits.doubts_heard)
        yield _gauge("doubtful_copies", "Others' copies that are unproven to this peer.", len(parts.auditing.audits))
        yield _counter("scrub_blocks", "Blocks hashed by the scrub.", scrubs.blocks)
        yield _counter("scrub_bad", "Blocks that the scrub found bad.", scrubs.bad)
        yield _gauge(
            "scrub_completed_seconds",
            "When a whole scrub was last done, 0 if never; Unix time.",
            (parts.scrubbing.completed_ms or 0) / 1000,
        )
        yield _counter(
            "blocks_quarantined", "Blocks found bad by whoever read them.", parts.store.condition.quarantined
        )
        yield _counter("blocks_healed", "Bad blocks that were fetched anew.", parts.retracting.healed)
        yield _counter("roots_retracted", "Roots no longer held because a block was bad.", parts.retracting.retracted)
        yield _gauge("disk_failing", "1 while the disk does not give back what it was given.", bool(parts.disk.trouble))


def of_status(status: Status) -> Iterable[Metric]:
    """What `status` shows."""
    yield InfoMetricFamily(
        f"{PREFIX}build", "The running daemon.", {"version": status.version, "peer_id": status.peer_id}
    )
    yield _gauge("uptime_seconds", "Seconds since the start.", status.uptime_s)
    images = asdict(status.images)
    yield _gauge("roots", "Roots that live pins want.", images.pop("total"))
    yield _gauge("roots_trashed", "Roots whose pins are all in the trash.", images.pop("trashed"))
    yield _labelled("roots_by_state", "Roots by how many replicas they have.", "state", images)
    yield _labelled("peers", "Members as this peer sees them, itself included.", "sees", asdict(status.peers))
    store = asdict(status.store)
    for name, what in (("used_bytes", "Bytes used"), ("capacity_bytes", "Bytes offered"), ("free_bytes", "Bytes left")):
        yield _gauge(f"store_{name}", f"{what} by this peer's store.", store[name])
    yield _labelled("work", "Fetches, releases and adds of this peer.", "state", asdict(status.work))
    checks = (
        "lost",
        "mass loss",
        "charter fork",
        "clock",
        "clone",
        "expelled",
        "no room",
        "set aside",
        "recovering",
        "links",
        "disk",
        "full",
        "left",
        "gateway",
    )
    raised = {alert.check for alert in status.alerts}
    yield _labelled("alert", "1 while `status` shows this alert.", "check", {c: int(c in raised) for c in checks})


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, what, value)


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, what, value)


def _labelled(name: str, what: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, what, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _counted_by(name: str, what: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, what, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


class _Given(Collector):
    """Families that are made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families
