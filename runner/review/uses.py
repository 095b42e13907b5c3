"""What of the catalog anything reads, writes or sends: journeys, templates, and other entries of the catalog."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from runner.journey.catalog import ADDRESS_OF, CONTACT_FIELDS, Catalog
from runner.journey.expression import Expression, tree
from runner.journey.hours import BusinessHours
from runner.journey.model import Call, Journey, Update
from runner.journey.project import Project

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
_TAG = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_MEMBER = re.compile(
    r"\b(contact|account)\b(?:\s*\.\s*(\w+)(?:\s*\.\s*(\w+))?|\s*\[\s*['\"]([^'\"]+)['\"]\s*\])?"
)


def uses_of(project: Project) -> Uses:
    """What is used of the project's catalog. Only what is surely not used is missing."""
    found: Uses = defaultdict(set)
    expressions = list(_of_catalog(project.catalog))
    for journey in project.journeys.values():
        expressions += _of_journey(journey, found)
    for expression in expressions:
        _of_expression(expression, found)
    sources = "\n".join({expression.source for expression in expressions})
    found["lists"] |= {name for name in project.catalog.lists if name in sources}
    for path, text in project.files.items():
        if not path.endswith((".yaml", ".yml")):
            _of_template(text, found)
    # What every contact has is read by the engine; the addresses of channels are.
    found["attributes"] |= {*CONTACT_FIELDS, *project.catalog.channels, *ADDRESS_OF.values()}
    found["events"] |= {rule.event for score in project.catalog.scores.values() for rule in score.rules}
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


def _of_journey(journey: Journey, found: Uses) -> Iterator[Expression]:
    """The expressions of a journey; what its other parts name goes to ``found``."""
    for part in _parts(journey):
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
    for node in tree.walk(expression.tree):
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


def _of_template(text: str, found: Uses) -> None:
    for owner, member, inner, key in _MEMBER.findall(" ".join(_TAG.findall(text))):
        # A contact that is handed on as a whole may be read anywhere.
        found["attributes" if owner == "contact" else "accounts"].add(member or key or EVERY)
        if member == "score":
            found["scores"].add(inner or EVERY)


def _parts(value: Any) -> Iterator[Any]:
    """Every dataclass within a journey, expressions as wholes."""
    if isinstance(value, tuple):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, Expression):
        yield value
    elif is_dataclass(value):
        yield value
        for name in _inner(value.__class__):
            yield from _parts(getattr(value, name))


@cache
def _inner(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


@cache
def _named(kind: Any) -> tuple[str, ...]:
    return tuple(key for key in _FIELDS if hasattr(kind, key) or key in _inner(kind))
