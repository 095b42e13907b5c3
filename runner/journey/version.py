"""The hash of a journey version: of the compiled journey and of all that it refers to.

Comments, notes, formatting, the order of keys and the spelling of expressions make no new version; a
template, a type or a topic that the journey uses does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from runner.journey.expression import Expression
from runner.journey.model import Journey, Send
from runner.journey.template import templates_named
from runner.problem import Span

if TYPE_CHECKING:
    from runner.journey.project import Project

FORMAT = 1
"""Raised where the meaning of the hashed form changes."""

_REMARKS = frozenset({"note", "span", "places", "path", "body_line"})
"""Fields that say where something stands or remark on it."""


def version_hash(project: Project, journey: str) -> str:
    """The SHA-256, in hexadecimal, of what ``journey`` does. Raises KeyError where the project has no such
    journey."""
    made = project.journeys[journey]
    sends = list(_found(made, Send))
    templates = templates_named(project.templates[journey], (send.template for send in sends))
    form = {
        "format": FORMAT,
        "journey": _canonical(made),
        "templates": [_canonical(template) for template in templates],
        "catalog": _catalog_entries(project, made, sends),
    }
    text = json.dumps(form, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _catalog_entries(project: Project, journey: Journey, sends: list[Send]) -> dict[str, Any]:
    """What of the catalog the journey reads. Templates may read any attribute, so their types all count."""
    catalog = project.catalog
    expressions = list(_found(journey, Expression))
    events = {event for expression in expressions for event in expression.reads.events}
    events |= {trigger.event for trigger in journey.triggers}
    events |= {event for part in _parts(journey) if isinstance(event := getattr(part, "event", None), str)}
    topics = {send.topic for send in sends}
    topics |= {topic for expression in expressions for topic in expression.reads.topics}
    channels = {send.channel for send in sends}
    return {
        "timezone": catalog.timezone,
        "locale": catalog.locale,
        "attributes": {name: _canonical(each.type) for name, each in sorted(catalog.attributes.items())},
        "events": {name: _canonical(catalog.events[name]) for name in sorted(events & set(catalog.events))},
        "topics": {name: _canonical(catalog.topics[name]) for name in sorted(topics & set(catalog.topics))},
        "channels": {
            name: _canonical(catalog.channels[name]) for name in sorted(channels & set(catalog.channels))
        },
    }


def _parts(value: Any) -> Iterator[Any]:
    """Every dataclass within a journey, expressions as wholes."""
    if isinstance(value, tuple):
        for item in value:
            yield from _parts(item)
    elif is_dataclass(value):
        yield value
        if not isinstance(value, Expression):
            for each in fields(value):
                yield from _parts(getattr(value, each.name))


def _found(journey: Journey, kind: type[Any]) -> Iterator[Any]:
    return (part for part in _parts(journey) if isinstance(part, kind))


def _canonical(value: Any) -> Any:
    """``value`` as JSON that is the same for all spellings of the same."""
    if isinstance(value, Expression):
        return {"expression": value.canonical(), "type": _canonical(value.type)}
    if isinstance(value, Span):
        return None
    if is_dataclass(value):
        parts = {f.name: _canonical(getattr(value, f.name)) for f in fields(value) if f.name not in _REMARKS}
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
