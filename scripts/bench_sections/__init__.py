"""The sections of `scripts/bench.py`, by name, in the order they run."""

from collections.abc import Callable

from scripts.bench_sections.bitswap import bitswap
from scripts.bench_sections.figures import Figure
from scripts.bench_sections.gateway import gateway
from scripts.bench_sections.idle import idle
from scripts.bench_sections.intake import intake
from scripts.bench_sections.join import join
from scripts.bench_sections.latency import latency
from scripts.bench_sections.planner import planner
from scripts.bench_sections.status import status
from scripts.bench_sections.swarm import swarm_against_cluster

SECTIONS: dict[str, Callable[[], list[Figure]]] = {
    "intake": intake,
    "bitswap": bitswap,
    "swarm": swarm_against_cluster,
    "gateway": gateway,
    "idle": idle,
    "latency": latency,
    "planner": planner,
    "status": status,
    "join": join,
}
