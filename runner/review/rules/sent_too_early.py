"""``sent("x")`` is false as long as no run has come to the step ``x``: asked before it, it says nothing; nor do
``opened("x")``, ``clicked("x")`` and ``replied("x")``.

Exits and goals may ask for any step: they are read at any time.

Passes:

    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
      - {id: gate, condition: 'sent("hello")'}

Fails:

    # journeys/demo/journey.yaml
    steps:
      - {id: gate, condition: 'sent("hello")'}
      - {id: hello, send: email}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.graph import walk
from runner.journey.model import (
    Branch,
    Condition,
    Step,
    Update,
    UpToDate,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitUntil,
    WaitWhen,
)
from runner.journey.project import Project
from runner.problem import Problem
from runner.review.places import text_in_step, value_span


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        before: set[str] = set()
        for step in walk(journey.steps):
            asked = {send for expression in expressions(step) for send in expression.reads.sends}
            for send in sorted(asked - before):
                pattern = rf"(sent|opened|clicked|replied)\(\s*[\"']{re.escape(send)}[\"']\s*\)?"
                yield Problem(
                    code="sent/too-early",
                    message=f"`{send}` has not been sent when a run comes here: this is always false.",
                    span=text_in_step(project, name, step.id, pattern) or value_span(project, name, step.id),
                    hint="Ask for a step that stands before this one.",
                )
            before.add(step.id)


def expressions(step: Step) -> Iterator[Expression]:
    """The expressions of the step itself, which are read when a run comes to it."""
    match step.verb:
        case Condition(test=test):
            yield test
        case Branch(cases=cases):
            yield from (case.when for case in cases if case.when)
        case WaitUntil(date=date):
            yield date
        case WaitEvent(where=where, up_to=up_to):
            yield from _given(where, _date(up_to))
        case WaitWhen(when=when, up_to=up_to):
            yield from _given(when, _date(up_to))
        case WaitAny(options=options, up_to=up_to):
            for option in options:
                yield from _given(option.where, option.when)
            yield from _given(_date(up_to))
        case WaitCollect(where=where):
            yield from _given(where)
        case Update(attributes=attributes, values=values):
            yield from (written for _, written in (*attributes, *values))


def _given(*expressions: Expression | None) -> Iterator[Expression]:
    return (expression for expression in expressions if expression is not None)


def _date(up_to: Duration | UpToDate) -> Expression | None:
    return up_to.date if isinstance(up_to, UpToDate) else None
