"""A name in single braces is no value: its reader gets the braces.

It is told where the name is one of an attribute of the contact or of its account, of a property of the event that
starts the journey, or of a value of the run.

Passes:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello {{ contact.first_name }}, {this} is meant as it stands.

Fails:

    # journeys/demo/hello.txt
    ---
    subject: Hello {First Name}
    ---
    Hello {first_name}, you came by {trigger.source}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from runner.journey.project import Project
from runner.journey.run_values import run_values
from runner.journey.template import Template
from runner.journey.template_pieces import Kind, Source, TemplateTrouble, as_written, pieces_of
from runner.problem import Problem, Severity
from runner.review.places import text_in_lines
from runner.review.template_names import template_values, trigger_properties

_SINGLE = re.compile(
    r"(?<!\{)\{\s{0,3}(?:(contact|trigger|run|account)\.)?([A-Za-z_][A-Za-z0-9_ -]{0,60}?)\s{0,3}\}(?!\})"
)
_OWNERS = ("contact", "trigger", "run", "account")

Names = Mapping[str, Mapping[str, str]]
"""By owner, its members: as they are written, by their lower case with ``_`` for spaces."""


def check(project: Project) -> Iterator[Problem]:
    for journey in project.journeys.values():
        values = template_values(
            project.catalog, trigger_properties(journey, project.catalog), run_values(journey)
        )
        names = {
            owner: {_plain(name): name for name in values[owner].fields or {} if name.isidentifier()}
            for owner in _OWNERS
        }
        for template in project.templates[journey.name]:
            if template.path not in project.included:
                yield from _check_template(project, template, names)


def _check_template(project: Project, template: Template, names: Names) -> Iterator[Problem]:
    sources = [
        as_written(text, template.path, template.places[key].line) for key, text in template.front.items()
    ]
    try:
        sources.append(template.source)
        for source in sources:
            yield from _check_source(project, source, names)
    except TemplateTrouble:
        return  # which another rule tells


def _check_source(project: Project, source: Source, names: Names) -> Iterator[Problem]:
    if _SINGLE.search(source.text) is None:
        return
    for piece in pieces_of(source.text, "", 1):
        for match in _SINGLE.finditer(piece.text) if piece.kind is Kind.TEXT else ():
            meant = _meant(match[1], match[2], names)
            if meant is None:
                continue
            file, line = source.place(piece.line + piece.text.count("\n", 0, match.start()))
            text = project.files[file].removeprefix("\ufeff")
            yield Problem(
                code="template/single-brace",
                message=f"`{match[0]}` is no value: its reader gets it as it stands.",
                span=text_in_lines(file, text, line, rf"(?<!\{{){re.escape(match[0])}"),
                hint=f"Write {{{{ {meant} }}}}.",
                severity=Severity.WARNING,
            )


def _meant(owner: str | None, name: str, names: Names) -> str | None:
    for each in [owner] if owner else _OWNERS:
        written = names[each].get(_plain(name))
        if written is not None:
            return f"{each}.{written}"
    return None


def _plain(name: str) -> str:
    return re.sub(r"[ -]+", "_", name.strip()).lower()
