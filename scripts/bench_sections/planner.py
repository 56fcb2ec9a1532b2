"""How long a plan takes and how much memory: a million roots at once, and one change among a hundred thousand.

Each figure is taken in a process of its own, so that its memory is what the plan needed.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from node.replication.planner import Plan
from node.replication.survey import Survey
from node.replication.view import PeerView, SwarmView
from scripts.bench_sections.figures import Figure

ROOT = Path(__file__).resolve().parent.parent.parent
ZONES = 10
GIB = 1 << 30


def planner() -> list[Figure]:
    """Plans from nothing, then of what one change touched."""
    million, thousand, change = (measured(*case) for case in ((100, 1_000_000), (1000, 1_000_000), (100, 100_000)))
    return [
        Figure("planner", "1 M images, 100 peers", million["plan_s"], "s", 5.0, "bound", 5.0 / million["plan_s"], 1.0),
        Figure("planner", "the same, taken in first", million["load_s"], "s"),
        Figure("planner", "the same, memory", million["gib"], "GiB", 1.0, "bound", 1.0 / million["gib"], 1.0),
        Figure("planner", "1 M images, 1,000 peers", thousand["plan_s"], "s"),
        Figure("planner", "the same, memory", thousand["gib"], "GiB"),
        Figure("planner", "100,000 images: one root changes", change["root_s"] * 1000, "ms"),
        Figure(
            "planner", "100,000 images: a peer comes back", change["peer_s"] * 1000, "ms", 1000.0, "bound",
            1 / change["peer_s"], 1.0,
        ),
    ]  # fmt: skip


def measured(peers: int, images: int) -> dict[str, float]:
    """One case, in a process of its own."""
    code = f"from scripts.bench_sections.planner import print_measured; print_measured({peers}, {images})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(peer_count: int, images: int) -> dict[str, float]:
    """Processor seconds of planning `images` at factor 2:3 with copies anywhere, and of two small changes after."""
    random = np.random.default_rng(1)
    capacities = random.integers(1 << 38, 1 << 41, size=peer_count).tolist()
    names = [f"peer {number:04}" for number in range(peer_count)]
    peers = {
        name: PeerView(peer_id=name, zone=f"zone {number % ZONES}", capacity_bytes=capacity)
        for number, (name, capacity) in enumerate(zip(names, capacities, strict=True))
    }
    raw = random.bytes(32 * images)
    roots = [b"\x01\x55\x12\x20" + raw[at : at + 32] for at in range(0, len(raw), 32)]
    del raw
    survey, view = Survey(), SwarmView(me=names[0], peers=peers, roots={})
    board = survey.board("ipfs")
    for name in names:
        board.number_of(name)
    start_s = time.process_time()
    holders = (random.integers(0, peer_count, images) + np.array([[0], [1], [2]])) % peer_count
    sizes_bytes = random.integers(1 << 18, 1 << 23, images)
    board.put_many(roots, low=2, high=3, sizes_bytes=sizes_bytes, holders=holders.astype(np.uint16))
    loaded_s = time.process_time()
    plan(survey, view)
    planned_s = time.process_time()
    board.put(replace(board.view(7), max=4))
    plan(survey, view)
    root_s = time.process_time()
    away = replace(view, peers={**peers, names[9]: replace(peers[names[9]], state="suspect")})
    plan(survey, away)
    gone_s = time.process_time()
    plan(survey, view)
    return {
        "load_s": loaded_s - start_s,
        "plan_s": planned_s - loaded_s,
        "root_s": root_s - planned_s,
        "peer_s": time.process_time() - gone_s,
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB,
    }


def plan(survey: Survey, view: SwarmView) -> Plan:
    """As the controller does it."""
    return survey.plan(view, limit=256)


def print_measured(peer_count: int, images: int) -> None:
    """For the process that asked."""
    print(json.dumps(measure(peer_count, images)))
