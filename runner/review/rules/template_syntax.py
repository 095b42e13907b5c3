"""A template must be Jinja that can be parsed, and may only read what exists.

Names are held against the catalog: ``contact.*`` against its attributes, ``trigger.*`` against the
properties of the event that starts the journey, ``run.*`` against what ``update`` steps write. Filters and
tests are a closed list.

Passes:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello {{ contact.first_name|default("there") }}, you signed up from {{ trigger.source }}.

Fails:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello {{ contact.frist_name }}.

Fails:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello {% if contact.first_name %}

Fails:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello {{ contact.first_name|uper }}, {{ contact.first_name + 1 }}
    {% if contact.vip is nonne %}{{ range(100000)|length }}{% endif %}
    {% extends "other.txt" %}

Fails:

    # journeys/demo/hello.txt
    ---
    subject: |
      Hello
      there
    reply_to: the shop
    ---
    Hello
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import TemplateSyntaxError

from runner.engine.sandbox import compiled
from runner.journey.builder.notes import sentence
from runner.journey.project import Project
from runner.journey.run_values import run_values
from runner.journey.template import Template
from runner.journey.template_pieces import Source, TemplateTrouble, as_written
from runner.journey.template_tree import left_open, template_tree
from runner.journey.values import ValueType
from runner.problem import Problem, Span
from runner.review.places import text_in_lines, word_in_lines
from runner.review.template_headers import unfit_headers
from runner.review.template_names import misreadings, template_values, trigger_properties
from runner.review.template_places import ordinals

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_BRACKET = r"\{[{%#].*?(?:[}%#]\}|$)"
_ASSIGNED = r"\{%[-+]?\s*(?:el)?if\b(?:(?![%}]\}).)*?(?<![=!<>])=(?!=)"
MOST_FRONT_LINES = 200
"""Lines below its key among which a name of a front matter value is looked for."""


@dataclass(frozen=True)
class _Text:
    """Jinja, and where each of its lines stands: the file, the line, and the last line that a search may reach."""

    source: str
    place: Callable[[int], tuple[str, int, int | None]]
    put_together: bool = False


def check(project: Project) -> Iterator[Problem]:
    for journey, templates in project.templates.items():
        values = _values(project, journey)
        for template in templates:
            # What is put into others is read there, where its names mean something.
            if template.path not in project.included:
                yield from _check_template(project, template, values)


def _check_template(
    project: Project, template: Template, values: Mapping[str, ValueType] | None
) -> Iterator[Problem]:
    unfit = list(_unfit_characters(project, template))
    yield from unfit
    yield from unfit_headers(template)
    texts = [*_front_texts(template)]
    try:
        texts.append(_text(template.source, put_together=bool(template.parts)))
    except TemplateTrouble as trouble:
        if trouble.code == "template/syntax" and not unfit:
            written = project.files[trouble.file].removeprefix("\ufeff")
            span = text_in_lines(trouble.file, written, trouble.line, _BRACKET)
            yield Problem(code=trouble.code, message=sentence(str(trouble)), span=span)
        elif not unfit:
            # What is missing is told where the project is read; the rest can be read all the same.
            texts.append(_text(as_written(template.body, template.path, template.body_line)))
    if not unfit:
        for text in texts:
            yield from _check_source(project, text, values)
    for attachment in template.attachments:
        yield from _check_template(project, attachment, values)


def _front_texts(template: Template) -> Iterator[_Text]:
    for key, source in template.front.items():
        first = template.places[key].line
        last = min(first + MOST_FRONT_LINES, template.body_line - 1)

        def place(line: int, first: int = first, last: int = last) -> tuple[str, int, int | None]:
            return template.path, first + line - 1, last

        yield _Text(source, place)


def _text(source: Source, *, put_together: bool = False) -> _Text:
    return _Text(source.text, lambda line: (*source.place(line), None), put_together=put_together)


def _unfit_characters(project: Project, template: Template) -> Iterator[Problem]:
    """Characters that may stand in no template, in its file and in those that are put into it."""
    for path in dict.fromkeys((template.path, *(part.path for part in template.parts))):
        text = project.files[path].removeprefix("\ufeff")
        control = _CONTROL.search(text)
        if control:
            message = f"The character U+{ord(control[0]):04X} may not stand in a template."
            span = text_in_lines(path, text, text.count("\n", 0, control.start()) + 1, re.escape(control[0]))
            yield Problem(code="template/character", message=message, span=span, hint="Remove it.")


def _values(project: Project, journey: str) -> Mapping[str, ValueType] | None:
    """What templates of the journey may read; None where the journey could not be built."""
    made = project.journeys.get(journey)
    if made is None:
        return None
    links = [link.name for link in made.links]
    return template_values(
        project.catalog, trigger_properties(made, project.catalog), run_values(made), links
    )


def _check_source(project: Project, text: _Text, values: Mapping[str, ValueType] | None) -> Iterator[Problem]:
    @cache
    def place(inner: int, pattern: str) -> Span:
        file, line, last = text.place(inner)
        return text_in_lines(file, project.files[file].removeprefix("\ufeff"), line, pattern, last)

    source = text.source
    tree = template_tree(source)
    if isinstance(tree, TemplateSyntaxError):
        yield _syntax_problem(tree, source, place, 1 if text.put_together else 0)
        return
    if tree is None:
        message = "This template is nested too deeply."
        yield Problem(code="template/syntax", message=message, span=place(1, r"\S+"))
        return
    if values is None:
        return
    try:
        misread = list(misreadings(tree, values, project.catalog.unreadable))
    except RecursionError:
        message = "This template is nested too deeply."
        yield Problem(code="template/syntax", message=message, span=place(1, r"\S+"))
        return
    if not misread:
        yield from _uncompiled(source, place)
    nth = ordinals(tree, text.place) if misread else {}
    # Of one thing that is wrong several times on a line, the first is marked.
    for found in dict.fromkeys(misread):
        file, line, last = text.place(found.line)
        written = project.files[file].removeprefix("\ufeff")
        span = word_in_lines(file, written, line, found.word, nth.get(id(found.node), 0), last)
        yield Problem(code=found.code, message=found.message, span=span, hint=found.hint)


def _uncompiled(source: str, place: Callable[[int, str], Span]) -> Iterator[Problem]:
    """What Jinja makes of the text is Python, which has limits of its own: of blocks within one another, of numbers."""
    try:
        compiled(source, html=True)
    except TemplateSyntaxError as error:
        yield _syntax_problem(error, source, place, 0)
    except (SyntaxError, RecursionError, MemoryError):
        message = "This template is nested too deeply."
        yield Problem(code="template/syntax", message=message, span=place(1, r"\S+"))
    except (NameError, ValueError, ArithmeticError):
        message = "A number in this template is too large."
        yield Problem(code="template/syntax", message=message, span=place(1, r"\S+"))


def _syntax_problem(
    error: TemplateSyntaxError, source: str, place: Callable[[int, str], Span], below: int
) -> Problem:
    """Jinja says where it gave up; what was never closed stands before that. ``below``: how many lines after its
    bracket a tag's first word stands."""
    said = str(error.message or "this is no template")
    read = "\n".join(source.split("\n")[: error.lineno])
    opened = max(read.rfind("{{"), read.rfind("{%") if "end of statement" in said else -1)
    if (
        said.startswith("expected token 'end of")
        and opened >= 0
        and "}" not in read[opened + 2 :].split("{%")[0]
    ):
        bracket = read[opened : opened + 2]
        span = place(read.count("\n", 0, opened) + 1 + below, re.escape(bracket) + ".*")
        return Problem(code="template/syntax", message=f"This `{bracket}` is never closed.", span=span)
    message, hint, mark = _in_plain_words(said)
    opener = left_open(source) if said.startswith("Unexpected end of template") else None
    if opener is not None:
        line, tag = opener
        begins = rf"\{{%[-+]?\s*{re.escape(tag.splitlines()[0])}"
        mark = rf"{begins}(?!.*{begins}).*?(?:%\}}|$)"
        return Problem(code="template/syntax", message=message, span=place(line + below, mark), hint=hint)
    return Problem(code="template/syntax", message=message, span=place(error.lineno, mark), hint=hint)


def _in_plain_words(said: str) -> tuple[str, str | None, str]:
    """What Jinja says of tags, as an author would, anything else as it is; a hint; and what to mark on the line."""
    innermost = re.search(r"innermost block that needs to be closed is '(\w+)'", said)
    unknown = re.match(r"Encountered unknown tag '(\w+)'", said)
    beyond = re.fullmatch(r"expected token 'end of (?:print statement|statement block)', got '(.+)'", said)
    tag = innermost[1] if innermost else ""
    if unknown:
        hint = f"What is open here is `{tag}`: close it by {{% end{tag} %}}." if tag else None
        mark = rf"\{{%[-+]?\s*{unknown[1]}\b.*?(?:%\}}|$)"
        return f"There is no tag `{unknown[1]}`, or it may not stand here.", hint, mark
    if tag:
        return (
            f"A `{{% {tag} %}}` is never closed.",
            f"Write {{% end{tag} %}} where it shall end.",
            _BRACKET,
        )
    if beyond and beyond[1] == "=":
        return "`=` does not compare.", "Write `==`.", _ASSIGNED
    if beyond:
        hint = "A text stands in quotes, and no name has a space in it."
        mark = rf"\{{[{{%](?:(?![%}}]\}}).)*?(?<!\w){re.escape(beyond[1])}"
        return f"`{beyond[1]}` may not stand here: the tag should end before it.", hint, mark
    return sentence(said), None, _BRACKET
