"""Print our figures beside their yardsticks, measured in the same run; `--check` fails where a ratio is missed.

    python -m scripts.bench [--check] [--json] [SECTION…]

Absolute figures depend on the machine, ratios hardly: compare those. Needs what the slow tests need: scripts/get-kubo
and scripts/get-photos.
"""

import argparse
import json
import sys
from dataclasses import asdict

from scripts.bench_sections import SECTIONS


def main() -> int:
    """Run the sections asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    sys.exit(main())
