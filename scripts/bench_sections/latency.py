"""How long a person waits: commands, and `status` with 10,000 pins."""

import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from node.control.client import Control
from node.demo.peers import Peer, swarm
from scripts.bench_sections.figures import Figure
from store.cid import RAW, cid_of, cid_text

PINS = 10_000
CLIENTS = 8
RUNS = 10


def latency() -> list[Figure]:
    """Medians of whole commands, interpreter start included; the yardstick is an interpreter that does nothing."""
    bare_s = median_s([sys.executable, "-c", "pass"])
    with tempfile.TemporaryDirectory(prefix="bench-") as home, swarm(Path(home), ("solo",)) as [peer]:
        idle_s = median_s(peer.command("status", "--json"))
        pin_many(peer)
        full_s = median_s(peer.command("status", "--json"))
        help_s = median_s(peer.command("--help"))
    return [
        Figure("latency", "pina --help", help_s * 1000, "ms", bare_s * 1000, "python -c pass"),
        Figure("latency", "pina status, no pins", idle_s * 1000, "ms", bare_s * 1000, "python -c pass"),
        Figure("latency", f"pina status, {PINS:,} pins", full_s * 1000, "ms", 900.0, "Cluster, measured earlier"),
    ]


def median_s(argv: list[str]) -> float:
    """Median wall time of a command over `RUNS` runs."""
    times = []
    for _ in range(RUNS):
        start_s = time.monotonic()
        subprocess.run(argv, check=True, capture_output=True)
        times.append(time.monotonic() - start_s)
    return statistics.median(times)


def pin_many(peer: Peer) -> None:
    """Pin CIDs that nobody has: records, plan and status care for them like for any other."""
    cids = [cid_text(cid_of(RAW, f"nobody has block {n}".encode())) for n in range(PINS)]

    def pin(some: list[str]) -> None:
        with Control(peer.data_dir) as control:
            for cid in some:
                control.call("POST", "/v1/pins", {"cid": cid, "wait": 0}, timeout_s=120)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(pin, [cids[n::CLIENTS] for n in range(CLIENTS)]))
