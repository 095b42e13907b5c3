"""A mail that needs its reader's consent shows a way to take it back.

Looked for in the template, its layout and its snippets: a link of the journey that withdraws the consent,
``{{ links.NAME }}``, or an address of one's own that speaks of unsubscribing, opting out or preferences. Mail is what
channels with ``uses: smtp`` in the catalog carry, or with ``smtp:`` in the deployment's ``journeys.yaml``; and the
channel ``email``, whatever carries it yet, unless the catalog itself says ``uses: file``. Transactional mail needs
none.

Passes:

    # journeys/catalog.yaml
    attributes: {first_name: {type: string}}
    events: {Signed Up: {}}
    topics:
      news: {title: News, opt_in: explicit}
    channels:
      email: {uses: smtp, sender: {name: Shop, address: hello@shop.example}}
    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello {{ contact.first_name|default("there") }}

    No more of this: https://shop.example/unsubscribe

Fails:

    # journeys/catalog.yaml
    attributes: {first_name: {type: string}}
    events: {Signed Up: {}}
    topics:
      news: {title: News, opt_in: explicit}
    channels:
      email: {sender: {name: Shop, address: hello@shop.example}}
    # journeys/demo/hello.txt
    ---
    subject: Hello
    ---
    Hello {{ contact.first_name|default("there") }}
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.journey.graph import steps_with
from runner.journey.model import ChangeConsent, Journey, Send
from runner.journey.project import Project
from runner.journey.template import Template
from runner.journey.template_pieces import TemplateTrouble
from runner.journey.words import listed
from runner.problem import Problem, Severity
from runner.review.places import value_span

_OWN_PAGE = re.compile(r"unsubscri|opt[-_]?out|preferences", re.IGNORECASE)


def check(project: Project) -> Iterator[Problem]:
    mails = {name for name in project.catalog.channels if _is_mail(project, name)}
    for name, journey in project.journeys.items() if mails else ():
        for step, send in steps_with(journey, Send):
            if send.channel not in mails or project.catalog.topics[send.topic].transactional:
                continue
            way_out = _way_out(journey, send.topic)
            sent = (each for each in project.templates[name] if send.sends(each.name))
            without = sorted(each.path for each in sent if not _shows(each, way_out))
            if without:
                yield Problem(
                    code="send/no-unsubscribe",
                    message=f"{_named(without)} no way to unsubscribe from `{send.topic}`.",
                    span=value_span(project, name, step.id, "send"),
                    hint="Write the address of your own page for it there, or that of a link of the journey with "
                    f"`consent: {{withdraw: {send.topic}}}`.",
                    severity=Severity.WARNING,
                )


def _is_mail(project: Project, channel: str) -> bool:
    """Whether mails leave by the channel, or will: until a mail server is set, they are written to files."""
    return project.uses(channel, "smtp") or (
        channel == "email" and not project.catalog.channels[channel].uses_said
    )


def _way_out(journey: Journey, topic: str) -> re.Pattern[str]:
    """What a template has in it whose reader can take their consent back."""
    names = [
        link.name
        for link in journey.links
        if isinstance(link.action, ChangeConsent) and not link.action.given and link.action.topic == topic
    ]
    if not names:
        return _OWN_PAGE
    links = rf"links\s*(?:\.\s*|\[\s*['\"])(?:{'|'.join(map(re.escape, names))})\b"
    return re.compile(f"{_OWN_PAGE.pattern}|{links}", re.IGNORECASE)


def _shows(template: Template, way_out: re.Pattern[str]) -> bool:
    try:
        return way_out.search(template.source.text) is not None
    except TemplateTrouble:
        return True  # it cannot be put together, which is told where that is


def _named(paths: list[str]) -> str:
    names = listed((path.rsplit("/", 1)[-1] for path in paths), "and", 4)
    return f"{names} {'shows' if len(paths) == 1 else 'show'}"
