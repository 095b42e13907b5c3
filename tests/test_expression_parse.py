"""From source text to the typed tree: what is read, what is refused, and what the author is told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings

from runner.journey.catalog import Catalog, Segment
from runner.journey.expression import (
    ExpressionError,
    Reads,
    Scope,
    literal_expression,
    parse_expression,
    turn_problem,
)
from runner.journey.values import BOOLEAN, DATE, DATETIME, NUMBER, STRING, Kind, ValueType
from tests.reference.expression_author import expressions
from tests.reference.expression_shop import ANYWHERE, BARE, CATALOG, IN_RUN, IN_WHERE, PLAN
from tests.reference.expression_world import SCOPE as WORLD


def problems(
    source: str, scope: Scope = IN_RUN, expect: ValueType | None = BOOLEAN
) -> list[tuple[str, str, str, str]]:
    """What is reported: the underlined text, code, message and hint of each finding."""
    with pytest.raises(ExpressionError) as caught:
        parse_expression(source, scope, expect=expect)
    return [
        (source[f.offset : f.offset + f.length], f.code, f.message, f.hint or "")
        for f in caught.value.findings
    ]


def same(one: str, other: str, scope: Scope = IN_RUN) -> bool:
    left, right = parse_expression(one, scope), parse_expression(other, scope)
    assert (left == right) is (hash(left) == hash(right)) is (left.canonical() == right.canonical())
    return left == right


# What is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "contact.lifetime_value >= 100 and not contact.churned",
        'contact.plan == "pro" or contact.country in EU',
        'contact.country not in ["AT", "BE"] and "vip" in contact.tags',
        "1 < contact.lifetime_value <= 10.5",
        'did("Order Completed", within="30d", where=event.revenue > 50)',
        'count("Order Completed") == 1',
        'total("Order Completed", "revenue", within="365d") > 500',
        'last("Order Completed").department == trigger.cart_id',
        '"speaker" in last("Order Completed").items.sku',
        'days_since("Order Completed") >= 28 or days_since("Order Completed") is None',
        'sent("remind") and in_segment("vip") and consented("offers", "email")',
        "today >= contact.renewal_date - days('14d')",
        "now - contact.signed_at > 14",
        "run.entered_at < now and run.started is not None",
        "weekday in ('sat', 'sun')",
        'contact.email.lower().endswith("@shop.example")',
        'contact.country.matches("^[A-Z]{2}$")',
        '(contact.country + "-" + contact.locale).startswith("AT-")',
        '("a" if contact.churned else "b") == contact.country',
        'contact.signed_at > datetime("2026-03-01T10:00:00+04:00")',
        '"Shop" in contact.email',
        "contact.churned and\n  # people who came back\n  contact.lifetime_value > 1",
        'last("Order Completed")["class"] == "a"',
    ],
)
def test_conditions_of_the_language(source: str) -> None:
    read = parse_expression(source, IN_RUN, expect=BOOLEAN)
    assert read.source == source
    assert read.type.kind is Kind.BOOLEAN


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("contact.lifetime_value * 2", Kind.NUMBER),
        ("trigger.cart_id", Kind.STRING),
        ("contact.renewal_date + days('1w')", Kind.DATE),
        ("contact.renewal_date - today", Kind.NUMBER),
        ("now - days('36h')", Kind.DATETIME),
        ("contact.plan if contact.churned else None", Kind.STRING),
        ("contact.tags", Kind.LIST),
        ("None", Kind.NONE),
    ],
)
def test_values_have_types(source: str, kind: Kind) -> None:
    assert parse_expression(source, IN_RUN).type.kind is kind


def test_spelling_makes_no_difference() -> None:
    assert same('contact.plan=="pro"', "(contact.plan ==\n 'pro')")
    assert same("contact.lifetime_value > 1_000.50", "contact.lifetime_value > 1000.5")
    assert same('did("Order Completed", within="1d")', "did('Order Completed', within='24h')")
    assert same("contact.country in EU", 'contact.country in ("AT", "BE")')
    assert same('contact["country"] == "AT"', 'contact.country == "AT"')
    assert not same('contact.plan == "pro"', 'contact.plan == "free"')
    assert not same("contact.churned", "not contact.churned")
    assert not same("contact.churned == True", "contact.lifetime_value == 1")


def test_a_segment_is_part_of_what_an_expression_says() -> None:
    other = Catalog(
        attributes=BARE.attributes,
        events=BARE.events,
        segments={"vip": Segment(name="vip", when=parse_expression("contact.churned", ANYWHERE))},
    )
    source = 'in_segment("vip")'
    assert parse_expression(source, ANYWHERE) != parse_expression(source, Scope(catalog=other))
    assert parse_expression(source, ANYWHERE).reads.events == {"Order Completed"}


@given(source=expressions(Kind.BOOLEAN))
@settings(max_examples=100, deadline=None)
def test_the_canonical_text_is_steady(source: str) -> None:
    one, other = parse_expression(source, WORLD), parse_expression(f"( {source}\n)", WORLD)
    assert one == other
    assert hash(one) == hash(other)
    assert one.canonical() == other.canonical()


def test_what_an_expression_reads() -> None:
    source = (
        'contact.plan == "pro" and did("Cart Updated", where=event.total > contact.lifetime_value)'
        ' and in_segment("vip") and sent("remind") and consented("offers", "email")'
    )
    assert parse_expression(source, IN_RUN).reads == Reads(
        attributes=frozenset({"plan", "lifetime_value"}),
        events=frozenset({"Cart Updated", "Order Completed"}),
        segments=frozenset({"vip"}),
        sends=frozenset({"remind"}),
        topics=frozenset({"offers"}),
        time=True,
        run=True,
    )
    assert parse_expression("today > contact.renewal_date", IN_RUN).reads.attributes == {
        "renewal_date",
        "timezone",
    }
    count = parse_expression('count("Cart Updated") > 1', IN_RUN).reads
    assert not count.time
    assert not count.run


def test_numbers_are_exact() -> None:
    def literal(text: str) -> object:
        return parse_expression(text, ANYWHERE).tree.value  # type: ignore[union-attr]

    assert literal("0.1") == 100_000
    assert literal("8999999999999.999999") == 8_999_999_999_999_999_999
    assert literal("-9000000000000") == -9_000_000_000_000_000_000
    assert literal("1e3") == 1_000_000_000
    assert literal("1.50") == 1_500_000


def test_literals_of_yaml() -> None:
    assert literal_expression("pro", PLAN).canonical() == '"pro"'
    assert literal_expression(Decimal("12.50"), NUMBER).canonical() == "12.5"
    assert literal_expression(3, NUMBER).canonical() == "3"
    assert literal_expression(True, BOOLEAN).canonical() == "True"
    assert literal_expression("2026-03-01", DATE).canonical() == 'date("2026-03-01")'
    assert literal_expression(date(2026, 3, 1), DATE) == literal_expression("2026-03-01", DATE)
    at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert literal_expression(at, DATETIME) == literal_expression("2026-03-01T14:00:00+04:00", DATETIME)
    assert literal_expression(None, DATE).type.kind is Kind.NONE


@pytest.mark.parametrize(
    ("value", "type", "message"),
    [
        ("gold", PLAN, '"gold" is none of: free, pro'),
        ("x", NUMBER, "'x' is not a number"),
        (True, NUMBER, "True is not a number"),
        (1, BOOLEAN, "1 is not true or false"),
        ("2026-02-31", DATE, "'2026-02-31' is not a date such as 2026-03-01"),
        ("2026-03-01T10:00:00", DATETIME, "is not a date with time such as"),
        (10**13, NUMBER, "numbers go up to 9,000,000,000,000"),
        (Decimal("0.0000001"), NUMBER, "at most six decimal places"),
        ("a\0", STRING, "a string cannot hold the character U+0000"),
    ],
)
def test_literals_that_do_not_fit(value: object, type: ValueType, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        literal_expression(value, type)  # type: ignore[arg-type]
    assert message in caught.value.findings[0].message


# What the author is told ----------------------------------------------------------------------------------------


def _blocks() -> list[str]:
    return (Path(__file__).parent / "expression_errors.txt").read_text().rstrip("\n").split("\n\n")


@pytest.mark.parametrize("block", _blocks(), ids=lambda block: block.splitlines()[0])
def test_the_exact_text_that_the_author_sees(block: str) -> None:
    """Each block: the source, a caret span under it, the message with its code, and how to mend it."""
    source = block.splitlines()[0]
    with pytest.raises(ExpressionError) as caught:
        parse_expression(source, IN_RUN, expect=BOOLEAN)
    told = [source]
    for finding in caught.value.findings:
        told.append(" " * finding.offset + "^" * finding.length)
        told.append(f"{finding.message} [{finding.code}]")
        told += [finding.hint] if finding.hint else []
    assert "\n".join(told) == block


def test_all_problems_are_told_at_once() -> None:
    found = problems('contact.lifetme_value > 1 and did("Nothing") or contact.plan == "prro"')
    assert [code for _, code, _, _ in found] == ["unknown-attribute", "unknown-event", "unknown-choice"]


def test_places_count_code_points_over_several_lines() -> None:
    source = 'contact.country == "ÄÖ😀" and (\n  "😀" in contact.tags or contact.lifetme_value > 2\n)'
    assert problems(source)[0][0] == "lifetme_value"


def test_names_that_are_not_there() -> None:
    assert problems("trigger.total > 1", ANYWHERE)[0][2] == "no run exists here, so there is no `trigger`"
    assert (
        problems("trigger.total > 1", IN_WHERE)[0][3]
        == "where a trigger is looked at, its properties are `event.…`"
    )
    assert problems("run.entered_at < now", ANYWHERE)[0][1] == "not-here"
    assert problems('sent("remind")', ANYWHERE)[0][1] == "not-here"
    parse_expression("event.revenue > 5", IN_WHERE, expect=BOOLEAN)


def test_a_name_that_no_path_can_hold_is_refused() -> None:
    odd = {'a"b': STRING, "a\\b": STRING, "a\nb": STRING, "a b": STRING}
    for name in odd:
        source = f"trigger[{name!r}] == 'x'"
        scope = Scope(catalog=CATALOG, trigger=odd)
        if name == "a b":
            parse_expression(source, scope)
        else:
            assert [code for _, code, _, _ in problems(source, scope)] == ["unreadable-name"]


def test_what_a_place_wants() -> None:
    assert (
        problems("contact.country", expect=NUMBER)[0][2]
        == "`contact.country` is a string; a number is wanted here"
    )
    assert problems('"2026-01-01"', expect=DATE)[0][3] == 'write `date("2026-01-01")`'
    assert (
        problems('"gold" if contact.churned else "pro"', expect=PLAN)[0][2] == '"gold" is none of: free, pro'
    )
    assert problems("days('1d')", expect=None)[0][2] == "a length of time is no value by itself"
    assert problems("EU", expect=None)[0][1] == "type-mismatch"
    assert parse_expression("None", IN_RUN, expect=DATE).type.kind is Kind.NONE


# Time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "computable"),
    [
        ("now > contact.signed_at", True),
        ("now - contact.signed_at > 14", True),
        ("contact.signed_at - now < 0.5", True),
        ("contact.signed_at + days('14d') < now", True),
        ("now - contact.signed_at > contact.lifetime_value", False),
        ("(now if contact.churned else contact.signed_at) > contact.signed_at", False),
        ('did("Order Completed", where=event.revenue > days_since("Cart Updated"))', True),
        ('days_since("Order Completed") > 3', True),
        ("today == contact.renewal_date", True),
    ],
)
def test_turns_that_cannot_be_computed_are_named(source: str, computable: bool) -> None:
    problem = turn_problem(parse_expression(source, IN_RUN))
    assert (problem is None) is computable
