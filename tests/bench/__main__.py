"""`make bench`: runs every bench_*.py in this folder, or those named: `make bench ARGS="generator --json"`.

Each module has a function `run() -> dict`. Its ratios compare with a peer in the same run, because figures of different
machines, or of one machine at different times, cannot be compared.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    """Run the benchmarks and print what they measured."""
    names = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}; all without")
    parser.add_argument("--json", action="store_true", help="machine format")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(names):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]  # the modules that run a node and build images
    results = {}
    for name in chosen.names or names:
        print(f"bench {name} …", file=sys.stderr)
        results[name] = importlib.import_module(f"bench_{name}").run()
        if not chosen.json:
            for key, value in results[name].items():
                print(f"{name:<10} {key:<40} {value}")
    if chosen.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
