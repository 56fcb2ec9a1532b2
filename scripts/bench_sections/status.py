"""How long look-ups take with 100,000 pins, and that they cost the other peers nothing."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from node.control.client import Control
from node.demo.peers import Peer, wait_until
from scripts.bench_sections.figures import Figure
from scripts.bench_sections.join import PINS, TIMEOUT_S, total, write_pins
from scripts.bench_sections.latency import median_s

BAR_MS = 200.0
CALLS = 20
QUIET_S = 10.0
"""For the plan of everything, and for tries in vain: nobody has any of these images, which is the worst case."""


def status() -> list[Figure]:
    """Medians against a swarm of two whose 100,000 images nobody holds: all of them are degraded."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        ada, bob = Peer(Path(home) / "ada", "ada"), Peer(Path(home) / "bob", "bob")
        try:
            ada.init()
            write_pins(ada, PINS)
            ada.start()
            bob.init("--join", ada.one("invite")["invite"])
            bob.start()
            wait_until(lambda: total(bob) >= PINS, timeout_s=TIMEOUT_S, what=f"{PINS} pins at bob")
            wait_until(lambda: planned(ada) >= PINS, timeout_s=TIMEOUT_S, what=f"{PINS} pins planned")
            time.sleep(QUIET_S)
            return figures(ada)
        finally:
            for peer in (bob, ada):
                peer.kill()


def planned(peer: Peer) -> int:
    """Images that were part of a plan."""
    with Control(peer.data_dir) as control:
        images = control.call("GET", "/v1/status", timeout_s=TIMEOUT_S)["images"]
    return sum(count for name, count in images.items() if name not in ("total", "trashed"))


def figures(peer: Peer) -> list[Figure]:
    """Measure one peer."""
    command_s = median_s(peer.command("status", "--json"))
    with Control(peer.data_dir) as control:
        first = control.call("GET", "/v1/images?limit=1")["rows"][0]
        asked = {
            "status": "/v1/status",
            "metrics": "/v1/metrics",
            "ls, first page": "/v1/images",
            "ls --sort added, first page": "/v1/images?sort=added",
            "ls --degraded, first page": "/v1/images?degraded=true",
            "repair --dry-run, first page": "/v1/repair/plan",
            "show by root": f"/v1/images/{first['root']}",
        }
        before = questions(control)
        times = {name: median_ms(lambda p=path: control.open("GET", p).read()) for name, path in asked.items()}  # type: ignore[misc]
        asked_others = questions(control) - before
    bar = BAR_MS / (command_s * 1000)
    return [
        Figure("status", f"pina status, {PINS:,} pins", command_s * 1000, "ms", BAR_MS, "bar", bar, 1.0),
        *(Figure("status", name, ms, "ms") for name, ms in times.items()),
        Figure("status", "questions to other peers", asked_others, "", 0.0, "bar", 1.0 if not asked_others else 0.0, 1.0),
    ]  # fmt: skip


def median_ms(ask: Callable[[], object]) -> float:
    """Median over some calls, on a connection that is open."""
    times = []
    for _ in range(CALLS):
        start_s = time.monotonic()
        ask()
        times.append((time.monotonic() - start_s) * 1000)
    return statistics.median(times)


def questions(control: Control) -> int:
    """What this peer has asked others since its start."""
    text = control.open("GET", "/v1/metrics").read().decode()
    lines = [line for line in text.splitlines() if line.startswith("pinakothek_rpc_asked_total")]
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))
