"""Values from outside fit their type or are None; nothing that arrives can be stored in another form."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.journey.catalog import Attribute, Catalog, EventType
from runner.journey.fit import fit, fit_event, fit_traits, present
from runner.journey.values import (
    BOOLEAN,
    DATE,
    DATETIME,
    LARGEST,
    NUMBER,
    STRING,
    Kind,
    ValueType,
)

PLAN = ValueType(Kind.STRING, one_of=("free", "pro"))
ITEMS = ValueType(Kind.LIST, items=ValueType(Kind.OBJECT, fields={"sku": STRING, "price": NUMBER}))
NAN = float("nan")


@pytest.mark.parametrize(
    ("raw", "type_", "stored"),
    [
        ("x", STRING, "x"),
        (24, STRING, "24"),
        (Decimal("0.50"), STRING, "0.5"),
        (True, STRING, None),
        ("a\0b", STRING, None),
        ("\ud800", STRING, None),
        (NAN, STRING, None),
        ("pro", PLAN, "pro"),
        ("Pro", PLAN, None),
        (1, NUMBER, 1_000_000),
        (0.1, NUMBER, 100_000),
        (Decimal("0.0000005"), NUMBER, 1),
        (Decimal("-0.0000005"), NUMBER, -1),
        (Decimal("0.00000049999999999999999999999999999999"), NUMBER, 0),
        ("12.50", NUMBER, 12_500_000),
        (" -3 ", NUMBER, -3_000_000),
        ("1e3", NUMBER, 1_000_000_000),
        ("12 EUR", NUMBER, None),
        ("١٢", NUMBER, None),
        ("0x10", NUMBER, None),
        (True, NUMBER, None),
        (NAN, NUMBER, None),
        (float("inf"), NUMBER, None),
        (9_000_000_000_000, NUMBER, LARGEST),
        (9_000_000_000_001, NUMBER, None),
        (Decimal("1e999999999"), NUMBER, None),
        (Decimal("1e-999999"), NUMBER, 0),
        (True, BOOLEAN, True),
        ("FALSE", BOOLEAN, False),
        (1, BOOLEAN, None),
        ("2026-03-01", DATE, "2026-03-01"),
        ("2026-03-01T23:00:00-05:00", DATE, "2026-03-01"),
        (date(2026, 3, 1), DATE, "2026-03-01"),
        ("2026-02-30", DATE, None),
        ("20260301", DATE, None),
        ("2026-03-01T10:00:00+04:00", DATETIME, "2026-03-01T06:00:00.000000Z"),
        ("2026-03-01T10:00:00.5Z", DATETIME, "2026-03-01T10:00:00.500000Z"),
        ("2026-03-01", DATETIME, "2026-03-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00+10:00", DATETIME, None),
        ("0999-01-01T00:00:00Z", DATETIME, "0999-01-01T00:00:00.000000Z"),
        (["a", "b"], ValueType(Kind.LIST, items=STRING), ["a", "b"]),
        (["a", None], ValueType(Kind.LIST, items=STRING), None),
        ("a", ValueType(Kind.LIST, items=STRING), None),
        ([{"sku": "x", "price": 2, "more": 1}], ITEMS, [{"sku": "x", "price": 2_000_000}]),
        ([{"sku": "x", "price": None}], ITEMS, [{"sku": "x"}]),
        ([{"sku": "x", "price": "much"}], ITEMS, None),
        (None, STRING, None),
    ],
)
def test_fit(raw: object, type_: ValueType, stored: object) -> None:
    assert fit(raw, type_) == stored
    assert type(fit(raw, type_)) is type(stored)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(raw=ANYTHING, type_=st.sampled_from([STRING, PLAN, NUMBER, BOOLEAN, DATE, DATETIME, ITEMS]))
def test_nothing_makes_fit_fail_and_what_is_stored_fits_again(raw: Any, type_: ValueType) -> None:
    stored = fit(raw, type_)
    if stored is not None and type_.kind is not Kind.NUMBER and type_ is not ITEMS:
        assert fit(stored, type_) == stored
    json.dumps(stored, allow_nan=False).encode()
    assert (present(stored, type_) is None) == (stored is None)


@given(raw=st.dictionaries(st.text(max_size=5), ANYTHING, max_size=5))
def test_what_is_undeclared_can_be_stored(raw: dict[str, Any]) -> None:
    fitted = fit_event(Catalog(), "Unknown", raw)
    assert fitted.properties == {}
    text = json.dumps(fitted.undeclared, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text


CATALOG = Catalog(
    attributes={
        "plan": Attribute(name="plan", type=PLAN),
        "email": Attribute(name="email", type=STRING, pii=True),
    },
    events={"Order Completed": EventType(name="Order Completed", properties={"revenue": NUMBER})},
)


def test_properties_that_do_not_fit_are_left_out_and_named() -> None:
    fitted = fit_event(CATALOG, "Order Completed", {"revenue": NAN, "coupon": "x", "gone": None})
    assert (fitted.properties, fitted.undeclared, list(fitted.rejected)) == ({}, {"coupon": "x"}, ["revenue"])


def test_traits_clear_by_null_and_by_what_does_not_fit() -> None:
    fitted = fit_traits(
        CATALOG,
        {
            "plan": "gold",
            "email": None,
            "timezone": "Mars/Olympus",
            "tags": ["b", "a", "b"],
            "id": "other",
            "shoe": 42,
        },
    )
    assert fitted.properties == {"plan": None, "email": None, "timezone": None, "tags": ["a", "b"]}
    assert fitted.undeclared == {"id": "other", "shoe": 42}
    assert {name: (misfit.value, misfit.why) for name, misfit in fitted.rejected.items()} == {
        "plan": ("gold", "none of free, pro"),
        "timezone": ("Mars/Olympus", "no time zone of the IANA database"),
    }


def test_stored_values_are_presented_as_values() -> None:
    assert str(present(12_500_000, NUMBER)) == "12.5"
    assert present("2026-03-01", DATE) == date(2026, 3, 1)
    assert present("2026-03-01T06:00:00.000000Z", DATETIME) == datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert present([{"sku": "x", "price": 2_000_000}], ITEMS) == ({"sku": "x", "price": Decimal(2)},)
    assert present([{"sku": "x"}], ITEMS) == ({"sku": "x", "price": None},)


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("a@b", True),
        ("a.+b@x.example", True),
        ('"a b@c"@x.example', True),
        ("\u00fc@b\u00fccher.example", True),
        ("a@[::1]", True),
        ("", True),
        ("yexample", False),
        ("@x", False),
        ("a@", False),
        ("a b@x", False),
        ("a@b@c", False),
        ("a@.x", False),
        ("a@x..y", False),
        ("Ana <a@x.example>", False),
    ],
)
def test_what_is_surely_no_address_does_not_fit(address: str, taken: bool) -> None:
    fitted = fit_traits(Catalog(), {"email": address, "phone": "1"})
    assert fitted.properties == {"email": address if taken else None, "phone": "1"}
    assert [misfit.why for misfit in fitted.rejected.values()] == ([] if taken else ["no email address"])
