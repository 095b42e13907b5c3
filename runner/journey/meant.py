"""What hurried authors write, and what they meant by it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from runner.journey.duration import parse_duration

_INSTEAD: Mapping[tuple[str, str], str] = {
    ("a case", "if"): "when",
    ("a case", "then"): "steps",
    ("a condition", "when"): "if",
    ("a condition", "then"): "else",
    ("a wait", "if"): "when",
    ("a wait", "timeout_after"): "up_to",
    ("a send", "fallback"): "if_blocked",
}
"""Where, and the key that was written → the one that says it there."""
_OF_SEND = "It belongs to the message: `send: {{channel: …, {}: …}}`."
_HINTS: Mapping[tuple[str, str], str] = {
    **{
        ("a step", key): _OF_SEND.format(key)
        for key in ("template", "topic", "window", "valid_for", "only_if", "channel", "priority", "rate")
    },
    **{
        (what, key): "It stands in the template's first lines, between two lines of `---`."
        for what in ("a step", "a send")
        for key in ("subject", "preheader")
    },
    (
        "a journey",
        "locale",
    ): "A message is in its reader's language: write `hello.de.html` beside `hello.html`.",
    ("a step", "steps"): "They belong to a case of the branch: indent them as far as its `when`.",
    ("a step", "if"): "Write a step `condition` before this one, or put it into a case of a `branch`.",
    ("a step", "when"): "Write a step `condition` before this one, or put it into a case of a `branch`.",
    ("a step", "then"): "Steps that follow stand below; those of a wait belong inside `wait`.",
    ("a step", "timeout"): "It belongs to the wait: `wait: {event: …, up_to: 3d, timeout: […]}`.",
    ("a step", "up_to"): "It belongs to the wait: `wait: {event: …, up_to: 3d}`.",
}
_TO_WAIT = frozenset({"delay", "sleep", "pause"})
_MISSING: Mapping[str, str] = {
    "up_to": "Add how long it may take: `up_to: 3d`.",
    "language": "Add the line `language: 1`.",
}
"""What to write for a key that is missing."""
_WRITTEN: Mapping[str, str] = {
    "goal": "Write `goal: {{event: {}}}`.",
    "sender": "Write `sender: {{name: {}, address: …}}`; an SMS comes from what its provider has.",
}
_DATED = re.compile(r"(?P<date>contact\.\w+)(?:\s*(?P<sign>[+-])\s*(?P<length>\d+[wdhms]))?")
"""A date of the contact, and perhaps so long before or after it."""
_PAST = "`continue` goes on with the step below, `{goto: ID}` with another."
_CONSENT = "`explicit`: the contact has said yes; `none`: sent without consent, such as an invoice."
_CRON = 'A date comes back each year; what comes back sooner is a schedule: `{{schedule: "{}", timezone: contact}}`.'
_ALLOWED: Mapping[tuple[str, str], str] = {
    **{("opt_in", word): _CONSENT for word in ("yes", "no", "true", "false", "required", "single")},
    ("every", "month"): _CRON.format("0 9 1 * *"),
    ("every", "week"): _CRON.format("0 9 * * MON"),
    ("every", "day"): _CRON.format("0 9 * * *"),
}
"""The key, and the value that was written → what is allowed instead."""


def key_meant(what: str, key: str) -> str | None:
    """The key that says in ``what`` (``a case``) what its author put under ``key``."""
    return _INSTEAD.get((what, key))


def key_hint(what: str, key: str, value: object = None, *, alone: bool = False) -> str | None:
    """Where what was written as ``key`` of ``what`` belongs; ``value`` is what it was given, and ``alone`` whether
    nothing else there says what ``what`` does."""
    if what == "a step" and key in _TO_WAIT:
        length = value if isinstance(value, str) and parse_duration(value) else "2h"
        return (
            f"Write `wait: {length}`."
            if alone
            else f"Write a step of its own before this one: `wait: {length}`."
        )
    instead = key_meant(what, key)
    return f"Did you mean `{instead}`?" if instead else _HINTS.get((what, key))


def missing_hint(key: str) -> str | None:
    """What to write where ``key`` is missing."""
    return _MISSING.get(key)


def value_hint(key: str | None, value: object, expected: str) -> str | None:
    """How a value is written that was given as another type."""
    if "a time of day" in expected and isinstance(value, int) and 0 <= value < 24:
        return f'Write "{value:02}:00", in quotes.'
    if isinstance(value, Mapping) and len(value) == 1 and key == "if_blocked":
        return "Its steps stand directly below it: `if_blocked: [{id: …, send: sms}]`."
    if isinstance(value, bool) and (key, str(value).lower()) in _ALLOWED:
        return allowed_hint(key, str(value).lower(), ())
    if expected == "a percentage" and isinstance(value, int) and not isinstance(value, bool):
        return f"Write {value}%."
    share = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value) if isinstance(value, str) else None
    if share and "number" in expected:
        return f"Write {share[1]}, without the sign."
    dated = _DATED.fullmatch(value) if isinstance(value, str) and key == "trigger" else None
    if dated:
        offset = f", offset: {dated['sign'].replace('+', '')}{dated['length']}" if dated["length"] else ""
        return f"Write `trigger: {{date: {dated['date']}{offset}}}`."
    if key is not None and isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w -]{0,60}", value):
        if key == "exit":
            return f"Write `exit: [{{event: {value}, reason: {id_meant(value)}}}]`."
        if key in _WRITTEN:
            return _WRITTEN[key].format(value)
    return None


def allowed_hint(key: str | None, value: str, allowed: Collection[str]) -> str | None:
    """What to write for a value of ``key`` that is none of those that are ``allowed``."""
    if key in ("if_past", "if_missing") and "continue" in allowed:
        return _PAST
    return _ALLOWED.get((key or "", value))


def id_meant(text: str) -> str | None:
    """The id that a text comes nearest to: ``Hello World`` is ``hello-world``."""
    made = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:64]
    return made if made[:1].isalpha() else None
