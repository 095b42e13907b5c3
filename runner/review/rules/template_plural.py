"""A text for numbers has a form for each kind of number that its language knows, and none that it never uses.

English has ``one`` and ``other``, Arabic has six, by the CLDR. ``other`` stands in for what is missing, which reads
wrong: "2 كتاب".

Passes:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    {{ contact.lifetime_value|plural(one="# euro", other="# euros") }}

Fails:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    {{ contact.lifetime_value|plural(one="# euro", few="# euro", other="# euros") }}

Fails:

    # journeys/demo/hello.pl.txt
    ---
    subject: Hello
    ---
    {{ contact.lifetime_value|plural(one="# złoty", other="# złotego") }}
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache

from jinja2 import Environment, TemplateSyntaxError, nodes

from runner.engine import formats
from runner.journey.project import Project
from runner.journey.template import Template
from runner.journey.template_pieces import Source, TemplateTrouble, as_written
from runner.journey.words import listed
from runner.problem import Problem, Severity
from runner.review.places import text_in_lines

USUAL = 200
"""Numbers below this show which forms a language needs; millions, for which some have a form of their own, are rare."""


def check(project: Project) -> Iterator[Problem]:
    for templates in project.templates.values():
        for template in templates:
            if template.path not in project.included:
                yield from _check_template(project, template)


def _check_template(project: Project, template: Template) -> Iterator[Problem]:
    try:
        sources = [template.source]
    except TemplateTrouble:
        return  # told by others
    sources += [
        as_written(text, template.path, template.places[key].line) for key, text in template.front.items()
    ]
    for source in sources:
        if "plural" in source.text:
            yield from _check_source(project, template, source)


def _check_source(project: Project, template: Template, source: Source) -> Iterator[Problem]:
    try:
        tree = Environment(autoescape=True).parse(source.text)
    except (TemplateSyntaxError, RecursionError, ValueError):
        return
    for node in tree.find_all(nodes.Filter):
        if node.name != "plural":
            continue
        forms = {str(each.key) for each in node.kwargs}
        message = _trouble(template.written_in, forms)
        if message and "other" in forms:
            file, line = source.place(node.lineno)
            text = project.files[file].removeprefix("\ufeff")
            span = text_in_lines(file, text, line, r"\bplural\b")
            yield Problem(code="template/plural", message=message, span=span, severity=Severity.WARNING)


@cache
def _forms(locale: str) -> tuple[frozenset[str], frozenset[str], str]:
    """The forms that a language may use, those that it needs, and its name in English."""
    by = formats.reader(locale, None)
    needed = {formats.plural(Decimal(number), by) for number in range(USUAL)}
    name = by.locale.get_language_name("en") or locale
    return formats.plurals_of(by), frozenset(needed) | {"other"}, name


def _trouble(locale: str, forms: set[str]) -> str | None:
    known, needed, language = _forms(locale)
    strange = [form for form in formats.PLURALS if form in forms - known]
    missing = [form for form in formats.PLURALS if form in needed - forms]
    if strange:
        return f"{language} has no numbers of the kind {listed(strange)}."
    if missing:
        return (
            f"{language} has numbers of the kind {listed(missing, 'and')} too, which would read as `other`."
        )
    return None
