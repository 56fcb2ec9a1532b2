"""What an idle peer costs: resident memory and CPU of all its processes, against Kubo with IPFS Cluster."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from node.demo.peers import swarm
from scripts.bench_sections.figures import Figure
from scripts.bench_sections.swarm import kubo_and_cluster
from tests.kubo import free_port

SETTLE_S = 45.0
"""Decoder workers retire after half a minute."""
WATCH_S = 30.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def idle() -> list[Figure]:
    """Three peers that know each other and have nothing to do; one of them is measured, gateway included."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        options = ("--gateway", f"127.0.0.1:{free_port()}")
        with swarm(Path(home) / "ours", ("ada",), run_options=options) as [ada]:
            assert ada.process is not None
            ours_mb, ours_percent = watch([ada.process.pid])
        with kubo_and_cluster(Path(home) / "theirs", peers=3) as (kubos, clusters):
            pids = [pid for pid in (kubos[0].pid, clusters[0].process and clusters[0].process.pid) if pid]
            theirs_mb, theirs_percent = watch(pids)
    return [
        Figure("idle", "resident memory", ours_mb, "MB", theirs_mb, "Kubo + Cluster", theirs_mb / ours_mb),
        Figure("idle", "CPU", ours_percent, "% of core", theirs_percent, "Kubo + Cluster"),
    ]


def watch(pids: list[int]) -> tuple[float, float]:
    """Resident MB and per cent of one core over `WATCH_S`, children included, once things have settled."""
    time.sleep(SETTLE_S)
    family = [pid for root in pids for pid in with_children(root)]
    before = sum(cpu_s(pid) for pid in family)
    time.sleep(WATCH_S)
    spent_s = sum(cpu_s(pid) for pid in family) - before
    return sum(resident_bytes(pid) for pid in family) / 1e6, 100 * spent_s / WATCH_S


def with_children(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from with_children(int(child))


def resident_bytes(pid: int) -> int:
    """Resident set size."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def cpu_s(pid: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
