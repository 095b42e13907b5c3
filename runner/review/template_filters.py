"""The arguments of filters that a template writes out, held against what the filter takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jinja2 import nodes

from runner.engine.filters import MOST_PLACES
from runner.engine.formats import LENGTHS, LISTS, PLURALS, currency_places
from runner.journey.words import listed
from runner.journey.zone_names import known_zone

_UNKNOWN = object()
"""An argument that is computed: only rendering tells its value."""
_DIRECTIVE = re.compile(r"%-?[A-Za-z]")
_QUOTED = re.compile(r"'[^']*'")
_FIELDS = {"date": frozenset("GyuUQqMLlEecd"), "time": frozenset("abBhHKkmsSAzOvVXx")}
"""The letters that stand for a part of a date, and of a time, in patterns of the CLDR (TR 35). `D` and `Y` are left
out: the day of the year and the year of the week are hardly ever meant."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """``fits`` looks at a constant; ``wanted`` says in words what it lets through."""

    name: str
    wanted: str
    fits: Callable[[object], bool]
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Signature:
    parameters: tuple[Parameter, ...] = ()
    example: str
    by_name: bool = False
    """Whether arguments are given with their names alone."""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_places(value: object) -> bool:
    return _is_count(value) and isinstance(value, int) and value <= MOST_PLACES


def _is_date_pattern(value: object) -> bool:
    return _is_pattern(value, "date") or (isinstance(value, str) and _DIRECTIVE.search(value) is not None)


def _is_pattern(value: object, of: str) -> bool:
    """Whether it is a length, or a pattern that says something of a date or a time and nothing of the other."""
    if not isinstance(value, str):
        return False
    letters = {letter for letter in _QUOTED.sub("", value) if letter.isascii() and letter.isalpha()}
    return value in LENGTHS or ("%" not in value and bool(letters) and letters <= _FIELDS[of])


def _is_time_pattern(value: object) -> bool:
    return _is_pattern(value, "time")


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and currency_places(value) is not None


def _is_zone(value: object) -> bool:
    return isinstance(value, str) and known_zone(value)


def _text(name: str, *, required: bool = False) -> Parameter:
    return Parameter(name=name, wanted="a text", fits=_is_text, required=required)


_PLACES = Parameter(
    name="places", wanted=f"the number of decimal places, 0 to {MOST_PLACES}", fits=_is_places
)
_LENGTHS = f"{', '.join(LENGTHS)}"
_DATE = Parameter(
    name="pattern",
    wanted=f"{_LENGTHS}, or a pattern such as 'd MMMM' or '%d.%m.%Y'",
    fits=_is_date_pattern,
)
_TIME = Parameter(name="pattern", wanted=f"{_LENGTHS}, or a pattern such as 'HH:mm'", fits=_is_time_pattern)
_ZONE = Parameter(name="zone", wanted="a time zone such as 'Europe/Berlin'", fits=_is_zone)
_CURRENCY = Parameter(name="currency", wanted="a currency such as 'EUR'", fits=_is_currency, required=True)
_STYLE = Parameter(name="style", wanted="'and' or 'or'", fits=lambda value: value in LISTS)
_LENGTH = Parameter(name="length", wanted="a number of characters", fits=_is_count)
_REVERSE = Parameter(name="reverse", wanted="true or false", fits=lambda value: isinstance(value, bool))
_INSTEAD = Parameter(name="instead", wanted="a value", fits=lambda _: True)

SIGNATURES: Mapping[str, Signature] = {
    "default": Signature(parameters=(_INSTEAD,), example="default('friend')"),
    "replace": Signature(
        parameters=(_text("old", required=True), _text("new", required=True)), example="replace('-', ' ')"
    ),
    "truncate": Signature(parameters=(_LENGTH, _text("end")), example="truncate(40)"),
    "join": Signature(parameters=(_text("between"),), example="join(', ')"),
    "sort": Signature(parameters=(_REVERSE,), example="sort(true)"),
    "round": Signature(parameters=(_PLACES,), example="round(2)"),
    "number": Signature(parameters=(_PLACES,), example="number(2)"),
    "percent": Signature(parameters=(_PLACES,), example="percent"),
    "money": Signature(parameters=(_CURRENCY, _PLACES), example="money('EUR')"),
    "date": Signature(parameters=(_DATE, _ZONE), example="date('long')"),
    "time": Signature(parameters=(_TIME, _ZONE), example="time"),
    "plural": Signature(
        parameters=tuple(_text(name, required=name == "other") for name in PLURALS),
        example="plural(one='# day', other='# days')",
        by_name=True,
    ),
    "list": Signature(parameters=(_STYLE,), example="list"),
}
"""The filters that take arguments; all others take none."""


def argument_trouble(node: nodes.Filter) -> tuple[str, str] | None:
    """What is wrong with the arguments of a known filter, and how to write it; None where nothing is."""
    signature = SIGNATURES.get(node.name, Signature(example=node.name))
    names = [parameter.name for parameter in signature.parameters]
    hint = f"Write …|{signature.example}."
    if signature.by_name and node.args:
        return f"`{node.name}` takes its arguments by name: {listed(names, 'and')}.", hint
    if len(node.args) > len(names):
        takes = f"at most {len(names)}" if names else "no"
        return f"`{node.name}` takes {takes} argument{'s' if len(names) != 1 else ''}.", hint
    given: dict[str, nodes.Expr] = dict(zip(names, node.args, strict=False))
    for keyword in node.kwargs:
        if keyword.key not in names:
            takes = f"It takes {listed(names, 'and')}." if names else "It takes none."
            return f"`{node.name}` has no argument `{keyword.key}`. {takes}", hint
        given[str(keyword.key)] = keyword.value
    computed = node.dyn_args is not None or node.dyn_kwargs is not None
    for parameter in signature.parameters:
        if parameter.name not in given:
            if parameter.required and not computed:
                needed = [each.name for each in signature.parameters if each.required]
                return f"`{node.name}` needs {listed(needed, 'and')}.", hint
            continue
        value = _constant(given[parameter.name])
        if value is not _UNKNOWN and not parameter.fits(value):
            return f"`{node.name}` takes {parameter.wanted}, not {_shown(value)}.", hint
    return None


def _constant(node: nodes.Expr) -> object:
    if isinstance(node, nodes.Const):
        return node.value
    if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const):
        value = node.node.value
        return -value if isinstance(value, int | float) else _UNKNOWN
    return _UNKNOWN


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    return f"'{value[:40]}'" if isinstance(value, str) else str(value)
