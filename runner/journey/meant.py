"""What hurried authors write, and what they meant by it."""

from __future__ import annotations

import re
from collections.abc import Mapping

_INSTEAD: Mapping[tuple[str, str], str] = {
    ("a case", "if"): "when",
    ("a case", "then"): "steps",
    ("a condition", "when"): "if",
    ("a condition", "then"): "else",
    ("a wait", "if"): "when",
    ("a wait", "timeout_after"): "up_to",
}
"""Where, and the key that was written → the one that says it there."""
_OF_SEND = "It belongs to the message: `send: {{channel: …, {}: …}}`."
_HINTS: Mapping[tuple[str, str], str] = {
    **{
        ("a step", key): _OF_SEND.format(key)
        for key in ("template", "topic", "window", "valid_for", "only_if", "channel", "priority", "rate")
    },
    ("a step", "subject"): "It stands at the top of the template, between two lines of `---`.",
    ("a step", "delay"): "Write a step of its own before this one: `wait: 2h`.",
    ("a step", "steps"): "They belong to a case of the branch: indent them as far as its `when`.",
    ("a step", "if"): "Write a step `condition` before this one, or put it into a case of a `branch`.",
    ("a step", "when"): "Write a step `condition` before this one, or put it into a case of a `branch`.",
    ("a step", "then"): "Steps that follow stand below; those of a wait belong inside `wait`.",
    ("a step", "timeout"): "It belongs to the wait: `wait: {event: …, up_to: 3d, timeout: […]}`.",
    ("a step", "up_to"): "It belongs to the wait: `wait: {event: …, up_to: 3d}`.",
}
_WRITTEN: Mapping[str, str] = {
    "exit": "Write `exit: [{{event: {}, reason: bought}}]`.",
    "goal": "Write `goal: {{event: {}}}`.",
}


def key_meant(what: str, key: str) -> str | None:
    """The key that says in ``what`` (``a case``) what its author put under ``key``."""
    return _INSTEAD.get((what, key))


def key_hint(what: str, key: str) -> str | None:
    """Where what was written as ``key`` of ``what`` belongs."""
    instead = key_meant(what, key)
    return f"Did you mean `{instead}`?" if instead else _HINTS.get((what, key))


def value_hint(key: str | None, value: object, expected: str) -> str | None:
    """How a value is written that was given as another type."""
    if expected == "a percentage" and isinstance(value, int) and not isinstance(value, bool):
        return f"Write {value}%."
    share = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value) if isinstance(value, str) else None
    if share and "number" in expected:
        return f"Write {share[1]}, without the sign."
    if (
        key is not None
        and key in _WRITTEN
        and isinstance(value, str)
        and re.fullmatch(r"[A-Za-z][\w -]{0,60}", value)
    ):
        return _WRITTEN[key].format(value)
    return None


def id_meant(text: str) -> str | None:
    """The id that a text comes nearest to: ``Hello World`` is ``hello-world``."""
    made = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:64]
    return made if made[:1].isalpha() else None
