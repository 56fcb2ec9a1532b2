"""Years of a large swarm under churn: what was lost, and whether any of it by our own doing.

Planner and lease rules are the daemon's own, on what each side of a split believes; disks, lines and faults are modelled.
Each seed runs with leases, and without them until the first image is lost by a release. Exits 1 if an image was lost by
our own doing, or a release left too few copies; or if without leases nothing was lost (then the workload shows nothing).
"""

import argparse
import json
import resource
import sys
import time
from dataclasses import replace

from tests.sim.view_level.story import Story, Told
from tests.sim.view_level.swarm import Setting


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen."""
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1, help="so many, from --seed on")
    parser.add_argument("--peers", type=int, default=100)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--months", type=float, default=24.0)
    parser.add_argument("--min", type=int, default=2)
    parser.add_argument("--max", type=int, default=3)
    parser.add_argument("--bytes-per-s", type=float, default=20_000.0, help="what a peer fetches for repairs")
    parser.add_argument("--false", type=float, default=0.02, help="share of claims without good bytes behind them")


def run(args: argparse.Namespace) -> int:
    """Run every seed with leases and without, and print what became of the images."""
    sound = True
    for seed in range(args.seed, args.seed + args.seeds):
        setting = Setting(
            seed=seed, peers=args.peers, images=args.images, months=args.months, low=args.min, high=args.max,
            bytes_per_s=args.bytes_per_s, false_share=args.false,
        )  # fmt: skip
        kept = story(setting)
        lost = story(replace(setting, with_leases=False, stop_at_loss=True))
        sound &= not kept["lost_by_us"] and not kept["short_releases"] and bool(lost["lost_by_us"])
    return 0 if sound else 1


def story(setting: Setting) -> Told:
    """One run, told month by month to those who wait and at last to those who read."""
    began_s, used_s = time.monotonic(), time.process_time()
    one = Story(setting)
    one.on_month = lambda month: print(f"month {month}: {json.dumps(one.told())}", file=sys.stderr, flush=True)
    one.run()
    told = one.told()
    told["seconds"] = round(time.monotonic() - began_s, 1)
    told["processor_s"] = round(time.process_time() - used_s, 1)
    told["memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(told), flush=True)
    return told
