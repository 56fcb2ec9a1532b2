"""Every message of a small swarm: the daemon's own parts on a virtual clock, a simulated network and simulated disks.

Each seed is run with leases; with leases and liars; and with liars and no leases, until an image is lost. Exits 1 if with
leases a release left fewer than `max` whole copies, or if without leases no image was lost (then the workload shows
nothing). docs/simulation.md says what is real.
"""

import argparse
import json
import os
import sys
from typing import Any

HOURS_WITH_LIARS = 3.6
"""Without leases images go within the first minutes; the rest of three days would show nothing more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be chosen; the defaults are the long form."""
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--peers", type=int, default=20)
    parser.add_argument("--zones", type=int, default=5)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--min", type=int, default=2)
    parser.add_argument("--max", type=int, default=3)
    parser.add_argument("--hours", type=float, default=72.0, help="virtual hours of faults")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as many faults")
    parser.add_argument("--liars", type=int, default=4, help="peers that only say that they hold what they should")
    parser.add_argument("--gossip-loss", type=float, default=0.02, help="share of gossip that a listener never gets")
    parser.add_argument("--call-loss", type=float, default=0.005, help="share of questions, and of answers, lost")
    parser.add_argument("--only", choices=["leases", "none"], help="run but one of the two")


def run(args: argparse.Namespace) -> int:
    """Run every seed with leases and without, print a line for each, and judge."""
    _fix_the_order_of_sets()
    from tests.sim.network import Conditions
    from tests.sim.story import Course, tell
    from tests.sim.swarm import Setting

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def story(seed: int, *, with_leases: bool, liars: int, hours: float) -> Any:
        conditions = Conditions(gossip_loss=args.gossip_loss, call_loss=args.call_loss)
        setting = Setting(
            seed=seed, peers=args.peers, zones=args.zones, factor=(args.min, args.max), conditions=conditions,
            liars=liars, with_leases=with_leases,
        )  # fmt: skip
        told = tell(setting, Course(images=args.images, hours=hours, speed=args.speed, report=say))
        print(json.dumps({"liars": liars, "hours": hours, **told.row()}), flush=True)
        return told

    sound, weak = True, True
    for seed in range(args.seed, args.seed + args.seeds):
        if args.only != "none":
            sound &= story(seed, with_leases=True, liars=0, hours=args.hours).sound
            sound &= story(seed, with_leases=True, liars=args.liars, hours=min(args.hours, HOURS_WITH_LIARS)).sound
        if args.only != "leases":
            told = story(seed, with_leases=False, liars=args.liars, hours=min(args.hours, HOURS_WITH_LIARS))
            weak &= not told.lost_by_release
    if args.only != "leases" and weak:
        print("without leases no image was lost: the workload is too weak", file=sys.stderr)
        return 1
    return 0 if sound else 1


def _fix_the_order_of_sets() -> None:
    """One seed, one story: Python orders sets of text anew in every process unless it is told not to."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
