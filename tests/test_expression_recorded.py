"""What the functions that look up records mean, example by example, on the reference and on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from runner.journey.catalog import MESSAGE_CLICKED, MESSAGE_OPENED, MESSAGE_REPLIED, SCORE_ADDED
from runner.journey.expression import parse_expression
from runner.journey.values import Kind
from runner.store.database import Database
from runner.store.predicates import value
from tests.reference.expression_rows import ROW, read_all, store
from tests.reference.expression_world import DAY, HOUR, NOON, SCOPE
from tests.reference.expressions import Situation, evaluate

Event = tuple[str, int, Mapping[str, Any]]
ANA = Situation(
    instant=NOON,
    columns={
        "id": "ana",
        "email": "ana@x.example",
        "phone": None,
        "timezone": None,
        "locale": None,
        "account": "acme",
    },
    trigger={},
    event={},
    run={"blocked": "no_consent", "comments": [{"sku": "a", "price": 1}, {"sku": "b"}]},
    entered_at=NOON,
    run_number=1,
    runs=[("abandoned", "active"), ("welcome", "completed")],
    account={"s": "retail", "n": 7_000_000, "words": ["a"]},
)
BEN = replace(
    ANA,
    columns={**ANA.columns, "id": "ben", "email": ""},
    events=[],
    consents={},
    runs=[("abandoned", "completed")],
)
EVE = replace(ANA, columns={**ANA.columns, "id": "eve", "account": None}, account=None, members=[])


def message(name: str, at: int, *, bot: bool | None = False, run: int = 1, **more: str) -> Event:
    properties = {"run": run * 1_000_000, "journey": "abandoned", "step": "remind", "bot": bot, **more}
    return name, at, {key: each for key, each in properties.items() if each is not None}


def order(at: int, number: int = 1_000_000) -> Event:
    return "Order Completed", at, {"n": number}


def cart(at: int, **properties: object) -> Event:
    return "Cart Updated", at, properties


class Undo(Exception):
    """Takes back what a test has stored."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[Database]:
    scratch = (
        Database.scratch() if request.param == "sqlite" else Database.scratch(postgres_url, partitions=1)
    )
    with scratch as database:
        yield database


def check(database: Database, people: list[Situation], expected: Mapping[str, Any]) -> None:
    """What the expressions are for the first of ``people``, all of whom are stored. Those with an account share it."""
    sharing = [person for person in people if person.columns["account"] is not None]
    for person in sharing:
        person.members[:] = sharing
    parsed = [parse_expression(source, SCOPE) for source in expected]
    found: tuple[Any, ...] = ()
    with suppress(Undo), database.begin() as connection:
        store(connection, people)
        found = read_all(connection, [value(each, ROW, database.dialect) for each in parsed])[0]
        raise Undo
    for expression, got, wanted in zip(parsed, found, expected.values(), strict=True):
        stored = (
            int(wanted * 1_000_000) if expression.type.kind is Kind.NUMBER and wanted is not None else wanted
        )
        assert evaluate(expression, people[0]) == stored, expression.source
        assert (None if got is None else type(stored)(got)) == stored, expression.source


def fresh(person: Situation, **changes: Any) -> Situation:
    return replace(person, **{"members": [], **changes})


def test_only_people_open_click_and_reply(empty: Database) -> None:
    events = [
        message(MESSAGE_OPENED, NOON - HOUR, bot=True),
        message(MESSAGE_OPENED, NOON - HOUR, run=2),
        message(MESSAGE_CLICKED, NOON - HOUR, link="cart"),
        message(MESSAGE_CLICKED, NOON - HOUR, link="shop", bot=True),
        message(MESSAGE_REPLIED, NOON, bot=None),
        message(MESSAGE_OPENED, NOON - DAY, run=2, journey="welcome", step="hello"),
    ]
    expected = {
        "opened('remind')": False,
        "opened('abandoned/remind')": True,
        "clicked('remind')": True,
        "clicked('remind', link='cart')": True,
        "clicked('remind', link='shop')": False,
        "replied('remind')": True,
        "replied('nudge')": False,
        "opened('welcome/hello')": True,
        "opened('welcome/remind')": False,
        "count('Message Opened', where=event.bot)": 1,
    }
    check(empty, [fresh(ANA, events=events)], expected)


def test_messages_and_runs_of_other_journeys(empty: Database) -> None:
    ana = fresh(
        ANA, sent=frozenset({"remind"}), sent_by=frozenset({("abandoned", "remind"), ("welcome", "hello")})
    )
    expected = {
        "sent('remind')": True,
        "sent('nudge')": False,
        "sent('welcome/hello')": True,
        "sent('welcome/remind')": False,
        "in_journey('abandoned')": True,
        "in_journey('welcome')": False,
        "completed('welcome')": True,
        "completed('abandoned')": False,
        "run.blocked": "no_consent",
        "'b' in run.comments.sku": True,
        "1 in run.comments.price": False,
    }
    check(empty, [ana], expected)


def test_a_score_fades_hour_by_hour_and_needs_a_consent(empty: Database) -> None:
    """`lead`: an order adds 10 that fade in 720 hours, a cart with `b` takes 0.333333 away, fading in 7."""
    events = [
        order(NOON),
        order(NOON - HOUR + 1),
        order(NOON - HOUR),
        order(NOON - 720 * HOUR + 1),
        order(NOON - 720 * HOUR),
        cart(NOON - 3 * HOUR, b=True),
        cart(NOON, b=False),
        (SCORE_ADDED, NOON - 900 * DAY, {"score": "lead", "add": 1_500_000}),
        (SCORE_ADDED, NOON, {"score": "heat", "add": 1_000_000}),
    ]
    orders = round(10 * (720 + 720 + 719 + 1) / 720, 6)
    given = {"consents": {("offers", "*"): True}, "consents_since": {("offers", "*"): NOON}}
    expected = {"contact.score.lead": orders - 0.190476 + 1.5, "contact.score.heat": 2 * 0.5 + 1}
    check(empty, [fresh(ANA, events=events, **given)], expected)


def test_without_a_consent_there_is_no_score(empty: Database) -> None:
    withdrawn = {"consents": {("offers", "email"): False}, "consents_since": {("offers", "email"): NOON}}
    expected = {
        "contact.score.lead": None,
        "contact.score.lead < 5": False,
        "not contact.score.lead < 5": True,
    }
    check(empty, [fresh(ANA, events=[order(NOON)], **withdrawn)], expected)


@pytest.mark.parametrize(
    ("events", "stage"),
    [
        ([], None),
        ([cart(NOON)], "a"),
        ([order(NOON)], "b"),
        ([order(NOON), cart(NOON)], "b"),
    ],
)
def test_the_stage_is_the_last_that_holds(empty: Database, events: list[Event], stage: str | None) -> None:
    check(
        empty, [fresh(ANA, events=events)], {"contact.stage": stage, "contact.stage is None": stage is None}
    )


def test_the_age_of_a_consent(empty: Database) -> None:
    records = {
        ("offers", "email"): (True, NOON - 2 * DAY),
        ("offers", "*"): (True, NOON - 3 * DAY + 1),
        ("news", "sms"): (False, NOON - DAY),
        ("news", "*"): (True, NOON),
    }
    ana = fresh(
        ANA,
        consents={key: given for key, (given, _) in records.items()},
        consents_since={key: since for key, (_, since) in records.items()},
    )
    expected = {
        "consent_age('offers', 'email')": 2,
        "consent_age('offers', 'sms')": 2,
        "consent_age('news', 'sms')": None,
        "consented('news', 'sms')": False,
        "consent_age('news', 'push')": 0,
    }
    check(empty, [ana], expected)


def test_who_can_be_reached(empty: Database) -> None:
    """Ana has an address and no phone; her address is suppressed for email under another channel's name only."""
    records = {("offers", "*"): True, ("news", "push"): False, ("offers", "push"): False}
    ana = fresh(
        ANA,
        consents=records,
        consents_since=dict.fromkeys(records, NOON),
        suppressed=frozenset({("push", "ana@x.example"), ("email", "old@x.example")}),
    )
    check(empty, [ana], {"reachable('email')": True, "reachable('sms')": False, "reachable('push')": False})


@pytest.mark.parametrize(
    "changes",
    [
        {"suppressed": frozenset({("email", "ana@x.example")})},
        {"consents": {("offers", "*"): False, ("news", "sms"): True}},
        {"consents": {}},
        {"columns": {**ANA.columns, "email": ""}},
        {"columns": {**ANA.columns, "email": None}},
    ],
    ids=["suppressed", "another channel", "no consent", "empty address", "no address"],
)
def test_who_cannot_be_reached(empty: Database, changes: Mapping[str, Any]) -> None:
    given: dict[str, Any] = {"consents": {("offers", "*"): True}, **changes}
    ana = fresh(ANA, **given, consents_since=dict.fromkeys(given["consents"], NOON))
    check(empty, [ana], {"reachable('email')": False})


def test_colleagues(empty: Database) -> None:
    """Ben's event of the very instant does not count for Ana yet, her own does."""
    ana = fresh(ANA, events=[order(NOON)])
    ben = fresh(
        BEN, events=[order(NOON - DAY, 5_000_000), order(NOON), cart(NOON - 8 * DAY)], attributes={"b": True}
    )
    expected = {
        "account.s": "retail",
        "account.n + 1": 8,
        "'a' in account.words": True,
        "contact.account": "acme",
        "count('Order Completed', by='account')": 2,
        "count('Order Completed')": 1,
        "total('Order Completed', 'n', by='account')": 6,
        "last('Order Completed', by='account').n": 1,
        "last('Order Completed', by='account', where=event.n > 2).n": 5,
        "did('Cart Updated', by='account')": True,
        "did('Cart Updated', within='7d', by='account')": False,
        "days_since('Cart Updated', by='account')": 8,
        "people(contact.b, by='account')": 1,
        "people(count('Order Completed') == 1, by='account')": 2,
        "people(contact.id != 'x', by='account')": 2,
        "people(in_journey('abandoned'), by='account')": 1,
        "people(did('Order Completed', by='account', where=event.n > 2), by='account')": 2,
    }
    check(empty, [ana, ben, fresh(EVE, events=[order(NOON - DAY)])], expected)


def test_who_has_no_account_shares_none(empty: Database) -> None:
    expected = {
        "account.s": None,
        "contact.account is None": True,
        "did('Order Completed', by='account')": False,
        "did('Order Completed')": True,
        "days_since('Order Completed', by='account')": None,
        "total('Order Completed', 'n', by='account')": 0,
        "people(True, by='account')": 0,
    }
    other = fresh(EVE, columns={**EVE.columns, "id": "kim"}, events=[order(NOON - DAY)])
    check(empty, [fresh(EVE, events=[order(NOON - DAY)]), other], expected)
