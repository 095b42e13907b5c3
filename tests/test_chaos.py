"""Short forms of the campaigns of ``make chaos``: real processes and faults, messages counted where they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest

from tests.chaos.campaigns import POSTGRESQL, SQLITE, Order, run_campaign
from tests.chaos.outcome import Outcome
from tests.chaos.postgres import PostgresServer, a_postgres_server
from tests.chaos.proxy import COMMIT, DATA, FINAL_DOT, Harm, Kind
from tests.chaos.report import as_json, table, write_page

SEED = 20_261_122


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with a_postgres_server() as server:
        yield server


def nothing_lost_and_nothing_twice(outcome: Outcome) -> None:
    assert outcome.trouble == ()
    assert outcome.good
    assert outcome.expected > 0


def test_kills_lose_nothing_on_postgresql(server: PostgresServer) -> None:
    nothing_lost_and_nothing_twice(run_campaign("kills", POSTGRESQL, Order(faults=6, seed=SEED), server))


def test_who_is_stopped_past_a_lease_and_wakes_repeats_nothing(server: PostgresServer) -> None:
    nothing_lost_and_nothing_twice(run_campaign("stops", POSTGRESQL, Order(faults=2, seed=SEED), server))


def test_a_database_that_is_restarted_loses_nothing_that_was_acknowledged(server: PostgresServer) -> None:
    outcome = run_campaign("restarts", POSTGRESQL, Order(faults=2, seed=SEED), server)
    nothing_lost_and_nothing_twice(outcome)
    assert outcome.details["errors that the feeder was told"] > 0


def test_connections_to_the_database_that_break_anywhere_lose_nothing(server: PostgresServer) -> None:
    """Among them a commit that took place though nobody was told so."""
    harms = cycle(
        (
            Harm(kind=Kind.LOSE_ANSWER, mark=COMMIT, count=3),
            Harm(kind=Kind.CUT_BEFORE, mark=COMMIT, count=2),
            Harm(kind=Kind.CUT, count=20_000),
            Harm(kind=Kind.HALF_OPEN, count=9_000, seconds=0.5),
            Harm(kind=Kind.LOSE_ANSWER, mark=COMMIT, count=7),
            None,
        )
    )
    order = Order(faults=5, seed=SEED, plan=lambda _chance: next(harms), longest=10)
    outcome = run_campaign("database-network", POSTGRESQL, order, server)
    nothing_lost_and_nothing_twice(outcome)
    assert outcome.details[Kind.LOSE_ANSWER] > 0


def test_connections_to_the_mail_server_that_break_anywhere_repeat_nothing() -> None:
    """What breaks between the final dot and its answer is unknown, and never sent again."""
    harms = cycle(
        (
            Harm(kind=Kind.LOSE_ANSWER, mark=FINAL_DOT, count=2),
            Harm(kind=Kind.CUT_BEFORE, mark=DATA, count=2),
            Harm(kind=Kind.CUT, count=700),
            Harm(kind=Kind.HALF_OPEN, count=300, seconds=3.0),
            Harm(kind=Kind.DELAY, count=100, seconds=0.02),
        )
    )
    order = Order(faults=6, seed=SEED, plan=lambda _chance: next(harms), longest=10)
    outcome = run_campaign("mail-network", SQLITE, order, None)
    nothing_lost_and_nothing_twice(outcome)
    assert outcome.unknown >= outcome.details[Kind.LOSE_ANSWER] > 0


def test_a_record_becomes_a_table_and_a_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.shop import START

    folder = tmp_path_factory.mktemp("report")
    outcome = Outcome(
        campaign="kills",
        database=SQLITE,
        faults=1_000,
        expected=4_000,
        arrived=3_999,
        lost=1,
        duplicated=0,
        unknown=0,
        lawful_unknown=2_000,
        refused=0,
        called_again=0,
        seconds=60.5,
        seed=7,
        details={"in a transaction": 300},
        trouble=("lost: one",),
    )
    assert not outcome.good
    assert table([outcome]).splitlines()[1].split() == [
        *("kills", "sqlite", "1,000", "4,000", "3,999", "1", "0", "0", "0", "0", "60.5", "7")
    ]
    page = folder / "chaos.md"
    write_page(as_json([outcome], START), page)
    text = page.read_text(encoding="utf-8")
    assert "| kills | sqlite | 1,000 | 4,000 | 3,999 | 1 |" in text
    assert "**lost: one**" in text
    assert "{record}" not in text
