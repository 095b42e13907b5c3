"""The hash of a journey version: of the compiled journey and of all that it refers to.

Comments, notes, formatting, the order of keys and the spelling of expressions make no new version; a
template, a type or a topic that the journey uses does. What it does not use may change: the files that were
stored with a version then still compile to the same program.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from runner.journey.derived_values import derived_read
from runner.journey.expression import Expression, tree
from runner.journey.model import Journey, Send, Step, Update
from runner.journey.template import Template, templates_sent
from runner.journey.template_reads import members_read
from runner.journey.trigger_types import trigger_types
from runner.problem import Span

if TYPE_CHECKING:
    from runner.journey.project import Project

Entry = TypeVar("Entry")

FORMAT = 3
"""Raised where the meaning of the hashed form changes."""

_REMARKS = frozenset({"note", "span", "places", "path", "body_line", "written_in"})
"""Fields that say where something stands or remark on it."""


def version_hash(project: Project, journey: str) -> str:
    """The SHA-256, in hexadecimal, of what ``journey`` does. Raises KeyError where the project has no such
    journey."""
    made = project.journeys[journey]
    sends = list(_found(made, Send))
    templates = templates_sent(project.templates[journey], sends)
    form = {
        "format": FORMAT,
        "journey": _canonical(made),
        "templates": [_canonical(template) for template in templates],
        "catalog": _catalog_entries(project, made, sends, templates),
    }
    text = json.dumps(form, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _catalog_entries(
    project: Project, journey: Journey, sends: list[Send], templates: Iterable[Template]
) -> dict[str, Any]:
    """What of the catalog the journey reads or writes, and nothing else: an entry that it does not use may come and go.

    Lists and segments are not among them: expressions have them written out.
    """
    catalog = project.catalog
    expressions = list(_found(journey, Expression))
    written = {name for update in _found(journey, Update) for name, _ in update.attributes}
    attributes = _chosen(catalog.attributes, members_read(templates, "contact"), written)
    properties = members_read(templates, "trigger")
    triggers = [trigger_types(each, catalog) for each in journey.triggers]
    topics = {send.topic for send in sends}
    topics |= {topic for expression in expressions for topic in expression.reads.topics}
    channels = {send.channel for send in sends}
    derived = derived_read(catalog, templates)
    # Left out where there is none, as versions from before it was read have it.
    computed = {"derived": {name: _canonical(each) for name, each in derived.items()}} if derived else {}
    return computed | {
        "timezone": catalog.timezone,
        "locale": catalog.locale,
        "attributes": {name: _canonical(each.type) for name, each in attributes.items()},
        "properties": [_canonical(_chosen(types, properties)) for types in triggers],
        "topics": _canonical(_chosen(catalog.topics, topics)),
        "channels": _canonical(_chosen(catalog.channels, channels)),
        "policies": _canonical(catalog.policies) if sends else None,
    }


def _chosen(entries: Mapping[str, Entry], *names: Set[str] | None) -> dict[str, Entry]:
    """The entries of one of ``names``; all, where one of these is None."""
    return {
        key: entry for key, entry in entries.items() if any(each is None or key in each for each in names)
    }


def _types_read(expression: Expression) -> list[Any]:
    """The type of each value that the expression looks up: of attributes, and of the properties of events."""
    found = [
        (
            node.source if isinstance(node, tree.Name) else node.event,
            [*node.path, *node.inside],
            _canonical(node.type),
        )
        for node in tree.walk(expression.tree)
        if isinstance(node, tree.Name | tree.Last)
    ]
    return [json.loads(text) for text in sorted({json.dumps(each, sort_keys=True) for each in found})]


def _parts(value: Any) -> Iterator[Any]:
    """Every dataclass within a journey, expressions as wholes."""
    if isinstance(value, tuple):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, Expression):
        yield value
    elif (names := _names(value.__class__)) is not None:
        yield value
        for name in names:
            yield from _parts(getattr(value, name))


@cache
def _names(kind: Any) -> tuple[str, ...] | None:
    """The names of a dataclass's fields; None for another kind."""
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else None


def expressions_of(journey: Journey) -> Iterator[Expression]:
    """Every expression of the journey."""
    return _found(journey, Expression)


def sends_of(journey: Journey) -> Iterator[Send]:
    """Every send of the journey."""
    return _found(journey, Send)


def _found(journey: Journey, kind: type[Any]) -> Iterator[Any]:
    return (part for part in _parts(journey) if isinstance(part, kind))


def meaning(step: Step) -> str:
    """What a step does, without the steps that it holds: the same for all spellings of the same."""
    return json.dumps(_without_steps(_canonical(step.verb)), sort_keys=True)


def _without_steps(form: Any) -> Any:
    if isinstance(form, dict):
        return {key: _without_steps(each) for key, each in form.items()}
    if isinstance(form, list):
        return [
            _without_steps(each)
            for each in form
            if not (isinstance(each, dict) and each.get("kind") == "Step")
        ]
    return form


def _has_default(value: Any, field: Field[Any]) -> bool:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return default is not MISSING and bool(getattr(value, field.name) == default)


def _canonical(value: Any) -> Any:
    """``value`` as JSON that is the same for all spellings of the same."""
    if isinstance(value, Expression):
        return {
            "expression": value.canonical(),
            "type": _canonical(value.type),
            "reads": _types_read(value),
        }
    if isinstance(value, Span):
        return None
    if is_dataclass(value):
        # What has its default is left out, so that an option which the language gains later changes no hash.
        parts = {
            f.name: _canonical(getattr(value, f.name))
            for f in fields(value)
            if f.name not in _REMARKS and not _has_default(value, f)
        }
        return {"kind": type(value).__name__, **parts}
    if isinstance(value, Mapping):
        return {str(key): _canonical(inner) for key, inner in sorted(value.items())}
    if isinstance(value, frozenset):
        return sorted(_canonical(item) for item in value)
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Decimal | date | time):
        return str(value)
    return value
