"""Values of a pool: each is given to one run, and comes back where its message never left."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from plays import holds
from shop import Shop
from sqlalchemy import select

from runner.cli import run as main
from runner.engine.tick import tick
from runner.store.database import Database
from runner.store.sending.pools import PoolStatus, import_values, pool_status
from runner.store.tables import pool_value, run
from tests.acting import CATALOG, project, rows
from tests.written import write_files

DRAWS = """
topic: offers
trigger: {event: Signed Up}
entry: {reentry: always}
steps:
  - {id: voucher, draw: {pool: vouchers, save_as: code, if_empty: [{id: none-left, exit: none-left}]}}
  - {id: hello, send: email}
"""


def shop(**journeys: str) -> dict[str, str]:
    files = project(**journeys)
    files["journeys/catalog.yaml"] = CATALOG + "pools:\n  vouchers: {file: vouchers.csv}\n"
    for path in files:
        if path.endswith("hello.txt"):
            files[path] = "---\nsubject: Your code\n---\n{{ run.code }}\n"
    return files


def test_a_value_is_drawn_in_the_order_of_the_pool_and_read_by_the_message(database: Database) -> None:
    tests = """
  - name: Two values, three entries
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    given: {pools: {vouchers: [A1, B2]}}
    events:
      - {at: 0m, event: Signed Up}
      - {at: 1h, event: Signed Up}
      - {at: 2h, event: Signed Up}
    expect:
      - {at: 0m, send: hello, text_contains: A1}
      - {at: 0m, completed: true}
      - {at: 1h, send: hello, text_contains: B2}
      - {at: 1h, completed: true}
      - {at: 2h, exit: none-left}
  - name: A pool that nobody filled
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
    expect:
      - {at: 0m, exit: none-left}
"""
    holds(database, shop(demo=DRAWS), "demo", tests)


def test_a_value_comes_back_where_its_message_was_blocked(database: Database) -> None:
    """And only there: one whose message left stays drawn."""
    tests = """
  - name: Blocked, then consented to
    start: 2026-03-01T10:00:00Z
    given: {pools: {vouchers: [A1]}}
    events:
      - {at: 0m, event: Signed Up}
      - {at: 30m, consent: offers, change: given}
      - {at: 1h, event: Signed Up}
      - {at: 2h, event: Signed Up}
    expect:
      - {at: 0m, send: hello, blocked: no_consent}
      - {at: 0m, completed: true}
      - {at: 1h, send: hello, text_contains: A1}
      - {at: 1h, completed: true}
      - {at: 2h, exit: none-left}
"""
    holds(database, shop(demo=DRAWS), "demo", tests)


def test_a_run_without_a_value_goes_on_unless_it_says_otherwise(database: Database) -> None:
    short = """
topic: offers
trigger: {event: Signed Up}
steps:
  - {id: voucher, draw: vouchers}
  - {id: got, condition: {if: run.vouchers is not None, else: [{id: none, exit: nothing-drawn}]}}
"""
    tests = """
  - name: Nothing there
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 0m, exit: nothing-drawn}]
  - name: Kept under the name of the pool
    start: 2026-03-01T10:00:00Z
    given: {pools: {vouchers: [A1]}}
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 0m, completed: true}]
"""
    holds(database, shop(demo=short), "demo", tests)


def test_a_run_that_gets_nothing_keeps_no_value_of_another_draw(database: Database) -> None:
    twice = """
topic: offers
trigger: {event: Signed Up}
steps:
  - {id: one, draw: {pool: vouchers, save_as: code}}
  - {id: other, draw: {pool: vouchers, save_as: code}}
  - {id: got, condition: {if: run.code is not None, else: [{id: none, exit: nothing-drawn}]}}
"""
    tests = """
  - name: One for two
    start: 2026-03-01T10:00:00Z
    given: {pools: {vouchers: [A1]}}
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 0m, exit: nothing-drawn}]
  - name: Two for two
    start: 2026-03-01T10:00:00Z
    given: {pools: {vouchers: [A1, A2]}}
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 0m, completed: true}]
"""
    holds(database, shop(demo=twice), "demo", tests)


def test_a_run_is_ended_by_what_it_has_drawn_before_its_next_step(database: Database) -> None:
    ends = DRAWS.replace("steps:", "exit: [{when: 'run.code == \"A1\"', reason: has-one}]\nsteps:")
    tests = """
  - name: No letter about it
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    given: {pools: {vouchers: [A1]}}
    events:
      - {at: 0m, event: Signed Up}
    expect:
      - {at: 0m, exit: has-one}
"""
    holds(database, shop(demo=ends), "demo", tests)


def test_several_runners_never_draw_the_same_value(postgres_database: Database) -> None:
    """Two runners tick at a time over other partitions; sixty people draw from fifty values."""
    database = postgres_database
    greeting = Shop(
        database, shop(demo=DRAWS.replace("{id: none-left, exit: none-left}", "{id: rest, wait: 1d}"))
    )
    with database.begin() as connection:
        assert import_values(connection, "vouchers", (f"V{number}" for number in range(50))) == 50
    now = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    for number in range(60):
        greeting.identify(f"c{number}", now - timedelta(hours=1))
    greeting.arrive(greeting.event(f"c{number}", "Signed Up", now) for number in range(60))

    def run_ticks() -> None:
        for _ in range(200):
            if not tick(database, greeting.versions, now + timedelta(seconds=1)).more:
                return

    runners = [threading.Thread(target=run_ticks) for _ in range(2)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    run_ticks()
    drawn = [
        (partition, contact)
        for partition, contact in rows(database, pool_value.c.partition, pool_value.c.contact)
    ]
    assert len(drawn) == len(set(drawn)) == 50
    with database.read() as connection:
        codes = [data["code"] for (data,) in connection.execute(select(run.c.data)) if "code" in data]
        assert len(codes) == len(set(codes)) == 50
    with database.begin() as connection:
        assert pool_status(connection) == [PoolStatus(name="vouchers", free=0, drawn=50)]


def test_pools_are_filled_from_files_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, shop(demo=DRAWS))
    (tmp_path / "journeys/vouchers.csv").write_text("A1\nB2,spring\n\nA1\n", encoding="utf-8")
    here = ["--project", str(tmp_path)]
    assert main(["pools", "import", *here]) == 0
    assert main(["pools", "import", *here]) == 0
    assert main(["pools", "show", *here]) == 0
    printed = capsys.readouterr().out
    assert printed == "vouchers: 2 new values\nvouchers: 0 new values\nvouchers: 2 free, 0 drawn\n"
    assert main(["pools", "import", "voucher", *here]) == 1
    assert "Did you mean `vouchers`?" in capsys.readouterr().err


def test_apply_tells_of_a_pool_that_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one that a journey draws from, each time, until it has values."""
    write_files(tmp_path, shop(demo=DRAWS))
    (tmp_path / "journeys/vouchers.csv").write_text("A1\n", encoding="utf-8")
    here = ["--project", str(tmp_path)]
    told = "Pool vouchers is empty, and demo draws from it: `journeys pools import vouchers`."
    for outcome in ("new", "unchanged"):
        assert main(["apply", *here]) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert (first.split()[:2], second) == (["demo", outcome], told)
    assert main(["apply", "--format", "json", *here]) == 0
    assert json.loads(capsys.readouterr().out)["empty_pools"] == [{"pool": "vouchers", "journeys": ["demo"]}]
    assert main(["pools", "import", "vouchers", *here]) == 0
    assert main(["apply", *here]) == 0
    assert "Pool" not in capsys.readouterr().out
