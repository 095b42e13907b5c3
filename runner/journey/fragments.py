"""Fragments: steps that several journeys share, with parameters; each is a file ``journeys/fragments/NAME.yaml``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from runner.journey.catalog import Catalog
from runner.journey.duration import parse_duration
from runner.journey.placeholders import masked
from runner.journey.schema import validate
from runner.journey.words import did_you_mean, listed
from runner.journey.yaml import Fields, Items, Scalar, Value, load_yaml
from runner.problem import Problem, Severity, Span

FOLDER = "journeys/fragments"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """``type`` is one of ``TYPES``. One without ``default`` has to be given."""

    name: str
    type: str
    one_of: tuple[str, ...] = ()
    default: Scalar | None = None

    def trouble(self, value: Value, catalog: Catalog) -> tuple[str, str | None] | None:
        """Why ``value`` cannot be given for the parameter, and what was perhaps meant."""
        check, wanted = TYPES[self.type]
        if not isinstance(value, Scalar) or not check(value):
            return f"`{self.name}` must be {wanted}.", None
        names = _names(catalog).get(self.type)
        if names is not None and value.text not in names:
            return f'Unknown {self.type} "{value.text}".', did_you_mean(value.text, names)
        if self.one_of and value.text not in self.one_of:
            return f"`{self.name}` must be {listed(self.one_of)}.", did_you_mean(value.text, self.one_of)
        return None


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """``steps`` is None where the file has no list of steps; ``problems`` are those of the file."""

    name: str
    path: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    steps: Items | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def _is_date(value: Scalar) -> bool:
    try:
        return re.fullmatch(r"\d{4}-\d\d-\d\d", value.text) is not None and bool(
            date.fromisoformat(value.text)
        )
    except ValueError:
        return False


def _is_text(value: Scalar) -> bool:
    return isinstance(value.value, str)


def _is_number(value: Scalar) -> bool:
    return isinstance(value.value, int | Decimal) and not isinstance(value.value, bool)


TYPES: Mapping[str, tuple[Callable[[Scalar], bool], str]] = {
    "string": (_is_text, "a text"),
    "number": (_is_number, "a number"),
    "boolean": (lambda value: isinstance(value.value, bool), "true or false"),
    "date": (_is_date, "a date like 2026-03-01"),
    "duration": (
        lambda value: _is_text(value) and parse_duration(value.text) is not None,
        "a duration like 3d",
    ),
    "expression": (lambda value: value.value is not None, "an expression"),
    "event": (_is_text, "an event of the catalog"),
    "topic": (_is_text, "a topic of the catalog"),
    "channel": (_is_text, "a channel of the catalog"),
}
"""What a parameter may be: how its value looks, and that in words."""


def _names(catalog: Catalog) -> Mapping[str, Mapping[str, object]]:
    return {"event": catalog.events, "topic": catalog.topics, "channel": catalog.channels}


def load_fragments(files: Mapping[str, str], catalog: Catalog) -> dict[str, Fragment]:
    """The fragments of a project by name, those with problems too."""
    found = {}
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        if folder == FOLDER and name.endswith(".yaml"):
            fragment = _load(path, files[path], name.removesuffix(".yaml"), catalog)
            found[fragment.name] = fragment
    return found


def _load(path: str, text: str, name: str, catalog: Catalog) -> Fragment:
    tree, problems = load_yaml(path, text)
    if tree is None:
        return Fragment(name=name, path=path, problems=problems)
    root = tree if isinstance(tree, Fields) else Fields((), tree.span)
    given = root.get("parameters")
    fields = given.fields if isinstance(given, Fields) else ()
    parameters = {each.key: made for each in fields if (made := _parameter(each.key, each.value))}
    found = [*problems, *validate(masked(tree, [*(each.key for each in fields), "item"]), "fragment")]
    said = root.get("fragment")
    if isinstance(said, Scalar) and said.text != name:
        message = f'The fragment is named "{said.text}", its file "{name}.yaml".'
        found.append(_problem("fragment/name", message, said.span, "Give both the same name."))
    for each in fields:
        parameter = parameters.get(each.key)
        if each.key == "item":
            message = "`{item}` stands for the item of a series."
            found.append(_problem("fragment/parameter", message, each.key_span, "Choose another name."))
        if parameter and parameter.default is not None:
            trouble = parameter.trouble(parameter.default, catalog)
            if trouble:
                found.append(_problem("fragment/value", trouble[0], parameter.default.span, trouble[1]))
    steps = root.get("steps")
    return Fragment(
        name=name,
        path=path,
        parameters=parameters,
        steps=steps if isinstance(steps, Items) else None,
        problems=tuple(found),
    )


def _parameter(name: str, value: Value) -> Parameter | None:
    if isinstance(value, Scalar) and value.text in TYPES:
        return Parameter(name=name, type=value.text)
    options = value if isinstance(value, Fields) else None
    type = options.get("type") if options else None
    if options is None or not isinstance(type, Scalar) or type.text not in TYPES:
        return None
    default, one_of = options.get("default"), options.get("one_of")
    items = one_of.items if isinstance(one_of, Items) else ()
    return Parameter(
        name=name,
        type=type.text,
        one_of=tuple(item.text for item in items if isinstance(item, Scalar)),
        default=default if isinstance(default, Scalar) else None,
    )


def _problem(code: str, message: str, span: Span, hint: str | None = None) -> Problem:
    return Problem(code=code, message=message, span=span, hint=hint)
