"""A mail needs a subject, in every language; it stands in the front matter of the HTML or the text.

Passes:

    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello

Fails:

    # journeys/demo/hello.txt
    Hello

Fails:

    # journeys/demo/hello.html
    ---
    subject: Hello
    ---
    <p>Hello</p>
    # journeys/demo/hello.txt
    ---
    subject: Hello there
    ---
    Hello
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.graph import walk
from runner.journey.model import Send
from runner.journey.project import Project
from runner.journey.template import Template
from runner.problem import Problem, Severity, Span
from runner.review.rules.missing_template import is_mail


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        sends = [step.verb for step in walk(journey.steps) if isinstance(step.verb, Send)]
        mails = [send for send in sends if is_mail(project, send.channel)]
        variants: dict[tuple[str, str | None], list[Template]] = {}
        for template in project.templates[name]:
            if any(send.sends(template.name) for send in mails):
                variants.setdefault((template.name, template.locale), []).append(template)
        unread = {problem.span.file for problem in project.problems if problem.code.startswith("yaml/")}
        for parts in variants.values():
            # A subject may stand in front matter that cannot be read, which is told.
            if not any(template.path in unread for template in parts):
                yield from _check_parts(parts)


def _check_parts(parts: list[Template]) -> Iterator[Problem]:
    """The HTML and the text of one mail in one language."""
    subjects = [template for template in parts if template.front.get("subject", "").strip()]
    if not subjects:
        yield Problem(
            code="template/no-subject",
            message="This mail has no subject.",
            span=Span(parts[0].path, 1, 1),
            hint="Begin the file with three lines: `---`, `subject: …`, `---`.",
        )
    elif len({template.front["subject"] for template in subjects}) > 1:
        first, second = subjects[0], subjects[1]
        yield Problem(
            code="template/two-subjects",
            message=f"The subject differs from the one of {first.path.rsplit('/', 1)[-1]}, which is used.",
            span=second.places["subject"],
            hint="Keep one of them.",
            severity=Severity.WARNING,
        )
