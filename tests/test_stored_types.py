"""A value that was stored when the catalog gave it another type is missing, in templates as in SQL."""

from __future__ import annotations

from typing import Any

import pytest

from runner.journey.fit import present
from runner.journey.values import BOOLEAN, DATE, DATETIME, NUMBER, STRING, Kind, ValueType


@pytest.mark.parametrize(
    ("stored", "type_"),
    [
        (5_000_000, STRING),
        (5_000_000, DATE),
        (5_000_000, BOOLEAN),
        (True, NUMBER),
        (True, STRING),
        ("2026-03-01", NUMBER),
        ("2026-03-01", DATETIME),
        ("no date", DATE),
        ("text", BOOLEAN),
        (["a"], STRING),
        ("a", ValueType(Kind.LIST, items=STRING)),
        ({"a": 1}, ValueType(Kind.LIST, items=STRING)),
        (["a"], ValueType(Kind.OBJECT, fields={"a": STRING})),
    ],
)
def test_a_value_of_another_type_is_missing(stored: Any, type_: ValueType) -> None:
    assert present(stored, type_) is None
