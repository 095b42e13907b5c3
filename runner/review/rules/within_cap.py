"""A way through the journey on which a message comes so soon after others that a frequency cap surely drops it.

What counts is the longest that each wait may take, a wait for an event up to its time-out; other journeys may fill a
cap sooner.

Passes:

    # journeys/catalog.yaml
    policies: {frequency_cap: [{max: 1, per: 1d}]}
    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
      - {id: pause, wait: 2d}
      - {id: again, send: {channel: email, template: hello}}

Fails:

    # journeys/catalog.yaml
    policies: {frequency_cap: [{max: 1, per: 1d}]}
    # journeys/demo/journey.yaml
    steps:
      - {id: hello, send: email}
      - {id: pause, wait: 6h}
      - {id: again, send: {channel: email, template: hello}}
"""

from __future__ import annotations

from collections.abc import Iterator

from runner.journey.duration import DAY, MICROSECONDS
from runner.journey.graph import compile_program, walk
from runner.journey.model import Send
from runner.journey.policies import Cap, Over
from runner.journey.project import Project
from runner.journey.send_rules import SendRules
from runner.journey.words import listed
from runner.problem import Problem, Severity
from runner.review.places import value_span
from runner.review.proof.longest import Crowded, crowded


def check(project: Project) -> Iterator[Problem]:
    policies = project.catalog.policies
    if all(cap.over is Over.DEFER for cap in policies.caps):
        return
    rules = SendRules(topics=project.catalog.topics, policies=policies)
    for name, journey in project.journeys.items():
        if sum(isinstance(step.verb, Send) for step in walk(journey.steps)) < 2:
            continue
        for found in crowded(compile_program(journey), rules):
            yield Problem(
                code="send/within-cap",
                message=_message(found),
                span=value_span(project, name, found.last.step.id, "send"),
                hint="Let more time pass between them, raise `max`, or let the cap make it wait: `over: defer`.",
                severity=Severity.WARNING,
            )


def _message(found: Crowded) -> str:
    before, several = listed(found.steps, "and"), len(found.steps) > 1
    if not found.apart:
        when = "leave at the same instant" if several else "leaves at the same instant"
    else:
        length = _length(found.apart)
        when = f"leave in the {length} before it" if several else f"leaves {length} before it at most"
    return f"`{found.last.step.id}` is dropped by the cap of {_told(found.cap)}: {before} {when}."


def _told(cap: Cap) -> str:
    of = f" by {cap.channel}" if cap.channel else ""
    about = f" about {cap.topic}" if cap.topic else ""
    return f"{cap.most} in {_length(cap.per.elapsed)}{of}{about}"


def _length(microseconds: int) -> str:
    """A length of time as authors write it: 1d6h."""
    parts = []
    for unit, size in (("d", DAY), *sorted(MICROSECONDS.items(), key=lambda item: -item[1])):
        count, microseconds = divmod(microseconds, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"
