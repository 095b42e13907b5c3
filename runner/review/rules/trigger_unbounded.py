"""An event that nothing filters, and that lets a contact in again and again, writes to them as often as it happens:
the number of messages in a year has no bound.

Nothing is said where something bounds it: a ``where``, a time between entries (``reentry: 30d``), a day or more before
the message or before the next entry, a condition or a date on the way to it, a frequency cap of the catalog. Messages
that need no consent, receipts say, may come with every event.

Passes:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: Thanks for an order
    topic: news
    trigger: {event: Order Completed, where: event.revenue > 100}
    entry: {reentry: always}
    steps:
      - {id: hello, send: email}

Fails:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: Thanks for an order
    topic: news
    trigger: {event: Order Completed}
    entry: {reentry: always}
    steps:
      - {id: hello, send: email}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.journey.duration import DAY, Duration
from runner.journey.graph import Node, Program, compile_program
from runner.journey.model import Again, Entry, EventTrigger, Journey, Reentry, Send
from runner.journey.project import Project, journey_path
from runner.problem import Problem, Severity
from runner.review.places import text_in_tree
from runner.review.promptness import least_time_to_end, unasked_sends


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        events = [
            each.event for each in journey.triggers if isinstance(each, EventTrigger) and each.where is None
        ]
        if not events or not _lets_in_again(journey.entry):
            continue
        node = _unbounded(project, journey)
        if node is None:
            continue
        per = journey.entry.per
        each = f"`{events[0]}`" if per is None else f"`{events[0]}` with another `{per.source}`"
        yield Problem(
            code="trigger/unbounded",
            message=f"A contact gets `{node.step.id}` for every {each}, however many there are.",
            span=text_in_tree(project.trees[journey_path(name)], rf"^{re.escape(events[0])}$")
            or journey.span,
            hint="Add a `where`, a time between entries (`entry: {reentry: 30d}`), or a frequency cap in catalog.yaml.",
            severity=Severity.WARNING,
        )


def _lets_in_again(entry: Entry) -> bool:
    if isinstance(entry.reentry, Duration):
        return False
    return entry.per is not None or entry.reentry is Reentry.ALWAYS


def _unbounded(project: Project, journey: Journey) -> Node | None:
    """The first step that sends as often as runs begin, within a day."""
    program = compile_program(journey)
    for node, time in unasked_sends(program):
        assert isinstance(node.verb, Send)
        if not _is_capped(project, node.verb) and time + _until_next(program, journey.entry, node) < DAY:
            return node
    return None


def _until_next(program: Program, entry: Entry, node: Node) -> int:
    """The least time from a message until the contact may enter again; a day where that hangs on something."""
    if entry.per is not None or entry.again is not Again.IGNORE:
        return 0
    rest = least_time_to_end(program, node)
    return DAY if rest is None else rest


def _is_capped(project: Project, send: Send) -> bool:
    """Whether a policy bounds how often messages of the step are sent, or none need to."""
    topic = project.catalog.topics.get(send.topic)
    return (topic is not None and topic.transactional) or any(
        cap.channel in (None, send.channel) and cap.topic in (None, send.topic)
        for cap in project.catalog.policies.caps
    )
