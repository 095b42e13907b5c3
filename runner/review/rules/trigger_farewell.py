"""A journey that begins when somebody has had enough (unsubscribed, complained, closed the account) and then writes to
them.

Messages that need no consent are left alone: they confirm what was done.

Passes:

    # journeys/catalog.yaml
    events: {Account Closed: {}}
    topics:
      orders: {title: Your orders, opt_in: none}
    channels:
      email: {sender: {name: Shop, address: hello@shop.example}}
    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: Confirm that the account is closed
    topic: orders
    trigger: {event: Account Closed}
    steps:
      - {id: nudge, send: email}

Fails:

    # journeys/demo/journey.yaml
    journey: demo
    language: 1
    title: Come back
    topic: news
    trigger: {consent: news, change: withdrawn}
    steps:
      - {id: pause, wait: 1d}
      - {id: hello, send: email}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.journey.catalog import CONSENT_WITHDRAWN, MESSAGE_BOUNCED
from runner.journey.graph import walk
from runner.journey.model import ConsentTrigger, EventTrigger, Journey, Send, Trigger
from runner.journey.model.triggers import ConsentChange
from runner.journey.project import Project, journey_path
from runner.problem import Problem, Severity
from runner.review.places import text_in_tree

_FAREWELL = re.compile(
    r"unsubscri|\bopt(ed)?[\s_-]*out|complain|\bspam|\bdeceased|\bdied"
    r"|\b(account|profile|user|contact|customer)[\s_-]+(was[\s_-]+)?(deleted|closed|removed|erased)",
    re.IGNORECASE,
)
"""Names of events by which people leave for good, as tracking plans call them."""


def check(project: Project) -> Iterator[Problem]:
    for name, journey in project.journeys.items():
        send = _marketing(project, journey)
        for trigger in journey.triggers if send else ():
            said = _farewell(trigger)
            if said is not None and send is not None:
                event, word = said
                yield Problem(
                    code="trigger/farewell",
                    message=f"`{send}` is sent to people who {event}.",
                    span=text_in_tree(project.trees[journey_path(name)], rf"^{re.escape(word)}$")
                    or journey.span,
                    hint="Let the event be an `exit` of other journeys; confirm it with a topic that needs no consent.",
                    severity=Severity.WARNING,
                )


def _farewell(trigger: Trigger) -> tuple[str, str] | None:
    """What people have just done, and the word of the file that says so."""
    if isinstance(trigger, ConsentTrigger) and trigger.change is ConsentChange.WITHDRAWN:
        return f"have just withdrawn their consent to `{trigger.topic}`", "withdrawn"
    if isinstance(trigger, EventTrigger):
        name = trigger.event
        if name in (CONSENT_WITHDRAWN, MESSAGE_BOUNCED) or _FAREWELL.search(name):
            return f"leave with the event `{name}`", name
    return None


def _marketing(project: Project, journey: Journey) -> str | None:
    """The first step that sends what needs consent."""
    topics = project.catalog.topics
    for step in walk(journey.steps):
        if isinstance(step.verb, Send) and not topics[step.verb.topic].transactional:
            return step.id
    return None
