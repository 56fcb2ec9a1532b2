"""Every message of a small swarm: planner and lease machine are the daemon's own; network, disks and clock are simulated.

Exits 1 if a release with leases left too few copies, or if without leases none did (then the workload shows nothing).
"""

import argparse
import json
import time

from tests.sim.swarm import Swarm


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers", type=int, default=8)
    parser.add_argument("--zones", type=int, default=3)
    parser.add_argument("--roots", type=int, default=12)
    parser.add_argument("--min", type=int, default=2)
    parser.add_argument("--max", type=int, default=3)
    parser.add_argument("--hours", type=float, default=0.5, help="virtual hours of churn")
    parser.add_argument("--loss", type=float, default=0.1, help="share of messages that never arrive")


def run(args: argparse.Namespace) -> int:
    """Run every seed with leases and without, and print what became of the copies."""
    bad = {True: 0, False: 0}
    for leases in (True, False):
        for seed in range(args.seeds):
            told = story(seed, args, with_leases=leases)
            bad[leases] += int(told["short_releases"])
            print(json.dumps(told))
    return 0 if bad[True] == 0 < bad[False] else 1


def story(seed: int, args: argparse.Namespace, *, with_leases: bool) -> dict[str, int | float | bool]:
    """One seed's swarm from its first copy to the end of its churn."""
    began_s = time.perf_counter()
    swarm = Swarm(
        seed,
        peers=args.peers,
        zones=args.zones,
        roots=args.roots,
        factor=(args.min, args.max),
        loss=args.loss,
        with_leases=with_leases,
    )
    swarm.run(120)
    swarm.churn(args.hours * 3600)
    return {
        "seed": seed,
        "leases": with_leases,
        "copied": swarm.copied,
        "released": swarm.released,
        "short_releases": swarm.short_releases,
        "lost_by_release": swarm.lost_by_release,
        "lost": swarm.copies(up=False).count(0),
        "seconds": round(time.perf_counter() - began_s, 1),
    }
