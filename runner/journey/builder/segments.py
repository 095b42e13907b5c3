"""In which order segments are built: each after those of which it asks, wherever they stand in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.journey.builder.notes import fields_of
from runner.journey.yaml import Field, Fields, Scalar
from runner.problem import Span

_ASKED = re.compile(r"""\bin_segment\(\s*(["'])(?P<name>.*?)\1""")


@dataclass(frozen=True)
class Asked:
    """A segment that ``by`` asks for, and where."""

    by: str
    name: str
    span: Span


def asked_segments(fields: Fields) -> Mapping[str, tuple[Asked, ...]]:
    """For each segment of the catalog those of them for which its condition asks, itself perhaps among them."""
    return {
        field.key: tuple(each for each in _asked(field) if each.name in fields) for field in fields.fields
    }


def _asked(field: Field) -> Iterator[Asked]:
    options = fields_of(field.value)
    when = options.get("when") if options else None
    if isinstance(when, Scalar):
        for match in _ASKED.finditer(when.text):
            yield Asked(field.key, match["name"], when.place(match.start("name"), len(match["name"])))


def in_order(asked: Mapping[str, tuple[Asked, ...]]) -> Iterator[str]:
    """The segments that can be built, each after those for which it asks; those in a circle, and those that ask for one
    of them, are left out."""
    missing = {name: len({each.name for each in others}) for name, others in asked.items()}
    asking: dict[str, list[str]] = {name: [] for name in asked}
    for name, others in asked.items():
        for other in dict.fromkeys(each.name for each in others):
            asking[other].append(name)
    ready = [name for name, count in missing.items() if not count]
    for name in ready:
        yield name
        for each in asking[name]:
            missing[each] -= 1
            if not missing[each]:
                ready.append(each)
