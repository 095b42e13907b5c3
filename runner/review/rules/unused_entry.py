"""An entry of the catalog that no journey, no template and no other entry uses is a leftover, or what should use it
names something else.

Nothing is said as long as a journey has errors: it may use the entry. Attributes and events come from elsewhere,
whether a journey reads them or not, so that each of these sections has one finding for all of its entries. A comment
with a reason on the line of the section, ``# journeys: ignore[catalog/unused] …``, says that they are kept.

Passes:

    # journeys/catalog.yaml
    attributes: {first_name: {type: string}}
    events: {Signed Up: {}}
    topics:
      news: {title: News, opt_in: explicit}
    segments:
      begun: {when: 'did("Signed Up", within="30d")'}
    channels:
      email: {sender: {name: Shop, address: hello@shop.example}}
    # journeys/demo/journey.yaml
    steps:
      - {id: gate, condition: 'in_segment("begun")'}
      - {id: hello, send: email}

Fails:

    # journeys/catalog.yaml
    attributes: {first_name: {type: string}, birthday: {type: date}}
    events: {Signed Up: {}}
    topics:
      news: {title: News, opt_in: explicit}
    segments:
      begun: {when: 'did("Signed Up", within="30d")'}
    channels:
      email: {sender: {name: Shop, address: hello@shop.example}}
    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.journey.project import CATALOG, Project
from runner.journey.words import listed
from runner.journey.yaml import Field, Fields
from runner.problem import Problem, Severity
from runner.review.uses import EVERY, uses_of


@dataclass(frozen=True, kw_only=True)
class _Section:
    """What one entry is called, and several, and what nothing does with them. ``arrives``: the entries say what comes
    from elsewhere."""

    one: str
    several: str
    verb: str = "uses"
    arrives: bool = False


_SECTIONS: Mapping[str, _Section] = {
    "attributes": _Section(one="the attribute", several="attributes", verb="reads", arrives=True),
    "accounts": _Section(
        one="the attribute of accounts", several="attributes of accounts", verb="reads", arrives=True
    ),
    "events": _Section(one="the event", several="events", verb="hears", arrives=True),
    "topics": _Section(one="the topic", several="topics", verb="is sent on"),
    "segments": _Section(one="the segment", several="segments"),
    "scores": _Section(one="the score", several="scores", verb="reads"),
    "lists": _Section(one="the list", several="lists"),
    "channels": _Section(one="the channel", several="channels", verb="is sent through"),
    "pools": _Section(one="the pool", several="pools", verb="draws from"),
    "hours": _Section(one="the hours", several="hours"),
}


def check(project: Project) -> Iterator[Problem]:
    root = project.trees.get(CATALOG)
    told = any(problem.severity is Severity.ERROR for problem in project.problems)
    if told or not project.journeys or not isinstance(root, Fields):
        return
    uses = uses_of(project)
    for field in root.fields:
        section = _SECTIONS.get(field.key)
        used = uses.get(field.key, set())
        if section is None or EVERY in used or not isinstance(field.value, Fields):
            continue
        unused = [entry for entry in field.value.fields if entry.key not in used]
        if section.arrives and unused:
            yield _together(field, section, unused)
        elif unused:
            yield from (_alone(entry, section) for entry in unused)


def _together(field: Field, section: _Section, unused: Sequence[Field]) -> Problem:
    names = listed((entry.key for entry in unused), "and", 5)
    what = f"{section.one} {names}" if len(unused) == 1 else f"these {section.several}: {names}"
    kept = "it is kept" if len(unused) == 1 else "they are kept"
    return Problem(
        code="catalog/unused",
        message=f"Nothing {section.verb} {what}.",
        span=field.key_span,
        hint=f"Remove what nobody needs, or say here why {kept}: `# journeys: ignore[catalog/unused] …`.",
        severity=Severity.WARNING,
    )


def _alone(entry: Field, section: _Section) -> Problem:
    return Problem(
        code="catalog/unused",
        message=f"Nothing {section.verb} {section.one} `{entry.key}`.",
        span=entry.key_span,
        hint="Remove it, or say here why it is kept: `# journeys: ignore[catalog/unused] …`.",
        severity=Severity.WARNING,
    )
