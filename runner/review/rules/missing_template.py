"""A message needs its template: a file of that name beside the journey.

Mail needs ``.mjml``, ``.html`` or ``.txt``; every other channel sends text and needs ``.txt``. A template
in one language only is not enough for everybody: there must be one without locale, or in the catalog's. Its HTML is
written once, as ``.mjml`` or as ``.html``.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: helo, send: email}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: greeting, send: email}
    # journeys/demo/greeting.ka.txt
    ---
    subject: გამარჯობა
    ---
    გამარჯობა

Fails:

    # journeys/demo/hello.html
    <p>Hello</p>
    # journeys/demo/hello.mjml
    <mjml><mj-body></mj-body></mjml>

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: tip, send: {channel: email, template: {by: [contact.plan], from: tips, empty: skip}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from runner.journey.graph import steps_with
from runner.journey.locales import plain
from runner.journey.model import Send, Step
from runner.journey.project import FOLDER, Project
from runner.journey.template import MARKUP, Template
from runner.journey.words import did_you_mean
from runner.problem import Problem, Span
from runner.review.places import value_span


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        for step, send in steps_with(journey, Send):
            check_texts = _check_send if send.cells is None else _check_cells
            yield from check_texts(project, name, step, send)
        yield from _written_twice(project.templates[name])


def _written_twice(templates: Iterable[Template]) -> Iterator[Problem]:
    """Templates that are there as .html and as .mjml, in one language."""
    first: dict[tuple[str, str], Template] = {}
    for template in templates:
        if template.extension in MARKUP:
            other = first.setdefault((template.name, plain(template.locale)), template)
            if other is not template:
                yield Problem(
                    code="template/twice",
                    message=f"This is written twice: {other.path.rsplit('/', 1)[-1]} is its HTML too.",
                    span=Span(template.path, 1, 1),
                    hint="Keep one of them.",
                )


def _check_send(project: Project, journey: str, step: Step, send: Send) -> Iterator[Problem]:
    own = [template for template in project.templates[journey] if template.name == send.template]
    mail = is_mail(project, send.channel)
    usable = [template for template in own if mail or template.extension == "txt"]
    if not usable:
        folder = f"{FOLDER}/{journey}"
        names = {template.name for template in project.templates[journey]}
        near = None if own else did_you_mean(send.template, names)
        message = f"There is no template `{send.template}` for {send.channel}."
        files = f"{send.template}.html or {send.template}.txt" if mail else f"{send.template}.txt"
        hint = f"{near} Otherwise write" if near else "Write"
        hint = f"{hint} {files} in {folder}/."
        yield Problem(
            code="template/missing", message=message, span=_place(project, journey, step), hint=hint
        )
    elif not any(is_fallback(template, project.catalog.locale) for template in usable):
        there = ", ".join(sorted(template.locale or "" for template in usable))
        message = f"The template `{send.template}` exists only in {there}; other readers would get nothing."
        hint = f"Write one without locale: {send.template}.{usable[0].extension}."
        yield Problem(
            code="template/no-fallback", message=message, span=_place(project, journey, step), hint=hint
        )


def _place(project: Project, journey: str, step: Step) -> Span:
    return value_span(project, journey, step.id, "send", "template")


def _check_cells(project: Project, journey: str, step: Step, send: Send) -> Iterator[Problem]:
    """Each cell that is written can be read by everybody; that others are missing is what `empty` is for."""
    assert send.cells is not None
    templates = project.templates[journey]
    names = sorted({template.name for template in templates if send.cells.holds(template.name)})
    for name in [*names, *([send.cells.empty] if send.cells.empty else [])]:
        yield from _check_send(project, journey, step, replace(send, template=name))
    if not names:
        example = "/".join(["VALUE"] * len(send.cells.by))
        yield Problem(
            code="template/no-cells",
            message=f"There is no cell in {FOLDER}/{journey}/{send.cells.folder}/.",
            span=value_span(project, journey, step.id, "send", "template", "from"),
            hint=f"Write {send.cells.folder}/{example}.txt, a file for each combination of values.",
        )


def is_mail(project: Project, channel: str) -> bool:
    """Whether messages of the channel are mails, with a subject and an HTML part."""
    return channel == "email" or project.uses(channel, "smtp")


def is_fallback(template: Template, locale: str) -> bool:
    """Whether every reader can get the template, whatever their language: the catalog's locale or its
    language."""
    return template.locale is None or template.locale.replace("_", "-").lower() in _steps(locale.lower())


def _steps(locale: str) -> set[str]:
    parts = locale.split("-")
    return {"-".join(parts[:length]) for length in range(1, len(parts) + 1)}
