"""Values of the front matter without any Jinja, of which no message could be made."""

from __future__ import annotations

from collections.abc import Iterator

from runner.engine.mailbox import mailbox, marked
from runner.journey.header_text import header_trouble
from runner.journey.template import Template
from runner.problem import Problem

_ADDRESSES = frozenset({"from", "reply_to"})


def unfit_headers(template: Template) -> Iterator[Problem]:
    """What is wrong with the headers of ``template`` whoever its reader is."""
    for key, text in template.front.items():
        if "{{" in text or "{%" in text or "{#" in text or not text.strip():
            continue
        trouble = header_trouble(text.strip())
        if trouble is None and key in _ADDRESSES and mailbox(source := marked(text), source) is None:
            trouble = "is one plain address, or `Name <address>`; this is none"
        if trouble is not None:
            yield Problem(code="template/header", message=f"`{key}` {trouble}.", span=template.places[key])
