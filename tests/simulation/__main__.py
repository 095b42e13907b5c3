"""``python -m tests.simulation``: worlds from consecutive seeds until one breaks a law, or time is up."""

from __future__ import annotations

import argparse
import gc
import logging
import random
import sys
import time
from collections import Counter

from tests.simulation.lawful import UnlawfulError
from tests.simulation.script import play
from tests.simulation.stand import Stand


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed; at random where it is left out")
    parser.add_argument(
        "--runs", type=int, help="how many worlds; 1 with --seed, else as many as time allows"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long at most (60)")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    first = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    runs = options.runs or (1 if options.seed is not None else sys.maxsize)
    _say(f"seeds from {first}")
    stand = Stand()
    began, worked = time.monotonic(), time.process_time()
    seen: Counter[str] = Counter()
    digest = 0
    seed = first
    gc.freeze()
    try:
        while seed < first + runs and time.monotonic() - began < options.seconds:
            try:
                told = play(seed, stand)
            except UnlawfulError as error:
                _say(error)
                _say(f"again: python -m tests.simulation --seed {seed}")
                return 1
            seen.update(told.messages)
            seen.update(
                {
                    "commits": told.commits,
                    "deaths": told.deaths,
                    "mishaps": told.mishaps,
                    "entered": told.runs,
                }
            )
            digest = told.digest
            seed += 1
    finally:
        stand.close()
    took, worked = time.monotonic() - began, time.process_time() - worked
    a_minute = [round((seed - first) / seconds * 60) for seconds in (took, worked)]
    _say(
        f"{seed - first} worlds in {took:.1f} s: {a_minute[0]} a minute, {a_minute[1]} a minute of one core's work"
    )
    _say(", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    _say(f"the last one's digest: {digest:08x}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
