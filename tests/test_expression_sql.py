"""How expressions stand in SQL: the ways to read them, their safety, and the indexes that serve them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, Connection, Text, func, literal, select

from runner.journey.expression import Scope, parse_expression
from runner.journey.expression.literals import stored_date, stored_datetime
from runner.journey.expression.lower import lower, lower_table
from runner.journey.expression.pattern import PatternError, parse_pattern
from runner.journey.values import LARGEST, Kind
from runner.store import functions
from runner.store.database import Database
from runner.store.predicates import (
    Row,
    day_microseconds,
    instant_microseconds,
    json_value,
    millionths,
    predicate,
    text_value,
    value,
)
from runner.store.predicates.read import sql_type
from runner.store.predicates.search import found, postgresql_pattern
from tests.reference.expression_rows import ROW, read_all, reading, store
from tests.reference.expression_world import CATALOG, POOLS, SCOPE, situations
from tests.reference.expressions import computed, difference, python_pattern, shifted

PEOPLE = situations(30, seed=3)


@pytest.fixture(scope="module")
def both(postgres_url: str) -> Iterator[tuple[Database, Database]]:
    with Database.scratch() as sqlite, Database.scratch(postgres_url, partitions=1) as postgresql:
        for database in (sqlite, postgresql):
            with database.begin() as connection:
                store(connection, PEOPLE)
        yield sqlite, postgresql


def one_row(database: Database, *columns: ColumnElement[Any]) -> tuple[Any, ...]:
    with database.read() as connection:
        return tuple(connection.execute(select(*columns)).one())


def read_first(database: Database, *columns: ColumnElement[Any]) -> tuple[Any, ...]:
    """The columns, read for the first contact."""
    with database.read() as connection:
        return read_all(connection, list(columns))[0]


# Ways to read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text", "stored"),
    [
        ("12.50", "12.5", 12_500_000),
        ("-0.000001", "-0.000001", -1),
        ("8999999999999.999999", "8999999999999.999999", LARGEST - 1),
        ("1 / 0", "", None),
        ("True", "true", True),
        ("1 > 2", "false", False),
        ("None", "", None),
        ('"a\\"\\\\ö😀\\n"', 'a"\\ö😀\n', 'a"\\ö😀\n'),
        ('date("2026-03-01")', "2026-03-01", "2026-03-01"),
        (
            'datetime("2026-03-01T10:00:00+04:00")',
            "2026-03-01T06:00:00.000000Z",
            "2026-03-01T06:00:00.000000Z",
        ),
        ('"null"', "null", "null"),
        ('"[1]"', "[1]", "[1]"),
    ],
)
def test_text_and_json(both: tuple[Database, Database], source: str, text: str, stored: object) -> None:
    expression = parse_expression(source, SCOPE)
    for database in both:
        as_text, as_json = read_first(
            database,
            text_value(expression, ROW, database.dialect),
            json_value(expression, ROW, database.dialect),
        )
        assert as_text == text
        assert (json.loads(as_json) if database.dialect == "sqlite" else as_json) == stored


def test_lists_and_objects_are_read_as_json(both: tuple[Database, Database]) -> None:
    sources = ["contact.tags", "event.items", "event.items.sku", "event.place", "trigger.amounts"]
    parsed = [parse_expression(source, SCOPE) for source in sources]
    answers = []
    for database in both:
        with database.read() as connection:
            rows = read_all(connection, [json_value(found, ROW, database.dialect) for found in parsed])
        answers.append([[json.loads(x) if isinstance(x, str) else x for x in row] for row in rows])
    assert answers[0] == answers[1]
    assert any(row[2] for row in answers[0])
    with pytest.raises(TypeError, match="a list has no text"):
        text_value(parsed[0], ROW, "sqlite")


def test_numbers_and_dates_for_the_engine(both: tuple[Database, Database]) -> None:
    number = parse_expression("2.5", SCOPE)
    day, before = parse_expression('date("2026-03-01")', SCOPE), parse_expression('date("1969-12-31")', SCOPE)
    moment = parse_expression('datetime("1970-01-01T00:00:01Z")', SCOPE)
    for database in both:
        row = read_first(
            database,
            millionths(number, ROW, database.dialect),
            day_microseconds(day, ROW, database.dialect),
            day_microseconds(before, ROW, database.dialect),
            instant_microseconds(moment, ROW, database.dialect),
        )
        assert row == (2_500_000, 20_513 * 86_400_000_000, -86_400_000_000, 1_000_000)
        assert type(row[0]) is int


def test_what_has_no_run_or_event_is_missing(both: tuple[Database, Database]) -> None:
    bare = replace(ROW, trigger=None, data=None, event=None, run=None, entered_at=None)
    sources = (
        "trigger.s is None",
        "run.entered_at is None",
        "not sent('remind')",
        "event.n is None",
        "run.b is None",
    )
    for database in both:
        columns = [predicate(parse_expression(source, SCOPE), bare, database.dialect) for source in sources]
        assert all(read_first(database, *columns))


# Safety ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_nothing_that_the_author_wrote_is_in_the_sql(both: tuple[Database, Database], dialect: str) -> None:
    word = "x'); DROP TABLE event; --"
    event = "Order Completed"
    sources = [
        f"contact.s == {word!r}",
        f"contact.s in [{word!r}]",
        f"contact.s.startswith({word!r})",
        f"contact.s.matches({'DROP TABLE'!r})",
        f"contact.s + {word!r} == trigger.s",
        f'did({event!r}, where=event["Ünï.cödé [0] $"] == {word!r})',
        "contact.n > 123456",
        "contact.d > date('2031-03-01')",
        "consented('offers', 'email') and sent('remind')",
    ]
    engine = {database.dialect: database.engine for database in both}[dialect]
    for source in sources:
        column = predicate(parse_expression(source, SCOPE), ROW, dialect)
        text = str(column.compile(engine))
        for secret in ("DROP", "123456", "2031", "offers", "remind", event, "cödé"):
            assert secret not in text


def test_the_sql_does_not_grow_faster_than_the_expression() -> None:
    def length(source: str) -> int:
        return len(str(value(parse_expression(source, SCOPE), ROW, "sqlite")))

    patterns = (
        "({} + contact.n)",
        "({} * 2)",
        "(1 if {} > 0 else 0)",
        "(1 if {} in (1, 2) else 0)",
        "(1 if {} not in trigger.amounts else 0)",
    )
    for pattern in patterns:
        source = "contact.n"
        lengths = []
        for _ in range(9):
            source = pattern.format(source)
            lengths.append(length(source))
        steps = [after - before for before, after in pairwise(lengths)]
        assert max(steps) <= min(steps) + 20


# Functions ------------------------------------------------------------------------------------------------------

MILLIONTHS = st.one_of(
    st.none(),
    st.sampled_from(POOLS[Kind.NUMBER]),
    st.integers(-LARGEST, LARGEST),
)


@given(pairs=st.lists(st.tuples(MILLIONTHS, MILLIONTHS), min_size=1, max_size=40))
@example(pairs=[(1, 3_000_000), (-5, 10_000_000), (5, 10_000_000), (LARGEST, 1), (0, 0), (-1, 2_000_000)])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_arithmetic_is_exact_and_never_fails(
    both: tuple[Database, Database], pairs: list[tuple[int | None, int | None]]
) -> None:
    names = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
    expected = [computed(operator, *pair) for pair in pairs for operator in names]
    for database in both:
        kind = sql_type(Kind.NUMBER, database.dialect)
        columns = [
            getattr(func, f"journeys_{name}")(literal(left, kind), literal(right, kind))
            for left, right in pairs
            for name in names.values()
        ]
        assert [None if x is None else int(x) for x in one_row(database, *columns)] == expected


@given(
    texts=st.lists(
        st.one_of(
            st.dates().map(str),
            st.datetimes().map(lambda at: at.isoformat(timespec="microseconds") + "Z"),
            st.from_regex(
                r"[0-9]{4}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)?\n?", fullmatch=True
            ),
            st.text(max_size=12).filter(lambda text: "\0" not in text),
        ),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_dates_are_read_and_written_alike(both: tuple[Database, Database], texts: list[str]) -> None:
    texts = [text for text in texts if text.isprintable() or text.endswith("\n")]
    answers = []
    for database in both:
        columns = [literal(1)]
        for text in texts:
            given_text = literal(text, Text())
            day, moment = func.journeys_day_number(given_text), func.journeys_microseconds(given_text)
            columns += [day, func.journeys_date_text(day), moment, func.journeys_datetime_text(moment)]
        answers.append(one_row(database, *columns)[1:])
    assert answers[0] == answers[1]
    for place, text in enumerate(texts):
        _, day, _, moment = answers[0][4 * place : 4 * place + 4]
        assert day == (stored_date(text) if text.isascii() else None)
        if moment is not None:
            assert moment == text == stored_datetime(text)


def test_dates_end_with_the_calendar() -> None:
    assert shifted("9999-12-31", 86_400_000_000) is None
    assert difference("9999-12-31", "0001-01-01") == 3_652_058_000_000
    assert functions._date_text(functions._day_number("9999-12-31") or 0) == "9999-12-31"
    assert functions._date_text((functions._day_number("9999-12-31") or 0) + 1) is None
    assert functions._datetime_text(functions._MICROSECONDS[1]) == "9999-12-31T23:59:59.999999Z"
    assert functions._datetime_text(functions._MICROSECONDS[1] + 1) is None


# Text -----------------------------------------------------------------------------------------------------------


def test_lower_case_is_unicode_but_code_point_by_code_point() -> None:
    table = lower_table()
    assert lower("ÄİΑΣẞᲐ😀Straße") == "äiασßა😀straße"
    for code in range(0x110000):
        character = chr(code)
        if 0xD800 <= code <= 0xDFFF or len(character.lower()) != 1:
            continue
        # A newer Python may know letters that the table does not; what the table says is never contradicted.
        if code in table:
            assert chr(table[code]) == character.lower()
        elif code < 0x1E944:
            assert character.lower() == character or len(character.lower()) == 1
    assert len(table) == 1_433
    assert all(chr(code).lower()[0] == chr(low)[0] for code, low in table.items())


@given(texts=st.lists(st.text().filter(lambda text: "\0" not in text), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_lower_case_is_alike(both: tuple[Database, Database], texts: list[str]) -> None:
    for database in both:
        columns = [func.journeys_lower(literal(text, Text())) for text in texts]
        assert list(one_row(database, *columns)) == [lower(text) for text in texts]


PIECES = st.sampled_from(
    [
        *"aabbc01.^$|()[]-{}*+?\\",
        "[a-c]",
        "[^a]",
        "{1,2}",
        "{2}",
        "{0,}",
        "(a|b)",
        "\\.",
        "\\n",
        "[😀-😎]",
        "ა",
        "😀",
        "İ",
        "\n",
        " ",
    ]
)
PIECED = st.lists(PIECES, min_size=1, max_size=8).map("".join)
SUBJECTS = st.text(alphabet="aabbc01.^$|-\n\\ 😀😂აİ", max_size=10)


@given(patterns=st.lists(PIECED, min_size=1, max_size=30), texts=st.lists(SUBJECTS, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_patterns_mean_the_same_everywhere(
    both: tuple[Database, Database], patterns: list[str], texts: list[str]
) -> None:
    portable = []
    for pattern in patterns:
        try:
            parse_pattern(pattern)
        except PatternError:
            continue
        portable.append(pattern)
    expected = [
        re.search(python_pattern(pattern), text, re.DOTALL) is not None
        for pattern in portable
        for text in texts
    ]
    assert [found(text, pattern) for pattern in portable for text in texts] == expected
    columns = [
        literal(text, Text()).op("~")(literal(postgresql_pattern(pattern), Text()))
        for pattern in portable
        for text in texts
    ]
    if columns:
        assert list(one_row(both[1], *columns)) == expected


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b$", "(a|ab)*c", "(a*)*b", "([a-z]+)*[0-9]", "(a?){200}a{200}$"]
)
def test_no_text_keeps_a_pattern_busy(pattern: str) -> None:
    """Python's own engine would take years over some of these."""
    assert found("a" * 5_000 + "!", pattern) is False


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "a side of `|`, a group or the pattern is empty"),
        ("a||b", "a side of `|`, a group or the pattern is empty"),
        ("(a", "`(` is not closed"),
        ("a)", "`)` closes no group"),
        ("[a", "`[` is not closed"),
        ("[]", "a class is empty"),
        ("[b-a]", "the range `b-a` runs backwards"),
        ("[[:alpha:]]", "named classes are not portable"),
        ("*a", "`*` repeats nothing"),
        ("a**", "`*` repeats a repetition"),
        ("a+?", "`?` repeats a repetition"),
        ("^*", "`^` and `$` cannot be repeated"),
        ("(a$)+", "`^` and `$` cannot be repeated"),
        ("a{2,1}", "`{2,1}` matches nothing"),
        ("a{0}", "`{0}` leaves nothing"),
        ("a{300}", "a repetition is bounded by 255"),
        ("a{x}", "`{` begins no repetition"),
        ("(a{200}){200}", "the pattern is too large: written out it has more than 1,000 characters"),
        ("(?:a)", "groups with `(?` are not portable"),
        ("\\w", "`\\w` does not mean the same everywhere"),
        ("\\bword", "`\\b` does not mean the same everywhere"),
        ("a\\", "the pattern ends in a backslash"),
        ("(" * 30 + "a" + ")" * 30, "the pattern is nested more than 20 groups deep"),
    ],
)
def test_patterns_outside_the_subset_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(PatternError) as caught:
        parse_pattern(pattern)
    assert str(caught.value) == message


def test_the_largest_patterns_run_on_postgresql(both: tuple[Database, Database]) -> None:
    for pattern in (
        "(abc){255}",
        "(a{0,100}b?){9}",
        "[a-z0-9😀-😎]{255}",
        "((a|b)?){255}c",
        "(a|b|c){1,255}$",
    ):
        column = literal("abc" * 300, Text()).op("~")(literal(postgresql_pattern(pattern), Text()))
        assert one_row(both[1], column) == (found("abc" * 300, pattern),)


# Plans ----------------------------------------------------------------------------------------------------------

HISTORY = (
    "did('Order Completed', within='30d', where=event.n > 1)",
    "count('Order Completed') == 1",
    "total('Order Completed', 'n', within='365d') > 5",
    "last('Order Completed').s == 'a'",
    "days_since('Order Completed') >= 28",
)


@pytest.mark.parametrize("source", HISTORY)
def test_history_is_read_through_its_index(both: tuple[Database, Database], source: str) -> None:
    expression = parse_expression(source, SCOPE)
    sqlite, postgresql = both
    with sqlite.read() as connection:
        plan = _plan(connection, "EXPLAIN QUERY PLAN", predicate(expression, ROW, "sqlite"))
        assert "ix_event_history (partition=? AND contact=? AND name=?" in plan
    with postgresql.read() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = _plan(connection, "EXPLAIN", predicate(expression, ROW, "postgresql"))
        assert "ix_event_history" in plan


@pytest.mark.parametrize(
    "source",
    [
        "count('Order Completed', within='30d', by='account') > 1",
        "did('Order Completed', by='account')",
        "last('Order Completed', by='account').s == 'a'",
        "people(did('Order Completed'), by='account') > 1",
        "contact.score.lead > 1",
        "contact.stage == 'ab'",
    ],
)
def test_colleagues_are_found_through_their_account(both: tuple[Database, Database], source: str) -> None:
    expression = parse_expression(source, SCOPE)
    sqlite, postgresql = both
    with sqlite.read() as connection:
        plan = _plan(connection, "EXPLAIN QUERY PLAN", predicate(expression, ROW, "sqlite"))
        inner = [line for line in plan.splitlines() if "contact0" in line or "event" in line]
        assert inner
        assert not [line for line in inner if "SCAN" in line], plan
        assert "account" not in source or "ix_contact_account (partition=? AND account=?)" in plan
    with postgresql.read() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = _plan(connection, "EXPLAIN", predicate(expression, ROW, "postgresql"))
        assert "account" not in source or "ix_contact_account" in plan
        assert "ix_event_history" in plan


def _plan(connection: Connection, explain: str, column: ColumnElement[Any]) -> str:
    text = str(reading([column]).compile(connection, compile_kwargs={"literal_binds": True}))
    return "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {text}"))


def test_the_functions_are_there_for_any_sqlite_connection() -> None:
    connection = sqlite3.connect(":memory:")
    functions.register(connection)
    assert connection.execute("SELECT journeys_add(1, 2), journeys_lower('Ä')").fetchone() == (3, "ä")
    assert connection.execute("SELECT journeys_total(NULL, NULL)").fetchone() == (0,)
    connection.close()


def test_a_row_can_stand_for_an_alias_of_the_contact(both: tuple[Database, Database]) -> None:
    alias = ROW.contact_table.alias("somebody")
    scope = Scope(catalog=CATALOG)
    expression = parse_expression("contact.s is not None and in_segment('vip') or did('Cart Updated')", scope)
    for database in both:
        row = Row(
            partition=alias.c.partition,
            contact=alias.c.id,
            contact_table=alias,
            zone=literal("UTC"),
            instant=alias.c.created_at,
        )
        with database.read() as connection:
            query = select(alias.c.id, predicate(expression, row, database.dialect)).order_by(alias.c.id)
            assert len(connection.execute(query).all()) == len(PEOPLE)
