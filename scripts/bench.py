#!/usr/bin/env python3
"""Print our figures beside their yardsticks, measured in the same run; `--check` fails where a ratio is missed.

    scripts/bench.py [--check] [--json] [SECTION…]

Absolute figures depend on the machine, ratios hardly: compare those. Needs what the slow tests need: scripts/get-kubo
and scripts/get-photos, and `wrk` for the gateway. Runs in the checkout's own .venv, which scripts/pina makes.
"""

import argparse
import json
import os
import sys
from compileall import compile_dir
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def enter_venv() -> None:
    """Go on as the .venv's Python, where this is another one."""
    python = ROOT / ".venv/bin/python"
    if not python.exists():
        raise SystemExit("bench: no .venv yet; scripts/pina --help makes it")
    if Path(sys.prefix) != ROOT / ".venv":
        os.execv(python, [str(python), __file__, *sys.argv[1:]])


def main() -> int:
    """Run the sections asked for, all by default."""
    from scripts.bench_sections import SECTIONS

    for package in ("node", "protocol", "store"):  # as an installation has it, whatever this environment keeps of it
        compile_dir(ROOT / package, quiet=2)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit 1 where a ratio misses its bar")
    parser.add_argument("--json", action="store_true", help="one object a figure")
    parser.add_argument("section", nargs="*", choices=[[], *SECTIONS], help=f"of {', '.join(SECTIONS)}")
    asked = parser.parse_args()
    figures = []
    for name in asked.section or SECTIONS:
        for figure in SECTIONS[name]():
            figures.append(figure)
            shown = json.dumps({**asdict(figure), "passed": figure.passed}) if asked.json else figure.line()
            print(shown, flush=True)
    return 1 if asked.check and not all(f.passed for f in figures) else 0


if __name__ == "__main__":
    enter_venv()
    sys.path[0] = str(ROOT)
    sys.exit(main())
