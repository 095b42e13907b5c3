"""The numbers of journeys, from rows written by hand, on both databases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from golden import CASES, golden
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from runner.engine.apply import apply_project
from runner.insight.present import decimal_text, journey_json, journey_text
from runner.insight.report import Blocked, Ended, Goals, JourneyNumbers, Messages, Standing, journey_numbers
from runner.insight.status import SHORT_HASH, read_status, status_json, status_text
from runner.journey.model import Journey
from runner.journey.project import Project, load_project
from runner.journey.values import LARGEST
from runner.store import tables
from runner.store.database import Database
from runner.store.tables import MessageStatus, RunStatus
from runner.store.watching import due, reports

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHOP = CASES / "scenario" / "shop"


@pytest.fixture(scope="module")
def shop() -> Project:
    files = {
        path.relative_to(SHOP).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(SHOP.rglob("*"))
        if path.is_file()
    }
    return load_project(files)


class Rows:
    """Writes rows whose details do not matter."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runs: dict[tuple[int, int], int] = {}

    def add(self, table: Any, **values: Any) -> None:
        with self.database.begin() as connection:
            connection.execute(insert(table).values(**values))

    def contact(self, partition: int, number: int, key: str) -> None:
        self.add(
            tables.contact,
            partition=partition,
            id=number,
            key=key,
            attributes={},
            tags=[],
            created_at=NOON,
        )

    def run(
        self,
        who: tuple[int, int],
        status: RunStatus,
        *,
        journey: str = "cart",
        at: str = "",
        reason: str = "",
        held_out: bool = False,
    ) -> int:
        """A run that stands on the step ``at``, or ended for ``reason``; its id."""
        number = self.runs[who] = self.runs.get(who, 0) + 1
        active = status is RunStatus.ACTIVE
        self.add(
            tables.run,
            partition=who[0],
            contact=who[1],
            id=number,
            journey=journey,
            version=1,
            per=str(number),
            entry_key=str(number),
            status=status.value,
            reason=reason or None,
            step=at or None,
            node=0 if active else None,
            arrived_at=NOON,
            next_at=NOON + timedelta(hours=number) if active else None,
            entered_at=NOON,
            ended_at=None if active else NOON,
            trigger={},
            data={},
            held_out=held_out,
        )
        return number

    def message(
        self,
        who: tuple[int, int],
        run: int,
        step: str,
        status: MessageStatus,
        *,
        reason: str = "",
        minutes: int = 0,
        journey: str = "cart",
    ) -> None:
        self.add(
            tables.message,
            partition=who[0],
            contact=who[1],
            run=run,
            step=step,
            visit=1,
            journey=journey,
            version=1,
            channel="email",
            topic="offers",
            status=status.value,
            reason=reason or None,
            let_go_at=NOON + timedelta(minutes=minutes),
            expires_at=NOON + timedelta(days=1),
            attempts=0,
            available_at=NOON if status is MessageStatus.READY else None,
            lease_until=NOON if status in (MessageStatus.CLAIMED, MessageStatus.SENDING) else None,
            sent_at=NOON if status is MessageStatus.SENT else None,
        )

    def conversion(self, who: tuple[int, int], run: int, event: int, value: int | None) -> None:
        self.add(
            tables.conversion,
            partition=who[0],
            contact=who[1],
            run=run,
            event=event,
            journey="cart",
            step="remind",
            at=NOON,
            value=value,
        )

    def event(self, who: tuple[int, int], number: int, *, hours: int, pending: bool) -> None:
        self.add(
            tables.event,
            partition=who[0],
            contact=who[1],
            id=number,
            name="Cart Updated",
            at=NOON + timedelta(hours=hours),
            received_at=NOON,
            properties={},
            dedup_key=str(number),
            pending=pending,
        )


@pytest.fixture
def rows(database: Database) -> Rows:
    """Three contacts. On PostgreSQL two of them have the same id, in different partitions."""
    rows = Rows(database)
    ana, ben, eva = people(database)
    rows.contact(*ana, "ana")
    rows.contact(*ben, "ben")
    rows.contact(*eva, "eva")
    return rows


def people(database: Database) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    return ((0, 1), (0, 2), (1, 1) if database.deployment.partitions > 1 else (0, 3))


def cart_life(rows: Rows) -> None:
    """A little of everything that can become of runs and messages."""
    ana, ben, eva = people(rows.database)
    one = rows.run(ana, RunStatus.COMPLETED)
    two = rows.run(ana, RunStatus.ACTIVE, at="patience")
    three = rows.run(ben, RunStatus.EXITED, reason="bought")
    four = rows.run(ben, RunStatus.EXITED, reason="bought")
    five = rows.run(eva, RunStatus.ACTIVE, at="settle")
    rows.run(eva, RunStatus.EXITED, reason="churned")
    rows.run(eva, RunStatus.SET_ASIDE, reason="storm")
    rows.run(eva, RunStatus.ACTIVE, at="patience")
    rows.message(ana, one, "remind", MessageStatus.SENT, minutes=3)
    rows.message(ana, one, "voucher", MessageStatus.FAILED, reason="template", minutes=4)
    rows.message(ana, two, "remind", MessageStatus.READY, minutes=1)
    rows.message(ben, three, "remind", MessageStatus.BLOCKED, reason="no_consent")
    rows.message(ben, four, "remind", MessageStatus.BLOCKED, reason="no_consent", minutes=2)
    rows.message(eva, five, "remind", MessageStatus.BLOCKED, reason="no_address")
    rows.message(eva, five, "gone", MessageStatus.CANCELLED)
    rows.conversion(ana, one, 1, 80_500_000)
    rows.conversion(ana, two, 1, 80_500_000)
    rows.conversion(ben, three, 1, None)


def cart(shop: Project) -> Journey:
    return shop.journeys["cart"]


def test_the_numbers_of_a_journey(rows: Rows, shop: Project) -> None:
    cart_life(rows)
    (numbers,) = journey_numbers(rows.database, [cart(shop)])
    nobody: Mapping[MessageStatus, int] = {}
    assert numbers == JourneyNumbers(
        journey="cart",
        title="Win back abandoned carts",
        entered=8,
        contacts=3,
        held_out=0,
        active=3,
        standing=(Standing(step="settle", people=1), Standing(step="patience", people=2)),
        completed=1,
        exits=(Ended(reason="bought", runs=2), Ended(reason="churned", runs=1)),
        set_aside=(Ended(reason="storm", runs=1),),
        messages=(
            Messages(
                step="remind",
                channel="email",
                contacts=1,
                states={MessageStatus.READY: 1, MessageStatus.SENT: 1, MessageStatus.BLOCKED: 3},
                blocked=(
                    Blocked(reason="no_consent", messages=2, contacts=1),
                    Blocked(reason="no_address", messages=1, contacts=1),
                ),
            ),
            Messages(
                step="voucher", channel="email", contacts=1, states={MessageStatus.FAILED: 1}, blocked=()
            ),
            Messages(step="nudge-ten", channel="email", contacts=0, states=nobody, blocked=()),
            Messages(
                step="gone", channel="email", contacts=1, states={MessageStatus.CANCELLED: 1}, blocked=()
            ),
        ),
        goals=Goals(conversions=3, contacts=2, value=Decimal(161)),
    )
    assert numbers.messages[0].let_go == 2


def test_goals_of_people_who_are_held_out_are_told_apart(rows: Rows, shop: Project) -> None:
    cart_life(rows)
    held_out = rows.run((0, 2), RunStatus.COMPLETED, held_out=True)
    rows.message((0, 2), held_out, "remind", MessageStatus.WITHHELD, reason="held_out")
    rows.conversion((0, 2), held_out, 7, 30_000_000)
    (numbers,) = journey_numbers(rows.database, [cart(shop)])
    theirs = Goals(conversions=1, contacts=1, value=Decimal(30))
    assert numbers.goals == Goals(conversions=3, contacts=2, value=Decimal(161), held_out=theirs)
    assert (numbers.messages[0].let_go, numbers.messages[0].contacts) == (2, 1), (
        "what was withheld was not sent"
    )
    told = journey_text(numbers, states=False).splitlines()
    assert told[1] == "  entered    9 by 3 contacts, 1 of them held out"
    assert told[6:8] == ["  goal       3 by 2 contacts, value 161", "  held out   1 by 1 contact, value 30"]
    assert told[9:11] == [
        "  message    channel  sent  contacts  withheld  blocked  why blocked",
        "  remind     email       2         1         1        3  no_consent 2 (1 contact), no_address 1 (1 contact)",
    ]
    goal = journey_json(numbers)["goal"]
    assert isinstance(goal, dict)
    assert goal["held_out"] == {"conversions": 1, "contacts": 1, "value": "30"}


def test_a_journey_that_nobody_entered_has_numbers_too(database: Database, shop: Project) -> None:
    numbers = journey_numbers(database, shop.journeys.values())
    assert [one.journey for one in numbers] == ["cart", "welcome"]
    assert [(one.entered, one.completed, one.exits) for one in numbers] == [(0, 0, ()), (0, 0, ())]
    assert numbers[0].goals == Goals(conversions=0, contacts=0, value=Decimal(0))
    assert numbers[1].goals is None


def test_a_journey_without_a_file_is_counted_by_its_runs(rows: Rows) -> None:
    run = rows.run((0, 1), RunStatus.COMPLETED, journey="old")
    rows.message((0, 1), run, "goodbye", MessageStatus.SENT, journey="old")
    (numbers,) = journey_numbers(rows.database, [])
    assert (numbers.journey, numbers.title, numbers.entered) == ("old", "old", 1)
    assert [message.step for message in numbers.messages] == ["goodbye"]


def test_sums_beyond_sixty_four_bits_are_exact(rows: Rows, shop: Project) -> None:
    run = rows.run((0, 1), RunStatus.COMPLETED)
    values = [LARGEST, LARGEST, LARGEST - 1, -7, -1_999_999]
    for number, value in enumerate(values):
        rows.conversion((0, 1), run, number, value)
    (numbers,) = journey_numbers(rows.database, [cart(shop)])
    assert numbers.goals is not None
    assert numbers.goals.value == Decimal(sum(values)) / 1_000_000


def test_messages_come_by_instant_and_contact(rows: Rows) -> None:
    cart_life(rows)
    with rows.database.read() as connection:
        lines = [
            (line.at - NOON, line.contact, line.step, line.let_go, line.reason)
            for line in reports.message_lines(connection)
        ]
    minute = timedelta(minutes=1)
    assert lines == [
        (0 * minute, "ben", "remind", False, "no_consent"),
        (0 * minute, "eva", "gone", True, None),
        (0 * minute, "eva", "remind", False, "no_address"),
        (1 * minute, "ana", "remind", True, None),
        (2 * minute, "ben", "remind", False, "no_consent"),
        (3 * minute, "ana", "remind", True, None),
        (4 * minute, "ana", "voucher", True, "template"),
    ]


def test_more_messages_than_are_held_at_once_all_come(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    cart_life(rows)
    monkeypatch.setattr(reports, "ROWS_AT_ONCE", 2)
    with rows.database.read() as connection:
        assert len(list(reports.message_lines(connection))) == 7


def test_what_is_due_and_what_is_pending(rows: Rows) -> None:
    with rows.database.read() as connection:
        assert reports.totals(connection) == reports.Totals(
            contacts=3, events=0, pending=0, first=None, last=None
        )
        assert (due.next_due(connection), due.next_pending(connection)) == (None, None)
        assert not due.something_ready(connection, NOON)
    cart_life(rows)
    for number, (hours, pending) in enumerate([(1, False), (5, True), (3, True), (4, False)]):
        rows.event((0, 1), number, hours=hours, pending=pending)
    with rows.database.read() as connection:
        assert reports.totals(connection) == reports.Totals(
            contacts=3, events=4, pending=2, first=NOON + timedelta(hours=1), last=NOON + timedelta(hours=5)
        )
        assert due.next_due(connection) == NOON + timedelta(hours=1)
        assert due.next_pending(connection) == NOON + timedelta(hours=3)
        assert due.pending_count(connection) == 2
        assert reports.active_by_version(connection) == {("cart", 1): 3}
        assert due.something_ready(connection, NOON)
        assert not due.something_ready(connection, NOON - timedelta(seconds=1))


def test_a_report_reads_like_this(rows: Rows, shop: Project) -> None:
    cart_life(rows)
    numbers = journey_numbers(rows.database, shop.journeys.values())
    for states, name in ((False, "journeys"), (True, "journeys-by-state")):
        text = "\n\n".join(journey_text(one, states=states) for one in numbers)
        golden(f"report/{name}.out", text + "\n")
    as_json = json.dumps([journey_json(one) for one in numbers], indent=2)
    golden("report/journeys.json", as_json + "\n")


def test_a_status_reads_like_this(rows: Rows, shop: Project) -> None:
    database = rows.database
    empty = status_text(read_status(database), NOON)
    assert "No journey has been applied" in empty
    apply_project(database, shop, now=NOON, author="ana", git_commit=None)
    cart_life(rows)
    rows.event((0, 1), 1, hours=-1, pending=True)
    status = read_status(database)
    assert "13:00 UTC (overdue)" not in status_text(status, NOON + timedelta(hours=1, seconds=59))
    assert "overdue" not in status_text(replace(status, virtual=True), NOON + timedelta(hours=9))
    text = status_text(status, NOON + timedelta(hours=2))
    as_json = json.dumps(status_json(status), indent=2)
    for one in status.journeys:
        # Hashes of versions change with every version of the language.
        assert one.in_force is not None
        text = text.replace(one.in_force.version[:SHORT_HASH], f"hash-of-{one.numbers.journey}")
        as_json = as_json.replace(one.in_force.version, f"hash-of-{one.numbers.journey}")
    golden("report/status.out", text + "\n")
    golden("report/status.json", as_json + "\n")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15))
def test_decimals_are_written_plainly_and_exactly(value: Decimal) -> None:
    text = decimal_text(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert "." not in text or not text.endswith(("0", "."))
