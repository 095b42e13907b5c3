"""A name in single braces, or as other tools write it, is no value: its reader gets it as it stands.

It is told of `{name}` and `[[name]]` where the name is one of an attribute of the contact or of its account, of a
property of the event that starts the journey, or of a value of the run; of `{contact.name}` and `contact.name }}`,
whatever the name; and of `*|NAME|*` and `%%name%%`, which nobody writes who does not mean a value.

Passes:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello {{ contact.first_name }}, {this} and [[that]] are meant as they stand; and so is @media print {p {margin: 0}}.

Fails:

    # journeys/demo/hello.txt
    ---
    subject: Hello {First Name}
    ---
    Hello {first_name}, you came by {trigger.source}. We write to { contact.country|default("all") }}.

Fails:

    # journeys/demo/hello.txt
    ---
    subject: Hello %%first_name%%
    ---
    Hello *|FNAME|*, your plan is [[plan]], and your coupon *|COUPON|*.
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

_NAME = r"[A-Za-z_][A-Za-z0-9_ -]{0,60}?"
_OWNERS = ("contact", "trigger", "run", "account")
_OWNED = r"(?P<owner>contact|trigger|run|account|links)\.(?P<name>" + _NAME + r")"
_FILTERED = r"(?P<rest>(?:\.\w{1,60})*\s{0,3}(?:\|[^{}\n]{1,200})?)"
_PLACEHOLDERS = tuple(
    re.compile(pattern)
    for pattern in (
        # In style sheets a `}}` closes two blocks: with one `{` it is told of a name alone.
        r"(?<!\{)\{\s{0,3}" + _OWNED + _FILTERED + r"\}{1,2}(?!\})",
        r"(?<!\{)\{\s{0,3}(?P<name>" + _NAME + r")" + _FILTERED + r"\}{1,2}(?!\})",
        r"(?<![\w{.])" + _OWNED + _FILTERED + r"\}\}(?!\})",
        r"\[\[\s{0,3}(?P<name>" + _NAME + r")\s{0,3}\]\]",
        r"(?P<foreign>)\*\|(?P<name>[A-Z][A-Z0-9_:]{0,60})\|\*",
        r"(?P<foreign>)%%(?P<name>" + _NAME + r")%%",
    )
)
_ABBREVIATED = {"fname": "first_name", "lname": "last_name"}
"""What Mailchimp calls two attributes."""

Names = Mapping[str, Mapping[str, str]]
"""By owner, its members: as they are written, by their lower case without ``_`` and spaces."""


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
    if not any(each.search(source.text) for each in _PLACEHOLDERS):
        return
    for piece in pieces_of(source.text, "", 1):
        for match, hint in _placeholders(piece.text, names) if piece.kind is Kind.TEXT else ():
            file, line = source.place(piece.line + piece.text.count("\n", 0, match.start()))
            text = project.files[file].removeprefix("\ufeff")
            yield Problem(
                code="template/single-brace",
                message=f"`{match[0]}` is no value: its reader gets it as it stands.",
                span=text_in_lines(file, text, line, rf"(?<!\{{){re.escape(match[0])}"),
                hint=hint,
                severity=Severity.WARNING,
            )


def _placeholders(text: str, names: Names) -> Iterator[tuple[re.Match[str], str]]:
    """What is meant as a value in a text outside the tags, and what to write in its place."""
    told: set[int] = set()
    for pattern in _PLACEHOLDERS:
        for match in pattern.finditer(text):
            if match.end() in told:  # from its brace on
                continue
            told.add(match.end())
            found = match.groupdict()
            meant = _meant(found.get("owner"), found["name"], names)
            if meant is not None:
                yield match, f"Write {{{{ {meant}{(found.get('rest') or '').rstrip()} }}}}."
            elif "foreign" in found:
                yield match, "A value stands in double braces: {{ contact.NAME }}."


def _meant(owner: str | None, name: str, names: Names) -> str | None:
    plain = _plain(name)
    for each in [owner] if owner else _OWNERS:
        known = names.get(each, {})
        written = known.get(plain) or known.get(_plain(_ABBREVIATED.get(plain, "")))
        if written is not None:
            return f"{each}.{written}"
    return f"{owner}.{name.strip()}" if owner else None


def _plain(name: str) -> str:
    return re.sub(r"[ _-]+", "", name).lower()
