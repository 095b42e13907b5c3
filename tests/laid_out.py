"""A journey whose mail is put together from a layout, a snippet and MJML, and what is said of its templates."""

from __future__ import annotations

from typing import Any

from runner.engine.render import Content, render
from runner.journey.project import Project, load_project
from runner.review.check import check_files
from tests.rendered import ANA, ENTERED, TRIGGER
from tests.shop import FILES

BRAND = """<mjml>
<mj-head>
  <mj-title>{{ contact.first_name }} — brand</mj-title>
  <mj-attributes><mj-text font-family="Arial"/></mj-attributes>
</mj-head>
<mj-body>
  {# a remark #}
  {% if contact.vip %}
  <mj-section background-color="{{ trigger.plan }}"><mj-column><mj-text>VIP</mj-text></mj-column></mj-section>
  {% endif %}
  {{ content }}
  {% include "snippets/footer.mjml" %}
</mj-body>
</mjml>
"""

FOOTER = """<mj-section><mj-column>
  <mj-text>Bye, {{ contact.first_name }}
    {{ contact.points
       |number(2) }}</mj-text>
</mj-column></mj-section>
"""

BODY = """---
subject: Hi
layout: brand
preheader: pre
---
<mj-section>
  <mj-column>
    {% for item in trigger.items %}
    <mj-text>Hi <b>{{ item.sku }}</b> {{ loop.index }} &amp; <a href="https://x.example/?a={{ item.sku }}&amp;b=1"
      {% if loop.first %}class="first"{% endif %}>go</a></mj-text>
    {% endfor %}
    <mj-table>{% for item in trigger.items %}<tr><td>{{ item.sku }}</td></tr>{% endfor %}</mj-table>
    <mj-social mode="horizontal">
      {% if contact.vip %}<mj-social-element src="https://x.example/x">X</mj-social-element>{% endif %}
    </mj-social>
  </mj-column>
</mj-section>
"""

LAID_OUT = {
    "journeys/greet/hello.mjml": BODY,
    "journeys/layouts/brand.mjml": BRAND,
    "journeys/snippets/footer.mjml": FOOTER,
}


def files_of(templates: dict[str, str]) -> dict[str, str]:
    base = {name: text for name, text in FILES.items() if not name.startswith("journeys/greet/hello")}
    return {**base, **templates}


def project_of(templates: dict[str, str]) -> Project:
    project = load_project(files_of(templates))
    assert not project.problems, project.problems
    return project


def content(templates: dict[str, str], *, recipient: Any = ANA, trigger: Any = TRIGGER) -> Content:
    project = project_of(templates)
    return render(
        project.journeys["greet"],
        project.catalog,
        project.templates["greet"],
        "hello",
        recipient=recipient,
        trigger=trigger,
        data={},
        entered_at=ENTERED,
    )


def found(templates: dict[str, str]) -> set[tuple[str, str, int]]:
    """The codes, files and lines of what ``check`` finds."""
    problems = check_files(files_of(templates)).problems
    return {
        (each.code, each.span.file.removeprefix("journeys/"), each.span.line)
        for each in problems
        if each.code.startswith("template/")
    }
