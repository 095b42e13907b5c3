"""A scenario that was found, as it is written in ``tests.yaml``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.journey.scenario import PATIENCE
from runner.journey.values import Kind as ValueKind
from runner.journey.values import ValueType
from runner.review.happenings import Happening, Kind
from runner.review.timeline import offset_text

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 _./-]*[A-Za-z0-9]|[A-Za-z]")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off"})

SAMPLES: Mapping[ValueKind, Any] = {
    ValueKind.STRING: "something",
    ValueKind.NUMBER: 1,
    ValueKind.BOOLEAN: True,
    ValueKind.DATE: "2026-03-31",
    ValueKind.DATETIME: "2026-03-31T10:00:00Z",
}
"""A value of each kind, where any will do."""


def samples(properties: Mapping[str, ValueType]) -> dict[str, Any]:
    """A value for each property of an event that holds a single one."""
    return {
        name: type.one_of[0] if type.one_of else SAMPLES[type.kind]
        for name, type in properties.items()
        if type.kind in SAMPLES
    }


@dataclass(frozen=True)
class Spot:
    """Something that arrives ``at`` a time after the start: ``what`` it is, and the properties of an event."""

    at: timedelta
    what: Mapping[str, Any]
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Given:
    """What a scenario takes as given; it grows while it is looked for."""

    start: datetime = datetime(2026, 3, 2, 10, tzinfo=UTC)
    contact: dict[str, Any] = field(default_factory=dict)
    consents: list[str] = field(default_factory=list)
    trigger: dict[str, Any] = field(default_factory=dict)
    events: list[Spot] = field(default_factory=list)
    arms: dict[str, str] = field(default_factory=dict)
    pools: dict[str, list[str]] = field(default_factory=dict)
    calls: dict[str, Any] = field(default_factory=dict)
    held_out: bool | None = None

    def consent(self, topic: str) -> None:
        if topic not in self.consents:
            self.consents.append(topic)

    def happens(self, spot: Spot) -> None:
        """Add what arrives, once."""
        if not any(each.what == spot.what and each.at == spot.at for each in self.events):
            self.events.append(spot)

    def written(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        contact = {"id": "ana", **self.contact}
        if self.consents:
            contact["consents"] = self.consents
        yield f"    contact: {_flow(contact)}"
        yield f"    start: {self.start.isoformat()}"
        named = {"arm": self.arms, "pools": self.pools, "calls": self.calls, "holdout": self.held_out}
        given = {key: value for key, value in named.items() if value not in ({}, None)}
        if given:
            yield f"    given: {_flow(given)}"
        if self.events:
            yield "    events:"
        for spot in sorted(self.events, key=lambda each: each.at):
            known = {name: value for name, value in spot.properties.items() if value is not None}
            yield f"      - {_flow({'at': offset_text(spot.at), **spot.what, **_properties(known)})}"


def scenario_text(
    given: Given, name: str, happened: Sequence[Happening], journey: str, *, whole: bool = False
) -> str:
    """One item of ``tests``; the ``whole`` file where that is asked for, which looks on for as long as is possible."""
    lines = [f"  - name: {_flow(name)}", *given.lines()]
    if whole:
        until = given.start + PATIENCE
        lines = [f"journey: {journey}", "tests:", *lines, f"    until: {until.isoformat()}", "    expect: []"]
        return "\n".join(lines) + "\n"
    if not happened:
        return "\n".join([*lines, "    expect: []"]) + "\n"
    lines.append("    expect:")
    lines += [f"      - {_flow(_expectation(each, given.start))}" for each in happened]
    return "\n".join(lines) + "\n"


def _properties(known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties beside their event; those that an event's own keys would hide, inside."""
    if any(name in ("at", "event", "properties") for name in known):
        return {"properties": known}
    return known


def _expectation(happening: Happening, start: datetime) -> dict[str, Any]:
    at = {"at": offset_text(happening.at - start)}
    match happening.kind:
        case Kind.EXITED:
            return {**at, "exit": happening.name}
        case Kind.COMPLETED:
            return {**at, "completed": True}
        case Kind.BLOCKED:
            return {**at, "send": happening.name, "blocked": happening.detail}
        case Kind.WITHHELD:
            return {**at, "send": happening.name, "withheld": happening.detail}
    return {**at, "send": happening.name}


def _flow(value: Any) -> str:
    """A value in YAML's flow style."""
    match value:
        case dict() | Mapping():
            return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_flow(each) for each in value) + "]"
        case str():
            plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
            offset = re.fullmatch(r"-?(\d+[dhms])+", value)
            return value if plain or offset else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
