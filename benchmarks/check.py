"""How long ``journeys check`` takes over a project of 100 journeys, over one of 500 steps, and ``journeys --help``.

The floor of the check is a bare parse of the same files by PyYAML's C loader: every check must read them at least. The
limits for projects are of the processor's time: what a check waits for is the disk alone.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import yaml

from benchmarks.harness import Figure, Limit, Scale, side_by_side
from benchmarks.whole_language import files_of, long_journey
from runner.journey.project import load_project
from runner.review.check import check_files

JOURNEYS = 100
STEPS = 500
CATALOG = """
attributes:
  lifetime_value: {type: number}
  first_name: {type: string, pii: true}
events:
  Signed Up: {plan: string}
  Order Completed: {total: number}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
JOURNEY = """
journey: NAME
language: 1
title: From a sign-up to an order
topic: offers
trigger: {event: Signed Up, where: event.plan != "free"}
exit:
  - {event: Order Completed, where: event.total > 0, reason: bought}
goal: {event: Order Completed, within: 7d}
steps:
  - {id: settle, wait: 1h}
  - id: value
    branch:
      - when: contact.lifetime_value >= 100 and count("Order Completed", within="90d") >= 2
        name: high
        steps: [{id: voucher, send: email}]
      - name: rest
        else: [{id: nudge, send: email}]
  - {id: pause, wait: {for: 2d, at: "10:00", days: [mon, tue, wed, thu, fri]}}
  - {id: last, send: email}
"""
_GREETING = "Hello {{ contact.first_name|default('you') }}\n"
TEMPLATE = f"---\nsubject: {_GREETING}---\n{_GREETING}"


def measure(scale: Scale) -> Iterator[Figure]:
    projects = {
        "check": (project_files(JOURNEYS), JOURNEYS),
        "check, the whole language": (whole_project(JOURNEYS), JOURNEYS),
        "check, one journey of steps": (long_journey(STEPS), STEPS),
    }
    for name, (files, size) in projects.items():
        yield from _check(name, files, size, rounds=scale.of(3, 7))
    yield Limit(
        name="journeys --help",
        database="-",
        size=1,
        measured=statistics.median(_help() for _ in range(scale.of(5, 11))) * 1e3,
        unit="ms",
        limit=150,
    )


def _check(name: str, files: dict[str, str], size: int, *, rounds: int) -> Iterator[Figure]:
    """The check of one project beside its floor, and the limit of it."""
    assert not load_project(files).problems, load_project(files).problems
    took = []

    def check(_round: int) -> int:
        begun = time.process_time()
        checked = check_files(files)
        took.append(time.process_time() - begun)
        assert not checked.errors, checked.problems
        return size

    def parse(_round: int) -> int:
        for document in (text for path, text in files.items() if path.endswith(".yaml")):
            yaml.load(document, Loader=yaml.CSafeLoader)
        return size

    yield side_by_side(check, parse, rounds=rounds).row(name, "-", size)
    yield Limit(
        name=name, database="-", size=size, measured=statistics.median(took[1:]) * 1e3, unit="ms", limit=1_000
    )


def whole_project(journeys: int) -> dict[str, str]:
    """A project of so many journeys: every fifth uses all that the language has, the others are short."""
    whole = files_of(journeys // 5)
    short = {
        path: text
        for path, text in project_files(journeys - journeys // 5).items()
        if path != "journeys/catalog.yaml"
    }
    renamed = {
        f"journeys/short-{path.removeprefix('journeys/')}": text.replace("journey: ", "journey: short-", 1)
        for path, text in short.items()
    }
    return {**whole, **renamed}


def project_files(journeys: int) -> dict[str, str]:
    """A project of so many journeys with three templates each."""
    files = {"journeys/catalog.yaml": CATALOG}
    for number in range(journeys):
        folder = f"journeys/j{number:03}"
        files[f"{folder}/journey.yaml"] = JOURNEY.replace("NAME", f"j{number:03}")
        for step in ("voucher", "nudge", "last"):  # no text twice, so that none is parsed for another
            files[f"{folder}/{step}.txt"] = TEMPLATE.replace("Hello", f"Hello from {step} {number}")
    return files


def _help() -> float:
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from runner.cli import main; main()", "--help"],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - begun
