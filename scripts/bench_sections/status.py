"""How long look-ups take with 100,000 pins, and that they cost the other peers nothing."""

import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from node.control.client import Control
from node.demo.peers import Peer, wait_until
from scripts.bench_sections.figures import Figure
from scripts.bench_sections.join import PINS, TIMEOUT_S, total, write_pins
from scripts.bench_sections.latency import median_s

BAR_MS = 200.0
CALLS = 20
ASKED = 100
SPAN_S = 20.0
"""In which `status` is asked `ASKED` times, and again in which it is not: some four heartbeats of each peer."""
SENT = re.compile(r'^pinakothek_(rpc_asked|gossip_published)_total\{\w+="([^"]*)"\} (\S+)$', re.MULTILINE)
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
            return [*figures(ada), *messages(ada, bob)]
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
        times = {name: median_ms(lambda p=path: control.open("GET", p).read()) for name, path in asked.items()}  # type: ignore[misc]
    bar = BAR_MS / (command_s * 1000)
    return [
        Figure("status", f"pina status, {PINS:,} pins", command_s * 1000, "ms", BAR_MS, "bar", bar, 1.0),
        *(Figure("status", name, ms, "ms") for name, ms in times.items()),
    ]  # fmt: skip


def median_ms(ask: Callable[[], object]) -> float:
    """Median over some calls, on a connection that is open."""
    times = []
    for _ in range(CALLS):
        start_s = time.monotonic()
        ask()
        times.append((time.monotonic() - start_s) * 1000)
    return statistics.median(times)


def messages(asked: Peer, other: Peer) -> list[Figure]:
    """What both peers send one another while one is asked for its `status`, beside as long a time in which it is not."""
    quiet = sent_within([asked, other], lambda: None)
    busy = sent_within([asked, other], lambda: total(asked))
    extra = sum(busy.values()) - sum(quiet.values())
    ratio = 1.0 if extra < ASKED / 10 else 0.0  # beats are not in step with the two spans
    return [
        *(
            Figure("status", f"sent in {SPAN_S:.0f} s: {name}", busy[name], "messages", quiet[name], "without")
            for name in sorted(busy.keys() | quiet.keys())
        ),
        Figure("status", f"messages that {ASKED} times status cost", extra, "messages", 0.0, "bar", ratio, 1.0),
    ]


def sent_within(peers: list[Peer], ask: Callable[[], object]) -> Counter[str]:
    """Messages that peers send in `SPAN_S`, by protocol and topic, while something is asked `ASKED` times."""
    before = sent(peers)
    end_s = time.monotonic() + SPAN_S
    for _ in range(ASKED):
        ask()
        time.sleep(max(0.0, min(SPAN_S / ASKED, end_s - time.monotonic())))
    time.sleep(max(0.0, end_s - time.monotonic()))
    after = sent(peers)
    return Counter({name: after[name] - before[name] for name in after})


def sent(peers: list[Peer]) -> Counter[str]:
    """Messages that these peers have sent since their start."""
    counts: Counter[str] = Counter()
    for peer in peers:
        with Control(peer.data_dir) as control:
            text = control.open("GET", "/v1/metrics").read().decode()
        for kind, name, count in SENT.findall(text):
            counts[f"{kind.replace('_', ' ')} {name}"] += int(float(count))
    return counts
