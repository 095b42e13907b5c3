"""The simulation (``tests/simulation``) as a row of the table: engine, clock, provider and faults in one process."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.chaos.outcome import Outcome

LONGEST = 300
"""Seconds after which no further world is begun."""


def simulate(runs: int, seed: int) -> Outcome:
    """Live through ``runs`` worlds from ``seed`` on, as many as time allows; its own laws judge them."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed), "--runs", str(runs)]
    command += ["--seconds", str(LONGEST)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return Outcome(
        campaign="simulation",
        database="sqlite",
        faults=_worlds(said),
        expected=0,
        arrived=0,
        lost=0,
        duplicated=0,
        unknown=0,
        lawful_unknown=0,
        refused=0,
        called_again=0,
        seconds=round(time.monotonic() - begun, 1),
        seed=seed,
        trouble=() if done.returncode == 0 else tuple(said[-20:]),
    )


def _worlds(said: list[str]) -> int:
    """How many worlds it says that it lived through."""
    return next((int(line.split()[0]) for line in said if " worlds in " in line), 0)
