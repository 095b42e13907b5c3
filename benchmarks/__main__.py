"""Runs the benchmarks and prints one table. Progress goes to stderr. A target that is missed is marked, and no failure:
a busy machine misses some.

Each benchmark is a function that takes a ``Scale`` and yields figures (see ``harness``).
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import Figure, Scale
from benchmarks.report import as_json, page_tables, table

MEASURES = {
    "advance": "collected:advance",
    "intake": "intake:measure",
    "segments": "segments:measure",
    "wakeup": "wakeup:measure",
    "waits": "waits:measure",
    "triggers": "triggers:measure",
    "import": "importing:measure",
    "backtest": "backtest:measure",
    "check": "check:measure",
    "expressions": "expressions:measure",
    "delivery": "collected:delivery",
    "idle": "idle:measure",
    "latency": "latency:measure",
    "sharing": "sharing:measure",
    "flat": "flat:measure",
    "memory": "memory:measure",
}
"""Where each benchmark is: module and function. Loaded when it is its turn."""
PAGE = Path(__file__).parent / "page.md"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures each part of the engine beside its floor, in one run.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(MEASURES)}; all unless named"
    )
    scale = parser.add_mutually_exclusive_group()
    scale.add_argument(
        "--quick", dest="scale", action="store_const", const=Scale.QUICK, help="small and rough"
    )
    scale.add_argument(
        "--trial", dest="scale", action="store_const", const=Scale.TRIAL, help="see that each can be measured"
    )
    scale.add_argument(
        "--full", dest="scale", action="store_const", const=Scale.FULL, help="up to 3,000,000 contacts"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the page of the documentation to FILE"
    )
    parser.set_defaults(scale=Scale.NORMAL)
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - set(MEASURES)):
        parser.error(f"unknown benchmark {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    begun, taken_at = time.monotonic(), datetime.now(UTC)
    figures: list[Figure] = []
    failed = []
    for name in options.names or MEASURES:
        module, function = MEASURES[name].split(":")
        try:
            for figure in getattr(importlib.import_module(f"benchmarks.{module}"), function)(options.scale):
                figures.append(figure)
                line = table([figure]).splitlines()[1]
                print(f"{time.monotonic() - begun:5.0f} s  {line}", file=sys.stderr, flush=True)
        except Exception:
            # The others are still worth knowing.
            traceback.print_exc()
            failed.append(name)
    seconds = time.monotonic() - begun
    print(table(figures))
    if options.json:
        options.json.write_text(as_json(figures, taken_at, seconds) + "\n", encoding="utf-8")
    if options.report:
        page = PAGE.read_text(encoding="utf-8")
        options.report.write_text(
            page.replace("{figures}", page_tables(figures, taken_at, seconds)), encoding="utf-8"
        )
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
