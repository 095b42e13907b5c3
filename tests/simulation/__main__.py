"""``python -m tests.simulation``: worlds from consecutive seeds until one breaks a law, or time is up."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context

from tests.simulation.stretch import Played, play_stretch, stretches


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed; at random where it is left out")
    parser.add_argument(
        "--runs", type=int, help="how many worlds; 1 with --seed, else as many as time allows"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long at most (60)")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="play in so many at a time (one a core)"
    )
    options = parser.parse_args()
    first = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    runs = options.runs or (1 if options.seed is not None else sys.maxsize)
    _say(f"seeds from {first}")
    began = time.monotonic()
    parts = stretches(first, first + runs)
    last = time.time() + options.seconds
    played = (
        (play_stretch(*part, last) for part in parts)
        if options.processes == 1 or runs == 1
        else _play_at_once(parts, options.processes, last)
    )
    seen: Counter[str] = Counter()
    worked = 0.0
    newest: Played | None = None
    for some in played:
        seen.update(some.seen)
        worked += some.worked
        newest = some if newest is None or some.first > newest.first else newest
        if some.unlawful is not None:
            _say(some.unlawful)
            _say(f"again: python -m tests.simulation --seed {some.first + some.worlds}")
            return 1
        if time.time() >= last:
            break
    took = time.monotonic() - began
    worlds = seen.pop("worlds", 0)
    _say(f"{worlds} worlds in {took:.1f} s; a minute, and a minute of one core's work:")
    for name, count in (("worlds", worlds), *((name, seen[name]) for name in ("entered", "commits"))):
        _say(f"  {name} {round(count / took * 60):,}, {round(count / worked * 60):,}")
    _say(", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    _say(f"the last one's digest: {newest.digest if newest else 0:08x}")
    return 0


def _play_at_once(parts: Iterator[tuple[int, int]], processes: int, last: float) -> Iterator[Played]:
    """The same, so many parts at a time, in the order in which they end."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        under_way: set[Future[Played]] = set()
        more = True
        while more or under_way:
            while more and len(under_way) < processes:
                part = next(parts, None)
                more = part is not None and time.time() < last
                if part is not None and more:
                    under_way.add(pool.submit(play_stretch, *part, last))
            if under_way:
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)


if __name__ == "__main__":
    sys.exit(main())
