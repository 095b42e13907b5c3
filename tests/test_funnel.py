"""``journeys funnel``: where people stand in the sales funnel, and the revenue that it forecasts."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from shop import START, Shop

from runner.cli import run
from runner.insight.funnel import funnel_json, funnel_text, read_funnel
from runner.store.database import Database
from tests.written import write_files

CATALOG = """
attributes:
  deal_size: {type: number}
events:
  Asset Read: {stage: string}
  Trial Started: {}
topics:
  news: {title: News, opt_in: soft}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
scores:
  lead: [{event: Asset Read, add: 10}]
stages:
  - {name: looks, when: did("Asset Read")}
  - {name: tests, when: 'did("Trial Started", within="30d")'}
policies:
  holdout: {percent: 34, name: control}
funnel:
  - {name: reads, when: contact.stage is not None}
  - {name: warm, when: contact.score >= 20, probability: 0.1, value: contact.deal_size}
  - {name: tests, when: contact.stage == "tests", probability: 0.25, value: contact.deal_size / 2}
"""
JOURNEY = """
journey: rest
language: 1
title: Nothing much
trigger: {event: Asset Read}
steps: [{id: pause, wait: 1d}]
"""
FILES = {"journeys/catalog.yaml": CATALOG, "journeys/rest/journey.yaml": JOURNEY}


def test_everybody_stands_on_the_last_step_that_holds(database: Database) -> None:
    shop = Shop(database, FILES)
    for number, (reads, tests, size) in enumerate(
        [(1, 0, 100), (2, 0, 1000.5), (3, 0, None), (2, 1, 4000), (0, 1, 9_000_000_000_000), (0, 0, 50)]
    ):
        key = f"c{number}"
        shop.identify(key, START, deal_size=size)
        shop.grant(key, "news")
        shop.arrive(
            shop.event(key, "Asset Read", START + timedelta(minutes=minute), stage="problem")
            for minute in range(reads)
        )
        shop.arrive([shop.event(key, "Trial Started", START)] * tests)
    shop.tick(START + timedelta(hours=1))
    rows = read_funnel(database, shop.catalog, START + timedelta(hours=1))
    assert [(row.name, row.people) for row in rows] == [("reads", 1), ("warm", 2), ("tests", 2)]
    drawn = [
        int.from_bytes(sha256(f"*/control/c{number}".encode()).digest()[:8]) % 10_000 for number in range(4)
    ]
    held_out = [bucket < 3_400 for bucket in drawn]
    # c4 has entered no journey, so nothing was drawn.
    assert [row.held_out for row in rows] == [held_out[0], held_out[1] + held_out[2], held_out[3]]
    assert funnel_json(rows) == {
        "steps": [
            {
                "step": "reads",
                "people": 1,
                "held_out": 1,
                "value": "0",
                "probability": None,
                "forecast": "0",
            },
            {
                "step": "warm",
                "people": 2,
                "held_out": 1,
                "value": "1000.5",
                "probability": "0.1",
                "forecast": "100.05",
            },
            {
                "step": "tests",
                "people": 2,
                "held_out": 0,
                "value": "4500000002000",
                "probability": "0.25",
                "forecast": "1125000000500",
            },
        ],
        "forecast": "1125000000600.05",
    }
    later = read_funnel(database, shop.catalog, START + timedelta(days=31))
    assert [row.people for row in later] == [1, 3, 0], "who tested longer ago is where they were before"
    assert funnel_text(later).splitlines()[1:3] == [
        "reads       1         1      0.00            -      0.00",
        "warm        3         1  5,000.50         10 %    500.05",
    ]


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, FILES)
    assert run(["funnel", "--project", str(tmp_path)]) == 4, "nothing was applied yet"
    assert run(["apply", "--project", str(tmp_path)]) == 0
    capsys.readouterr()
    assert run(["funnel", "--project", str(tmp_path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["forecast"] == "0"
    catalog = tmp_path / "journeys/catalog.yaml"
    catalog.write_text(CATALOG.split("funnel:")[0], encoding="utf-8")
    assert run(["funnel", "--project", str(tmp_path)]) == 4
