"""A send window that lies wholly inside the quiet hours of its channel: no message ever leaves in it.

Passes:

    # journeys/catalog.yaml
    policies: {quiet_hours: {from: "21:00", to: "08:00"}}
    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: {channel: email, window: {from: "07:00", to: "09:00"}}}

Fails:

    # journeys/catalog.yaml
    policies: {quiet_hours: {from: "21:00", to: "08:00"}}
    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: {channel: email, window: {from: "06:00", to: "07:30"}}}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.graph import steps_with
from runner.journey.model import Send, Window
from runner.journey.project import Project
from runner.journey.send_rules import SendRules
from runner.problem import Problem
from runner.review.places import value_span
from runner.review.proof.longest import is_quiet


def check(project: Project) -> Iterator[Problem]:
    policies = project.catalog.policies
    if policies.quiet_hours is None:
        return
    rules = SendRules(topics=project.catalog.topics, policies=policies)
    for name, journey in project.journeys.items():
        for step, send in steps_with(journey, Send):
            if not isinstance(send.window, Window):
                continue
            quiet = rules.quiet_hours(send)
            if quiet is None or not is_quiet(quiet, send.window.begins, send.window.ends):
                continue
            yield Problem(
                code="send/window-in-quiet-hours",
                message=f"No message leaves in this window: from {quiet.begins:%H:%M} to {quiet.ends:%H:%M} nobody is"
                f" disturbed by {send.channel}.",
                span=value_span(project, name, step.id, "send", "window"),
                hint="Choose one that reaches out of the quiet hours; a receipt may say `ignore_quiet_hours: true`.",
            )
