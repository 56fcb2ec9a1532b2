#!/usr/bin/env python3
"""Run a simulated swarm under churn and print what became of its images, with leases and without: one seed, one story.

scripts/simulate.py message [--help]   every message of a small swarm
scripts/simulate.py view [--help]      years of a large one, what peers believe and plan
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.simulations import message, view

SIMULATIONS = {"message": message, "view": view}


def main() -> int:
    """Run the simulation that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="simulation", required=True)
    for name, module in SIMULATIONS.items():
        module.add_arguments(commands.add_parser(name, description=module.__doc__, help=module.__doc__.splitlines()[0]))
    args = parser.parse_args()
    return SIMULATIONS[args.simulation].run(args)


if __name__ == "__main__":
    sys.exit(main())
