"""A template that no step sends is a leftover, or its name is misspelt.

Passes:

    # journeys/demo/hello.ka.txt
    ---
    subject: გამარჯობა
    ---
    გამარჯობა

Fails:

    # journeys/demo/helo.txt
    ---
    subject: Hello
    ---
    Hello
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.graph import walk
from runner.journey.model import Send
from runner.journey.project import Project
from runner.journey.words import did_you_mean
from runner.problem import Problem, Severity, Span


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        sends = [step.verb for step in walk(journey.steps) if isinstance(step.verb, Send)]
        sent = {send.template for send in sends if send.sends(send.template)}
        for template in project.templates[name]:
            if not any(send.sends(template.name) for send in sends):
                yield Problem(
                    code="template/unused",
                    message=f"No step sends the template `{template.name}`.",
                    span=Span(template.path, 1, 1),
                    hint=did_you_mean(template.name, sent),
                    severity=Severity.WARNING,
                )
