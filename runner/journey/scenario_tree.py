"""Parts of a scenario's value tree that its schema has made sure of."""

from __future__ import annotations

from runner.journey.yaml import Fields, Items, Scalar, Value


def fields_in(value: Value | None) -> Fields:
    """A mapping."""
    assert isinstance(value, Fields)
    return value


def items_in(value: Value | None) -> tuple[Value, ...]:
    """The items of a list; none where it is not written."""
    return value.items if isinstance(value, Items) else ()


def scalar_at(fields: Fields, key: str) -> Scalar:
    """The value of a key."""
    value = fields.get(key)
    assert isinstance(value, Scalar)
    return value


def texts_in(value: Value | None) -> tuple[str, ...]:
    """One text, or those of a list."""
    if isinstance(value, Scalar):
        return (value.text,)
    return tuple(item.text for item in items_in(value) if isinstance(item, Scalar))
