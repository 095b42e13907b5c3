"""What a schema error says to the author."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from runner.journey.duration import duration_trouble, parse_duration
from runner.journey.meant import allowed_hint, id_meant, key_hint, key_meant, missing_hint, value_hint
from runner.journey.words import did_you_mean, listed
from runner.journey.yaml import Fields, Value
from runner.problem import Problem, Span

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "empty",
}

_KINDS = {
    "id": ("schema/id", "no id", "Use lower-case letters, digits, - and _, beginning with a letter."),
    "name": ("schema/name", "no name", "Use lower-case letters, digits, - and _, beginning with a letter."),
    "value-name": ("schema/name", "no name", "Use letters, digits and _, beginning with a letter."),
    "time": ("schema/time", "no time of day", 'Write hours and minutes, "00:00" to "23:59".'),
    "secret": (
        "settings/secret",
        "a secret, or at least not the name of one",
        "Write ${NAME} and put the secret into the environment variable NAME.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One error of the validator: the keyword that failed, on which instance, and where that stands."""

    keyword: str
    argument: Any
    instance: Any
    schema: Mapping[str, Any]
    key: str | None
    place: Value
    of_key: bool
    is_item: bool

    @property
    def span(self) -> Span:
        if self.of_key and isinstance(self.place, Fields):
            return self.place.key_span(str(self.instance))
        return self.place.span

    @property
    def what(self) -> str:
        """The schema's name for the value, with its article."""
        return str(self.schema.get("title") or (f"`{self.key}`" if self.key else "this value"))

    @property
    def subject(self) -> str:
        """What the message speaks of."""
        if self.of_key or self.key is None:
            return _capital(self.what)
        return f"An item of `{self.key}`" if self.is_item else f"`{self.key}`"


def explain(finding: Finding) -> Iterator[Problem]:
    """The problems of one error; most have one, an error over several keys has one a key."""
    if finding.keyword == "additionalProperties":
        yield from _unknown_keys(finding)
    elif finding.keyword == "required":
        missing = [key for key in finding.argument if key not in finding.instance]
        strange = [key for key in finding.instance if key not in finding.schema.get("properties", {})]
        missing = [
            key
            for key in missing
            if not any(did_you_mean(each, [key]) or key_meant(finding.what, each) == key for each in strange)
        ]
        if not missing:
            return
        message = f"{_capital(finding.what)} needs {listed(missing, 'and')}."
        yield _problem(finding, "schema/missing-key", message, _missing(finding.schema, missing))
    elif finding.keyword == "choice":
        yield from _no_choice(finding)
    elif finding.keyword in ("type", "alternatives"):
        yield _wrong_type(finding)
    elif finding.keyword in ("enum", "const"):
        yield _not_allowed(finding)
    elif finding.keyword == "pattern":
        yield _wrong_pattern(finding)
    elif finding.keyword in ("minItems", "maxItems"):
        bound = "at least" if finding.keyword == "minItems" else "at most"
        counted = "one item" if finding.argument == 1 else f"{finding.argument} items"
        message = (
            f"`{finding.key}` is empty."
            if not finding.instance
            else f"`{finding.key}` takes {bound} {counted}."
        )
        yield _problem(finding, "schema/count", message)
    elif finding.keyword == "minProperties":
        keys = finding.schema.get("properties")
        message = f"`{finding.key}` is empty." if finding.key else f"{_capital(finding.what)} is empty."
        hint = f"It takes {listed(keys)}." if keys else None
        yield _problem(finding, "schema/count", message, hint)
    elif finding.keyword == "uniqueItems":
        yield _problem(finding, "schema/duplicate", f"`{finding.key}` holds the same item twice.")
    elif finding.keyword == "minLength":
        yield _problem(finding, "schema/empty", f"{finding.subject} is empty.")
    elif finding.keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        yield _problem(
            finding, "schema/range", f"{finding.subject} is out of range: {_range(finding.schema)}."
        )
    else:
        yield _problem(finding, "schema/invalid", f"{finding.subject} does not fit: {finding.keyword}.")


def _missing(schema: Mapping[str, Any], missing: list[str]) -> str | None:
    """What the one key that is missing may say."""
    if len(missing) > 1:
        return None
    (key,) = missing
    choices = schema.get("properties", {}).get(key, {}).get("enum", ())
    return missing_hint(key) or (
        f"Write {listed(f'{key}: {each}' for each in choices)}." if choices else None
    )


def _unknown_keys(finding: Finding) -> Iterator[Problem]:
    known = list(finding.schema.get("properties", {}))
    place = finding.place
    for key in finding.instance:
        if key in known:
            continue
        span = place.key_span(key) if isinstance(place, Fields) else place.span
        yield _unknown_key(finding, key, known, span)


def _unknown_key(
    finding: Finding, key: str, known: Iterable[str], span: Span, *, alone: bool = False
) -> Problem:
    names, what = list(known), finding.what
    if key in finding.schema.get("x-later", ()):
        message = f"`{key}` is part of the language, but not supported by this version."
        return Problem(code="schema/not-supported", message=message, span=span)
    return Problem(
        code="schema/unknown-key",
        message=f"Unknown key `{key}` in {what}.",
        span=span,
        hint=key_hint(what, key, finding.instance[key], alone=alone)
        or did_you_mean(key, names)
        or f"It takes {listed(names)}.",
    )


def _no_choice(finding: Finding) -> Iterator[Problem]:
    """A mapping that fits several alternatives, or none."""
    keys: list[str] = finding.argument
    there = [key for key in finding.instance if key in keys]
    place = finding.place
    verbs = "verb" if finding.what == "a step" else "key"
    if there:
        message = f"{_capital(finding.what)} has one of {listed(keys)}; this one has {listed(there, 'and')}."
        span = place.key_span(there[1]) if isinstance(place, Fields) else place.span
        hint = "Make two steps of it, each with an id." if verbs == "verb" else "Keep one of them."
        yield Problem(code="schema/choice", message=message, span=span, hint=hint)
        return
    known = set(finding.schema.get("properties", ())) | {
        key
        for each in finding.schema.get("anyOf", finding.schema.get("oneOf", ()))
        for key in each.get("properties", {})
    }
    strange = [key for key in finding.instance if key not in known]
    for key in strange:
        span = place.key_span(key) if isinstance(place, Fields) else place.span
        yield _unknown_key(finding, key, keys, span, alone=True)
    if not strange:
        yield _problem(finding, "schema/choice", f"{_capital(finding.what)} needs one of {listed(keys)}.")


def _wrong_type(finding: Finding) -> Problem:
    kinds = {each.get("x-kind") for each in _alternatives(finding)}
    if "duration" in kinds and isinstance(finding.instance, int | Decimal):
        return _wrong_duration(finding)
    expected = _expected(finding)
    if finding.instance is None:
        message = f"{finding.subject} is empty; it must be {expected}."
    else:
        message = f"{finding.subject} must be {expected}, not {_got(finding.instance)}."
    if isinstance(finding.instance, bool | int | Decimal) and "a text" in expected:
        return _problem(finding, "schema/type", message, "Quote it.")
    meant = value_hint(finding.key, finding.instance, expected)
    return _problem(finding, "schema/type", message, meant or _shape(finding, message))


def _shape(finding: Finding, message: str) -> str | None:
    """How what was wanted is written, where its name alone does not tell."""
    schema = finding.schema
    items = schema.get("items")
    if isinstance(items, Mapping):
        if not _holds_mappings(items):
            return f"Write [{finding.instance}]." if isinstance(finding.instance, str) else None
        return "Each item begins with `- `."
    keys = listed(schema.get("properties", ()))
    if keys:
        return None if keys in message else f"It takes {keys}."
    return "Write each as `NAME: …`." if isinstance(schema.get("additionalProperties"), Mapping) else None


def _holds_mappings(schema: Mapping[str, Any]) -> bool:
    alternatives = schema.get("anyOf", schema.get("oneOf", ()))
    return "properties" in schema or any(_holds_mappings(each) for each in alternatives)


def _alternatives(finding: Finding) -> list[Mapping[str, Any]]:
    return [finding.schema, *finding.schema.get("anyOf", finding.schema.get("oneOf", ()))]


def _expected(finding: Finding) -> str:
    """What the schema would have had, in words."""
    schema = finding.schema
    alternatives = schema.get("anyOf", schema.get("oneOf"))
    if not alternatives:
        return _named(schema)
    return " or ".join(dict.fromkeys(_named(each) for each in alternatives))


def _named(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return listed(schema["enum"])
    types = schema.get("type", "object")
    if "properties" in schema and str(schema.get("title", "")).startswith("the "):
        return f"a mapping of {listed(schema['properties'])}"
    return str(
        schema.get("title") or " or ".join(_TYPES[t] for t in ([types] if isinstance(types, str) else types))
    )


def _got(instance: Any) -> str:
    if isinstance(instance, bool):
        return "true" if instance else "false"
    if isinstance(instance, int | Decimal):
        return "a number"
    if isinstance(instance, str):
        return "a text"
    return "a list" if isinstance(instance, list) else "a mapping"


def _not_allowed(finding: Finding) -> Problem:
    values = finding.argument if finding.keyword == "enum" else [finding.argument]
    allowed = ["true" if each is True else str(each) for each in values]
    if finding.key == "language":
        return _problem(finding, "schema/language", "This version of journeys speaks language 1.")
    wrong = str(finding.instance)
    got = _quoted(wrong) if isinstance(finding.instance, str) else _got(finding.instance)
    message = f"{finding.subject} must be {listed(allowed)}, not {got}."
    hint = did_you_mean(wrong, allowed) or allowed_hint(finding.key, wrong, allowed)
    return _problem(finding, "schema/value", message, hint)


def _wrong_pattern(finding: Finding) -> Problem:
    kind = finding.schema.get("x-kind")
    wrong = str(finding.instance)
    if kind == "duration":
        return _wrong_duration(finding)
    if kind == "database":
        # The value is not shown: it may hold a password.
        hint = "Write sqlite:///PATH or postgresql://USER:${PASSWORD}@HOST/NAME."
        return _problem(finding, "settings/database", "This is no URL of a database.", hint)
    if kind == "secret":
        code, _, hint = _KINDS[kind]
        return _problem(finding, code, f"`{finding.key}` may not hold a secret itself.", hint)
    if kind in _KINDS:
        code, name, hint = _KINDS[kind]
        hint = (_time_meant(wrong) if kind == "time" else None) or hint
        if kind == "id" and (near := id_meant(wrong)):
            hint = f"Write {near}. {hint}"
        return _problem(finding, code, f"{_quoted(wrong)} is {name}.", hint)
    described = finding.schema.get("description")
    return _problem(finding, "schema/value", f"{_quoted(wrong)} is not {finding.what}.", described)


def _time_meant(text: str) -> str | None:
    """The time of day that a text seems to mean: 9:00, 9am, 5.30 pm."""
    match = re.fullmatch(r"(\d{1,2})(?:[:.](\d\d))?\s*([ap]m)?", text.strip().lower())
    if not match or not (match[2] or match[3]):
        return None
    hour = int(match[1]) % 12 + (12 if match[3] == "pm" else 0) if match[3] else int(match[1])
    minute = int(match[2] or 0)
    return f'Write "{hour:02}:{minute:02}".' if hour < 24 and minute < 60 else None


def _wrong_duration(finding: Finding) -> Problem:
    text = str(finding.instance)
    if parse_duration(text):
        message, hint = f"{finding.subject} must be more than nothing.", None
        if text.startswith("-"):
            message = f"{finding.subject} may not be negative."
    else:
        message, hint = duration_trouble(text)
    return _problem(finding, "duration/invalid", message, hint)


def _range(schema: Mapping[str, Any]) -> str:
    lower = schema.get("minimum", schema.get("exclusiveMinimum"))
    upper = schema.get("maximum", schema.get("exclusiveMaximum"))
    words = [
        f"{'more than' if 'exclusiveMinimum' in schema else 'at least'} {lower}" if lower is not None else "",
        f"{'less than' if 'exclusiveMaximum' in schema else 'at most'} {upper}" if upper is not None else "",
    ]
    return "it must be " + " and ".join(word for word in words if word)


def _problem(finding: Finding, code: str, message: str, hint: str | None = None) -> Problem:
    return Problem(code=code, message=message, span=finding.span, hint=hint)


def _quoted(text: str) -> str:
    return f'"{text}"' if len(text) <= 40 else f'"{text[:40]}…"'


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
