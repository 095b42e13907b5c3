"""What of the catalog anything reads, writes or sends: journeys, templates, and other entries of the catalog."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from runner.journey.catalog import ADDRESS_OF, CONTACT_FIELDS, Catalog
from runner.journey.duration import Duration
from runner.journey.expression import Expression, tree
from runner.journey.hours import BusinessHours
from runner.journey.model import Call, Journey, Update
from runner.journey.project import Project
from runner.journey.template_reads import members_read
from runner.journey.values import ValueType
from runner.problem import Span

Uses = dict[str, set[str]]
"""Section of the catalog → the names in it that are used. Where all of a section may be, ``EVERY`` is among them."""

EVERY = "*"

_FIELDS = {
    "event": "events",
    "topic": "topics",
    "channel": "channels",
    "segment": "segments",
    "attribute": "attributes",
    "pool": "pools",
}
"""Field of a part of a journey → the section of the catalog whose entry it names."""
_READ: Mapping[str, str] = {"contact": "attributes", "account": "accounts", "contact.score": "scores"}
"""What templates read members of → the section of the catalog that names them."""


def uses_of(project: Project) -> Uses:
    """What is used of the project's catalog. Only what is surely not used is missing."""
    found: Uses = defaultdict(set)
    expressions = list(_of_catalog(project.catalog))
    for journey in project.journeys.values():
        expressions += _of_journey(journey, found)
    for expression in expressions:
        _of_expression(expression, found)
    written = {
        node.values
        for expression in expressions
        for node in expression.nodes
        if isinstance(node, tree.Members)
    }
    found["lists"] |= {name for name, members in project.catalog.lists.items() if tuple(members) in written}
    templates = [each for of_journey in project.templates.values() for each in of_journey]
    for owner, section in _READ.items():
        names = members_read(templates, owner)
        # What is handed on as a whole may be read anywhere.
        found[section] |= {EVERY} if names is None else names
    # What every contact has is read by the engine; the addresses of channels are.
    found["attributes"] |= {*CONTACT_FIELDS, *project.catalog.channels, *ADDRESS_OF.values()}
    found["events"] |= {rule.event for score in project.catalog.scores.values() for rule in score.rules}
    for tool in project.catalog.campaigns:
        found["events"] |= {tool.sent, *tool.reactions.values(), *([tool.goal.event] if tool.goal else ())}
    found["segments"] |= {name for name, segment in project.catalog.segments.items() if segment.persona}
    return found


def _of_catalog(catalog: Catalog) -> Iterator[Expression]:
    yield from (segment.when for segment in catalog.segments.values())
    yield from (stage.when for stage in catalog.stages)
    for step in catalog.funnel:
        yield step.when
        if step.value is not None:
            yield step.value
    yield from (hold.when for hold in catalog.policies.holds)
    yield from (case.when for topic in catalog.topics.values() for case in topic.cases if case.when)
    yield from (rule.where for score in catalog.scores.values() for rule in score.rules if rule.where)
    for goal in (tool.goal for tool in catalog.campaigns if tool.goal):
        yield from (each for each in (goal.where, goal.value) if each)


def _of_journey(journey: Journey, found: Uses) -> Iterator[Expression]:
    """The expressions of a journey; what its other parts name goes to ``found``."""
    for part in parts_of(journey):
        if isinstance(part, Expression):
            yield part
            continue
        for key in _named(part.__class__):
            value = getattr(part, key)
            if isinstance(value, str):
                found[_FIELDS[key]].add(value)
        if isinstance(part, Update):
            found["attributes"] |= {name for name, _ in part.attributes}
            found["scores"] |= {part.score[0]} if part.score else set()
        elif isinstance(part, BusinessHours):
            found["hours"].add(part.name)
        elif isinstance(part, Call):
            found["channels"].add("call")


def _of_expression(expression: Expression, found: Uses) -> None:
    for node in expression.nodes:
        if isinstance(node, tree.Name):
            if node.source in ("contact", "account"):
                found["attributes" if node.source == "contact" else "accounts"].add(node.path[0])
        elif isinstance(node, tree.Derived):
            found["scores"].add(node.name.removeprefix("score."))
        elif isinstance(node, tree.History):
            found["events"].add(node.event)
        elif isinstance(node, tree.InSegment):
            found["segments"].add(node.name)
        elif isinstance(node, tree.Consented | tree.ConsentAge | tree.Reachable):
            found["channels"].add(node.channel)
            if not isinstance(node, tree.Reachable):
                found["topics"].add(node.topic)


def parts_of(journey: Journey) -> Iterator[Any]:
    """Every dataclass within a journey, expressions as wholes."""
    left: list[Any] = [journey]
    while left:
        part = left.pop()
        if isinstance(part, tuple):
            left.extend(part)
        elif isinstance(part, Expression):
            yield part
        elif inner := _inner(part.__class__):
            yield part
            left.extend(value for name in inner if (value := getattr(part, name)) is not None)


@cache
def _inner(kind: Any) -> tuple[str, ...]:
    """The fields of a dataclass; none for what says where something stands, how long it takes, or its type."""
    known = is_dataclass(kind) and kind not in (Span, Duration, ValueType)
    return tuple(each.name for each in fields(kind)) if known else ()


@cache
def _named(kind: Any) -> tuple[str, ...]:
    return tuple(key for key in _FIELDS if hasattr(kind, key) or key in _inner(kind))
