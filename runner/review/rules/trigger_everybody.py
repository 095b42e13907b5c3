"""A schedule without an audience takes everybody in, at every firing.

Whoever means everybody says so: ``audience: consented("news", "email")`` names those who are written to, and nobody
else enters. Nothing is said where every way to a message leads through a condition or a branch, nor of messages that
need no consent.

Passes:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: News of the week
    topic: news
    trigger: {schedule: "0 9 * * MON", audience: 'consented("news", "email")'}
    steps:
      - {id: hello, send: email}

Fails:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: News of the week
    topic: news
    trigger: {schedule: "0 9 * * MON"}
    steps:
      - {id: hello, send: email}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.expression import tree
from runner.journey.graph import compile_program
from runner.journey.model import Journey, Send
from runner.journey.model.timed import ScheduleTrigger
from runner.journey.project import Project, journey_path
from runner.journey.yaml import Fields, Value
from runner.problem import Problem, Severity, Span
from runner.review.promptness import unasked_sends


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        if not any(_takes_everybody(trigger) for trigger in journey.triggers):
            continue
        send = _sends_to_all(project, journey)
        if send is not None:
            yield Problem(
                code="trigger/everybody",
                message="Every contact enters at every firing: the schedule names no audience.",
                span=_place(project.trees[journey_path(name)]) or journey.span,
                hint=f'Say who is meant: `audience: consented("{send.topic}", "{send.channel}")`, say.',
                severity=Severity.WARNING,
            )


def _takes_everybody(trigger: object) -> bool:
    if not isinstance(trigger, ScheduleTrigger):
        return False
    audience = trigger.audience
    return audience is None or (isinstance(audience.tree, tree.Literal) and audience.tree.value is True)


def _sends_to_all(project: Project, journey: Journey) -> Send | None:
    for node, _ in unasked_sends(compile_program(journey)):
        assert isinstance(node.verb, Send)
        topic = project.catalog.topics.get(node.verb.topic)
        if topic is not None and not topic.transactional:
            return node.verb
    return None


def _place(root: Value) -> Span | None:
    """Where the schedule stands: of several triggers, the first one."""
    trigger = root.get("trigger") if isinstance(root, Fields) else None
    for form in (trigger, *getattr(trigger, "items", ())):
        schedule = form.get("schedule") if isinstance(form, Fields) else None
        if schedule is not None:
            return schedule.span
    return None
