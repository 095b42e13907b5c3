"""Which kinds of values the filters of templates take and make, and what can be compared with what."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import nodes

from runner.journey.values import DATE, NUMBER, STRING, Kind, ValueType
from runner.journey.words import did_you_mean, listed

WORDS: Mapping[Kind, str] = {
    Kind.STRING: "a text",
    Kind.NUMBER: "a number",
    Kind.BOOLEAN: "true or false",
    Kind.DATE: "a date",
    Kind.DATETIME: "a date with time",
    Kind.LIST: "a list",
    Kind.OBJECT: "an object",
}

_TAKES: Mapping[str, tuple[frozenset[Kind], str]] = {
    **dict.fromkeys(
        ("number", "percent", "money", "plural", "round", "abs"), (frozenset({Kind.NUMBER}), "a number")
    ),
    "date": (frozenset({Kind.DATE, Kind.DATETIME}), "a date"),
    "time": (frozenset({Kind.DATETIME}), "a date with time"),
    **dict.fromkeys(("join", "list", "sort", "unique", "reverse", "sum"), (frozenset({Kind.LIST}), "a list")),
    **dict.fromkeys(("length", "first", "last"), (frozenset({Kind.LIST, Kind.STRING}), "a list or a text")),
}
"""Filter → the kinds that it takes, and these in words; the others print whatever they are given."""

_KEEPS = frozenset({"default", "sort", "unique", "reverse", "escape", "e"})
"""Filters whose values are of the kind that they are given."""
_NONE_STAYS = frozenset({"default", "round", "abs", "first", "last", "sum"})
"""Filters that leave a missing value missing, or have none to tell of; all others make a text or a list of nothing."""
_FORMATS = frozenset({"number", "percent", "money", "plural", "date", "time", "list", "join"})
"""Filters that write a value of another kind as a text."""

_SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}

Trouble = tuple[str, str | None]
"""What is wrong, and how to mend it."""


def made_by(name: str, given: ValueType | None) -> ValueType | None:
    """The type of what a filter makes of a value of the type ``given``; None where it is not known."""
    if name in _KEEPS:
        return given
    if name in ("round", "abs", "sum", "length"):
        return NUMBER
    if name in ("first", "last"):
        return given.items if given and given.kind is Kind.LIST else None
    return STRING


def filter_trouble(node: nodes.Filter, given: ValueType | None, value: str) -> Trouble | None:
    """Why a filter cannot take what it is given: ``value``, in words, of the type ``given``."""
    if node.name == "default":
        return _default_too_late(node, value)
    takes, wanted = _TAKES.get(node.name, (frozenset(), ""))
    if not takes or given is None:
        return None
    if given.kind not in takes:
        message = f"`{node.name}` takes {wanted}, and `{value}` is {WORDS[given.kind]}."
        return message, _instead(node.name, given.kind, value)
    instead = _put_in(node.node)
    kind = _kind_of(instead)
    if instead is None or kind is None or kind in takes:
        return None
    message = f"`{node.name}` takes {wanted}, and `default` puts {instead.value!r} in where there is none."
    return message, _around(value, instead)


def _default_too_late(node: nodes.Filter, value: str) -> Trouble | None:
    before = node.node
    if not isinstance(before, nodes.Filter) or before.name in _NONE_STAYS:
        return None
    message = (
        f"`default` comes too late: where there is no value, `{before.name}` has made an empty text of that."
    )
    given = node.args[0] if node.args and isinstance(node.args[0], nodes.Const) else None
    if given is None:
        return message, None
    if before.name in _FORMATS:
        return message, _around(value, given)
    return message, f"Write {value}|default({given.value!r})|{before.name}."


def _put_in(node: nodes.Node | None) -> nodes.Const | None:
    """The constant that a ``default`` puts in for a missing value."""
    if not isinstance(node, nodes.Filter) or node.name != "default" or not node.args:
        return None
    return node.args[0] if isinstance(node.args[0], nodes.Const) else None


def _around(value: str, instead: nodes.Const) -> str:
    return f"Put {{% if {value} %}}…{{% else %}}{instead.value}{{% endif %}} around it."


def _instead(name: str, kind: Kind, value: str) -> str | None:
    if name == "time" and kind is Kind.DATE:
        return f"Write {value}|date."
    if kind is Kind.STRING and name in ("number", "money", "percent", "plural", "date", "time"):
        return "Give it that type in catalog.yaml, if it is one."
    return None


def _kind_of(node: nodes.Node | None) -> Kind | None:
    if not isinstance(node, nodes.Const):
        return None
    if isinstance(node.value, bool):
        return Kind.BOOLEAN
    if isinstance(node.value, int | float):
        return Kind.NUMBER
    return Kind.STRING if isinstance(node.value, str) else None


def comparison_trouble(
    operator: str, left: tuple[str, ValueType | None], right: tuple[nodes.Expr, ValueType | None]
) -> Trouble | None:
    """Why two values cannot be compared, or never are equal: one in words with its type, and the other."""
    (value, one), (node, other) = left, right
    if operator in ("eq", "ne") and isinstance(node, nodes.Const) and node.value is None:
        sign, instead = ("==", "is none") if operator == "eq" else ("!=", "is not none")
        return (
            f"`{sign} none` never holds: what is missing is compared with nothing.",
            f"Write {value} {instead}.",
        )
    if operator not in _SIGNS or one is None or other is None or Kind.OBJECT in (one.kind, other.kind):
        return None
    written = node.value if isinstance(node, nodes.Const) else None
    if one.kind is not other.kind:
        shown = repr(written) if written is not None else "the other"
        message = f"`{value}` is {WORDS[one.kind]}, {shown} is {WORDS[other.kind]}: they cannot be compared."
        return message, _comparable(one.kind, other.kind, written, value)
    if one.one_of and isinstance(written, str) and operator in ("eq", "ne") and written not in one.one_of:
        there = listed(one.one_of)
        return f"`{value}` is never {written!r}.", did_you_mean(written, one.one_of) or f"It is {there}."
    return None


def _comparable(kind: Kind, other: Kind, written: object, value: str) -> str | None:
    if kind is Kind.NUMBER and isinstance(written, str):
        number = written.strip().removeprefix("-").replace(".", "", 1)
        return f"Write {written} without quotes." if number.isdigit() else None
    if kind is Kind.STRING and other is Kind.NUMBER and written is not None:
        return f"Write '{written}', in quotes."
    if kind is Kind.BOOLEAN:
        return f"Write {{% if {value} %}}, or {{% if not {value} %}}."
    if kind is Kind.LIST and isinstance(written, str):
        return f"Write '{written}' in {value}."
    if kind in (DATE.kind, Kind.DATETIME):
        return "Compare dates in the journey: a condition or a run value says what the template reads."
    return None
