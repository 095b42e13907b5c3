"""The names of which a ``tests.yaml`` speaks, looked up: what does not exist is a problem at its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from runner.journey.catalog import CONTACT_FIELDS, Catalog
from runner.journey.fit import fit
from runner.journey.graph import walk
from runner.journey.model import Journey, Verb
from runner.journey.schema import plain
from runner.journey.values import ValueType
from runner.journey.words import one_of
from runner.journey.yaml import Field, Fields
from runner.problem import Problem, Span


@dataclass
class Names:
    """What the scenarios of the journey ``folder`` may speak of, and what was wrong so far: ``problems`` grows."""

    folder: str
    catalog: Catalog
    journeys: Mapping[str, Journey]
    problems: list[Problem] = field(default_factory=list)
    _steps: dict[str, Mapping[str, Verb]] = field(default_factory=dict)

    @cached_property
    def attribute_types(self) -> Mapping[str, ValueType]:
        declared = {name: attribute.type for name, attribute in self.catalog.attributes.items()}
        return {name: kind for name, kind in {**CONTACT_FIELDS, **declared}.items() if name != "id"}

    def steps_of(self, journey: Journey) -> Mapping[str, Verb]:
        """What each step of a journey does, by its id."""
        if journey.name not in self._steps:
            self._steps[journey.name] = {step.id: step.verb for step in walk(journey.steps)}
        return self._steps[journey.name]

    def values(self, fields: Fields, what: str, types: Mapping[str, ValueType]) -> dict[str, object]:
        """The raw values of declared names; what is not declared, or does not fit, is a problem."""
        made: dict[str, object] = {}
        for item in fields.fields:
            kind = types.get(item.key)
            if kind is None and what == "attribute" and item.key in self.catalog.unreadable:
                continue
            if kind is None:
                self.unknown(what, item.key, types, item.key_span)
                continue
            raw = plain(item.value)
            if raw is not None and fit(raw, kind) is None:
                self._misfit(item, kind)
                continue
            made[item.key] = raw
        return made

    def _misfit(self, item: Field, kind: ValueType) -> None:
        accepted = f"one of {', '.join(kind.one_of)}" if kind.one_of else f"a {kind.kind.value}"
        self.note("tests/value", f"`{item.key}` takes {accepted}.", item.value.span)

    def note(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.problems.append(Problem(code=code, message=message, span=span, hint=hint))

    def unknown(self, what: str, name: str, among: Iterable[str], span: Span) -> None:
        """Note that there is no ``what`` of this name."""
        journey = self.journeys.get(self.folder)
        now = journey.in_flight.called_now(name) if journey else None
        self.note("tests/unknown", f"There is no {what} `{name}`.", span, one_of(name, sorted(among), now))
