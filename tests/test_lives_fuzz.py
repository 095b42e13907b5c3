"""Whatever the check lets pass, the engine lives through: generated projects, and events of every kind.

``JOURNEYS_FUZZ_MINUTES=10 pytest tests/test_lives_fuzz.py`` goes on for so long, from a seed of ``JOURNEYS_FUZZ_SEED``.
"""

# ruff: noqa: E501
from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from fuzzed_life import LASTS, START, Life
from plays import holds
from standard_project import HEADER, JOURNEY, standard_files
from whole_catalog import EVENTS
from whole_language import Author, Files

from runner.cli import run
from runner.engine.apply import apply_project
from runner.engine.tick import LIVE, tick
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.review.check import check_files
from runner.store.database import Database
from tests.written import write_files

MINUTES = float(os.environ.get("JOURNEYS_FUZZ_MINUTES", "0"))
SEED = int(os.environ.get("JOURNEYS_FUZZ_SEED", "1"))


def seeds(few: int, share: float = 1.0) -> Iterator[int]:
    """``few`` of them, or as many as there is time for: its part of the minutes that are asked for."""
    until = time.monotonic() + MINUTES * 60 * share
    number = 0
    while number < few or time.monotonic() < until:
        yield SEED * 1_000_000 + number
        number += 1


def with_channels(files: Files, *names: str) -> None:
    """Declare further channels in the catalog."""
    further = "".join(f"  {name}: {{}}\n" for name in names)
    files["journeys/catalog.yaml"] = files["journeys/catalog.yaml"].replace(
        "channels:\n", f"channels:\n{further}"
    )


def live(database: Database, seed: int, *, exact: bool) -> Life:
    files = Author(Random(seed)).project()
    life = Life(database, files, Random(seed), exact=exact)
    try:
        life.live()
        stuck = life.stuck()
        assert not stuck, stuck
        assert not exact or life.left_undone() == 0
        assert len(life.stories()) == len(life.people)
    except Exception as error:
        error.add_note(f"seed {seed}, {'virtual time' if exact else 'as a daemon lives'}")
        error.add_note(json.dumps(files))
        raise
    return life


@pytest.mark.parametrize("exact", [True, False], ids=["virtual", "daemon"])
def test_generated_projects_are_lived_through_on_sqlite(exact: bool) -> None:
    for seed in seeds(4, 0.35):
        with Database.scratch() as database:
            live(database, seed, exact=exact)


def test_generated_projects_are_lived_through_on_postgresql(postgres_url: str) -> None:
    for seed in seeds(1, 0.2):
        with Database.scratch(postgres_url, partitions=4) as database:
            live(database, seed + 500_000, exact=seed % 2 == 0)


# The command line --------------------------------------------------------------------------------------------------


COMMANDS = (
    ("check", 0),
    ("apply", 0),
    ("contacts import people.ndjson --grant news --grant offers:email --source fuzz", 0),
    ("pools import vouchers journeys/vouchers.csv", 0),
    ("events import --live events.ndjson", 0),
    ("events send --broadcast Back_In_Stock --set sku=AT", 0),
    ("enroll next --contact ana --set plan=pro --set seats=3", 0),
    ("enroll next --contact nobody", 1),
    ("run --once", 0),
    ("apply", 0),
    ("status", 0),
    ("contacts show ana --events", 0),
    ("contacts show bea", 0),
    ("runs list", 0),
    ("messages list --status sent", 0),
    ("messages list --status blocked", 0),
    ("messages list --status withheld", 0),
    ("pools show", 0),
    ("doctor --patience 0", None),
    ("backtest recorded --grant news --until 2026-04-01", 0),
    ("test demo", None),
)
"""Commands, one after another, each with the exit code that it must have; None is any but that of a bug."""


def written(folder: Path, files: Files, random: Random) -> Path:
    """The project in ``folder``, with people and events to import, a recording, and a scenario."""
    tests = {
        "journey": "demo",
        "tests": [
            {
                "name": "whatever", "contact": {"consents": ["news", "offers"], "vip": True}, "start": "2026-03-01T10:00:00Z",
                "events": [{"at": "0m", "event": "Signed Up", "plan": "pro"}, {"at": "1d", "event": "Order Completed", "revenue": 60}],
                "expect": [{"completed": True}],
            }
        ],
    }  # fmt: skip
    people = [
        {"type": "identify", "userId": who, "traits": {"email": f"{who}@shop.example", "vip": True}}
        for who in ("ana", "bea")
    ]
    recorded = [
        {
            "type": "track", "userId": random.choice(["ana", "bea"]), "event": name, "messageId": f"m{number}",
            "timestamp": f"2026-03-{random.randint(1, 28):02}T10:00:00Z", "properties": {"plan": "pro", "revenue": 60, "minutes": 3},
        }
        for number, name in enumerate([*EVENTS, *EVENTS] * 2) if "broadcast" not in EVENTS[name]
    ]  # fmt: skip
    lines = {
        "people.ndjson": people,
        "events.ndjson": [
            {key: value for key, value in each.items() if key != "timestamp"} for each in recorded
        ],
        "recorded/events.ndjson": [
            *({**each, "timestamp": "2026-03-01T00:00:00Z"} for each in people),
            *recorded,
        ],
    }
    texts = {path: "".join(json.dumps(each) + "\n" for each in rows) for path, rows in lines.items()}
    every = {
        **files, **texts,
        "journeys/demo/tests.yaml": json.dumps(tests),
        "journeys/vouchers.csv": "A\nB\n",
        "journeys.yaml": "database: sqlite:///shop.db\nchannels:\n  call: {file: {folder: outbox}}\n",
    }  # fmt: skip
    write_files(folder, every)
    return folder


def test_no_command_shows_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in seeds(1, 0.1):
        random = Random(seed)
        folder = written(tmp_path / str(seed), Author(random).project(), random)
        monkeypatch.chdir(folder)
        for command, expected in COMMANDS:
            words = [word.replace("_", " ") for word in command.split()]
            for extra in ([], ["--format", "json"]):
                if extra and words[0] in ("run",):
                    continue
                code = run(["--debug", *words, *extra])
                out, error = capsys.readouterr()
                told = f"seed {seed}: {command} answers {code}\n{out[-2_000:]}\n{error[-4_000:]}"
                assert code == expected if expected is not None else code != 3, told
                assert "Traceback" not in out + error, told


# What was found ----------------------------------------------------------------------------------------------------


def test_a_message_that_nothing_can_block_goes(database: Database) -> None:
    """A receipt over a channel that goes by the contact's key: neither consent nor address is asked for."""
    files = standard_files(
        {JOURNEY: HEADER + "steps:\n  - {id: nudge, send: {channel: push, topic: orders}}\n"}
    )
    with_channels(files, "push")
    tests = """
  - name: Whoever signs up
    contact: {id: ana}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 0m, send: nudge}]
"""
    holds(database, files, "demo", tests)


def test_two_triggers_that_find_the_same_existing_people_come_to_rest(database: Database) -> None:
    journey = """journey: demo
language: 1
title: From whatever plan
topic: news
trigger: [{attribute: plan, from: free, to: pro}, {attribute: plan, from: null, to: pro}]
existing: enter
steps:
  - {id: hello, send: email}
"""
    loaded = load_project(standard_files({JOURNEY: journey}))
    assert not loaded.problems
    apply_project(database, loaded, now=START, author=None, git_commit=None)
    versions = load_versions(database)
    ticks = [tick(database, versions, START + LASTS, LIVE).more for _ in range(20)]
    assert not ticks[-1]


def test_a_withdrawn_consent_may_be_one_of_many() -> None:
    sends = "".join(
        f"  - {{id: s{number}, send: {{channel: c{number}, template: nudge}}}}\n" for number in range(40)
    )
    files = standard_files(
        {JOURNEY: HEADER + "exit: [{consent: withdrawn, reason: unwanted}]\nsteps:\n" + sends}
    )
    with_channels(files, *(f"c{number}" for number in range(40)))
    assert not check_files(files).problems
