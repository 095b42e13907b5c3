"""A subject that prints an attribute says what stands there for contacts who have none.

A missing value prints as nothing: "Welcome, " goes out. What every contact has (id, email, locale, time zone)
needs no default, nor does what an ``if`` around it asks for.

Passes:

    # journeys/demo/hello.txt
    ---
    subject: Hello {{ contact.first_name|default("reader") }}
    ---
    Hello

Fails:

    # journeys/demo/hello.txt
    ---
    subject: Hello {{ contact.first_name }}
    ---
    Hello
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import nodes

from runner.journey.catalog import CONTACT_FIELDS
from runner.journey.project import Project
from runner.journey.template import Template
from runner.journey.template_tree import template_tree
from runner.journey.values import Kind
from runner.problem import Problem, Severity
from runner.review.places import text_in_lines
from runner.review.printed import bare, printed

_STANDS_IN = {Kind.STRING: "friend", Kind.DATE: "soon", Kind.DATETIME: "soon"}
"""What may stand in a subject instead of a value."""


def check(project: Project) -> Iterator[Problem]:
    for templates in project.templates.values():
        for template in templates:
            if "subject" in template.front:
                yield from _check_subject(project, template)


def _check_subject(project: Project, template: Template) -> Iterator[Problem]:
    tree = template_tree(template.front["subject"])
    if not isinstance(tree, nodes.Template):
        return
    body = tree.body
    line = template.places["subject"].line
    filtered = {
        name for each in body for node in each.find_all(nodes.Filter) if (name := printed(node, "contact"))
    }
    for name in dict.fromkeys(bare(body, "contact", frozenset(CONTACT_FIELDS))):
        if name not in project.catalog.attributes:
            continue
        text = project.files[template.path].removeprefix("\ufeff")
        pattern = rf"contact\s*\.\s*{re.escape(name)}\b"
        yield Problem(
            code="template/subject-default",
            message=f"The subject prints nothing for contacts without `{name}`.",
            span=text_in_lines(template.path, text, line, pattern, template.body_line - 1),
            hint=_hint(name, project.catalog.attributes[name].type.kind, filtered=name in filtered),
            severity=Severity.WARNING,
        )


def _hint(name: str, kind: Kind, *, filtered: bool) -> str:
    """What to write. Filters are for the type of the value, and make an empty text of nothing: a text that stands
    in for it can come neither before them nor after."""
    if filtered or kind is not Kind.STRING:
        return (
            f"Put {{% if contact.{name} %}}…{{% else %}}{_STANDS_IN.get(kind, 'some')}{{% endif %}} around it, "
            "or whatever shall stand there."
        )
    return f"Write contact.{name}|default('friend'), or whatever shall stand there."
