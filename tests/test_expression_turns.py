"""Between an instant and the next turn that is computed for it, time alone changes no value."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from runner.journey.expression import Expression, parse_expression, turn_problem
from runner.journey.values import Kind
from runner.store.database import Database
from runner.store.predicates import next_turn
from runner.store.types import to_microseconds
from tests.reference.expression_author import expressions
from tests.reference.expression_rows import ROW, read_all, store
from tests.reference.expression_world import DAY, HOUR, SCOPE, as_of_now, situations
from tests.reference.expressions import Situation, evaluate

PEOPLE = situations(25, seed=2)
TIMED = (
    *(
        "today {} contact.d",
        "today + days('7d') {} event.d",
        "contact.d - today {} 7",
        "today - contact.d {} 0.5",
    ),
    *(
        "now {} contact.t",
        "now - days('1h') {} trigger.t",
        "now - contact.t {} 14",
        "contact.t - now {} -0.000001",
    ),
    *("days_since('Order Completed') {} 28", "days_since('Cart Updated', within='30d') {} 6.5"),
    *("count('Order Completed', within='7d') {} 1", "total('Cart Updated', 'n', within='30d') {} 0"),
    *("last('Order Completed', within='7d').n {} 1", "days_since('Order Completed', where=event.b) {} 1"),
    *(
        "count('Order Completed', where=event.d < today) {} 1",
        "weekday {} 'sat'",
        "contact.d {} today - days('1w')",
    ),
    *(
        "count('Order Completed', where=today - event.d > 3, within='30d') {} 1",
        "contact.t + days('1h') {} now",
    ),
    *(
        "consent_age('offers', 'email') {} 1",
        "consent_age('news', 'sms') {} 0.5",
        "contact.score.lead {} 10",
        "contact.score.heat {} 1",
        "contact.stage {} 'ab'",
        "count('Order Completed', within='7d', by='account') {} 2",
        "days_since('Cart Updated', by='account') {} 7",
        "people(did('Cart Updated', within='7d'), by='account') {} 1",
        "people(contact.d < today, by='account') {} 2",
        "people(days_since('Order Completed') > 28, by='account') {} 1",
    ),
)
OPERATORS = ("==", "!=", "<", "<=", ">", ">=")


@pytest.fixture(scope="module")
def both(postgres_url: str) -> Iterator[tuple[Database, Database]]:
    with Database.scratch() as sqlite, Database.scratch(postgres_url, partitions=1) as postgresql:
        for database in (sqlite, postgresql):
            with database.begin() as connection:
                store(connection, PEOPLE)
        yield sqlite, postgresql


def computed(
    connection: Connection, found: list[Expression], becomes: bool | None = None
) -> list[list[int | None]]:
    """For each contact, the next turn of each expression in microseconds, None where there is none ahead."""
    columns = {
        place: column
        for place, expression in enumerate(found)
        if (column := next_turn(expression, ROW, connection.dialect.name, becomes=becomes)) is not None
    }
    rows = read_all(connection, list(columns.values())) if columns else [()] * len(PEOPLE)
    turns = []
    for row in rows:
        instants = dict(zip(columns, row, strict=True))
        turns.append(
            [
                None if (at := instants.get(place)) is None else to_microseconds(at)
                for place in range(len(found))
            ]
        )
    return turns


def moments_of(person: Situation) -> list[int]:
    """Instants ahead at which a value may turn, in their order."""
    begin = person.instant
    ahead = {begin + 1, *(begin + days * DAY for days in (1, 2, 7, 8, 14, 15, 28, 29, 31, 366, 800))}
    ahead |= {begin + HOUR * hours for hours in range(1, 30)}
    past = [at for one in (person, *person.members) for _, at, _ in one.events]
    for at in (*past, *person.consents_since.values()):
        ahead |= {at + days * DAY + more for days in (1, 2, 7, 28, 29, 30, 365) for more in (-1, 0, 1)}
    return sorted(at for at in ahead if at > begin)


def moments_before(ahead: list[int], begin: int, turn: int | None) -> list[int]:
    """Instants at which the value must be what it is now: at all of ``ahead`` before the turn, and just before it."""
    if turn is None:
        return ahead
    between = {turn - 1, begin + (turn - begin) // 2, begin + (turn - begin) // 3}
    return [*ahead[: bisect_left(ahead, turn)], *(at for at in between if begin < at < turn)]


def check(both: tuple[Database, Database], sources: list[str], becomes: bool | None = None) -> None:
    """That the values stay until their next turn; with ``becomes``, that what is not so does not become so before."""
    found = [parse_expression(source, SCOPE) for source in sources]
    found = [expression for expression in found if turn_problem(expression) is None]
    answers = []
    for database in both:
        with database.read() as connection:
            answers.append(computed(connection, found, becomes))
    assert answers[0] == answers[1], "SQLite and PostgreSQL agree"
    for person, turns in zip(map(as_of_now, PEOPLE), answers[0], strict=True):
        ahead = moments_of(person)
        later_on = {at: replace(person, instant=at) for at in ahead}
        for expression, turn in zip(found, turns, strict=True):
            assert turn is None or turn > person.instant
            now = evaluate(expression, person)
            if becomes is not None and now is becomes:
                continue
            for at in moments_before(ahead, person.instant, turn):
                later = evaluate(expression, later_on.get(at) or replace(person, instant=at))
                assert (later == now) if becomes is None else (later is not becomes), (
                    f"{expression.source}: {now} at {person.instant}, {later} at {at}, turn {turn}"
                )


def test_comparisons_with_the_time(both: tuple[Database, Database]) -> None:
    check(both, [source.format(operator) for source in TIMED for operator in OPERATORS])


@given(sources=st.lists(expressions(Kind.BOOLEAN), min_size=20, max_size=20))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_condition(both: tuple[Database, Database], sources: list[str]) -> None:
    check(both, sources)


def test_turns_are_exact_where_they_can_be(both: tuple[Database, Database]) -> None:
    """A run waits for 28 days since an order, not for 28 midnights."""
    sources = [
        "days_since('Order Completed') >= 28",
        "did('Order Completed', within='7d')",
        "today >= contact.d",
        "consent_age('offers', 'email') >= 730",
    ]
    found = [parse_expression(source, SCOPE) for source in sources]
    with both[0].read() as connection:
        for person, (idle, gone, due, stale) in zip(
            map(as_of_now, PEOPLE), computed(connection, found), strict=True
        ):
            orders = [at for name, at, _ in person.events if name == "Order Completed"]
            last = max(orders, default=None)
            assert idle in (None, *([last + 28 * DAY, last + 29 * DAY] if last else []))
            assert gone == (last + 7 * DAY if last and last + 7 * DAY > person.instant else None)
            assert due is None or evaluate(parse_expression("contact.d", SCOPE), person) is not None
            begun = {at + days * DAY for at in person.consents_since.values() for days in (730, 731)}
            assert stale is None or stale in begun


@pytest.mark.parametrize("becomes", [True, False])
def test_what_time_alone_may_make_so(both: tuple[Database, Database], becomes: bool) -> None:
    sources = [source.format(operator) for source in TIMED for operator in OPERATORS]
    check(both, [*sources, *(f"not ({source})" for source in sources)], becomes)


@given(sources=st.lists(expressions(Kind.BOOLEAN), min_size=20, max_size=20), becomes=st.booleans())
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_time_alone_may_make_so_of_any_condition(
    both: tuple[Database, Database], sources: list[str], becomes: bool
) -> None:
    check(both, sources, becomes)


def test_a_score_that_only_fades_is_not_looked_at_each_hour(both: tuple[Database, Database]) -> None:
    """It rises to no threshold by itself; one of which something bad fades does."""
    never = ("contact.score.heat >= 1", "1 < contact.score.heat", "not contact.score.heat <= 1")
    some_day = ("contact.score.lead >= 10", "not contact.score.lead >= 10", "contact.score.lead == 10")
    found = [parse_expression(source, SCOPE) for source in never + some_day]
    for database in both:
        with database.read() as connection:
            turns = computed(connection, found, becomes=True)
        for place, _ in enumerate(never):
            assert {each[place] for each in turns} == {None}
        for place, _ in enumerate(some_day, len(never)):
            assert any(each[place] is not None for each in turns)
