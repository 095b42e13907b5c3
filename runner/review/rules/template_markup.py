"""A template's markup must compile: its MJML to HTML, the CSS of its HTML into the elements that it is for.

Passes:

    # journeys/demo/hello.mjml
    ---
    subject: Hello
    ---
    <mjml><mj-body><mj-section><mj-column>
    {% if contact.first_name %}<mj-text>Hello {{ contact.first_name }}</mj-text>{% endif %}
    </mj-column></mj-section></mj-body></mjml>

Fails:

    # journeys/demo/hello.mjml
    <mjml><mj-body><mj-section><mj-column>
    <mj-text>Hello
    </mj-column></mj-section></mj-body></mjml>

Fails:

    # journeys/demo/hello.html
    <style>td { color: red }</style>
    <td>Hello</td>
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.journey.builder.notes import sentence
from runner.journey.project import Project
from runner.journey.template import MARKUP, Template
from runner.journey.template_pieces import TemplateTrouble
from runner.problem import Problem
from runner.review.places import text_in_lines


def check(project: Project) -> Iterator[Problem]:
    for templates in project.templates.values():
        for template in templates:
            # What is put into others is compiled there.
            if template.extension in MARKUP and template.path not in project.included:
                yield from _check_template(project, template)


def _check_template(project: Project, template: Template) -> Iterator[Problem]:
    try:
        _ = template.compiled
    except TemplateTrouble as trouble:
        # The syntax, and what is missing, are told by others.
        if trouble.code in ("template/mjml", "template/css"):
            text = project.files[trouble.file].removeprefix("\ufeff")
            span = text_in_lines(trouble.file, text, trouble.line, re.escape(trouble.mark) or r"\S.*")
            yield Problem(code=trouble.code, message=sentence(str(trouble)), span=span)
