"""What an author has changed in a value of a YAML file: which keys, from what to what, in the words of the file.

Lists of steps are left out wherever they stand: a step is told of by its id, wherever it stands by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.journey.yaml import Broken, Field, Fields, Items, Scalar, Value

SHORT_FORMS: Mapping[str, str] = {
    "wait": "for",
    "send": "channel",
    "condition": "if",
    "emit": "event",
    "enroll": "journey",
    "draw": "pool",
    "goto": "to",
    "template": "name",
}
"""The key that the short form of each writes the value of."""


@dataclass(frozen=True, kw_only=True)
class Altered:
    """``where`` are keys, and names of items, from the outside in: none for the value itself. ``before`` or ``after``
    is None where there was nothing, or is nothing any more."""

    where: tuple[str, ...]
    before: str | None
    after: str | None


def altered(
    before: Value | None, after: Value | None, where: tuple[str, ...] = (), *, key: str = ""
) -> Iterator[Altered]:
    """What differs, in the order of ``after``; what is gone stands behind it. ``key`` is that of the value itself,
    whose short form is read as the long one if it is written out on the other side."""
    if _said(before) == _said(after):
        return
    one, other = _long(before, after, key), _long(after, before, key)
    if isinstance(one, Fields) and isinstance(other, Fields):
        yield from _of_keys(one, other, where)
    elif isinstance(one, Items) and isinstance(other, Items) and (names := _names(one, other)) is not None:
        yield from _of_named(dict(zip(names[0], one.items)), dict(zip(names[1], other.items)), where)  # noqa: B905
    else:
        yield Altered(where=where, before=_said(before), after=_said(after))


def inline(value: Value) -> str:
    """The value on one line, without the steps in it."""
    match value:
        case Scalar(text=text):
            return " ".join(text.split())
        case Items(items=items):
            return f"[{', '.join(inline(item) for item in items)}]"
        case Fields(fields=fields):
            told = (f"{each.key}: {inline(each.value)}" for each in fields if _said(each.value) is not None)
            return f"{{{', '.join(told)}}}"
        case Broken():
            return "?"


def holds_steps(value: Value) -> bool:
    """Whether it is a list of steps."""
    return isinstance(value, Items) and any(isinstance(item, Fields) and "id" in item for item in value.items)


def _said(value: Value | None) -> str | None:
    """None where it says nothing but steps, or nothing at all."""
    if value is None or holds_steps(value) or (isinstance(value, Items) and not value.items):
        return None
    return inline(value)


def _long(value: Value | None, other: Value | None, key: str) -> Value | None:
    """The long form of ``value``, where ``other`` is written in it."""
    if isinstance(value, Scalar) and isinstance(other, Fields) and key in SHORT_FORMS:
        return Fields((Field(SHORT_FORMS[key], value.span, value),), value.span)
    return value


def _of_keys(before: Fields, after: Fields, where: tuple[str, ...]) -> Iterator[Altered]:
    for each in after.fields:
        yield from altered(before.get(each.key), each.value, (*where, each.key), key=each.key)
    for each in before.fields:
        if each.key not in after:
            yield from altered(each.value, None, (*where, each.key))


def _names(before: Items, after: Items) -> tuple[Sequence[str], Sequence[str]] | None:
    """What tells the items of both lists apart, where they are mappings; None where they are no such lists."""
    if not all(isinstance(item, Fields) for item in (*before.items, *after.items)):
        return None
    for key in ("name", "reason"):
        found = [[_text(item, key) for item in items.items] for items in (before, after)]
        if all("" not in each and len(set(each)) == len(each) for each in found):
            return found[0], found[1]
    numbers = [[str(place + 1) for place in range(len(items.items))] for items in (before, after)]
    return numbers[0], numbers[1]


def _text(item: Value, key: str) -> str:
    value = item.get(key) if isinstance(item, Fields) else None
    return value.text if isinstance(value, Scalar) else ""


def _of_named(
    before: Mapping[str, Value], after: Mapping[str, Value], where: tuple[str, ...]
) -> Iterator[Altered]:
    both = [name for name in before if name in after]
    if both != (now := [name for name in after if name in before]):
        yield Altered(where=(*where, "order"), before=", ".join(both), after=", ".join(now))
    # The one item of a list needs no number.
    numbered = len(before) > 1 or len(after) > 1 or "1" not in after
    for name, value in after.items():
        yield from altered(before.get(name), value, (*where, name) if numbered else where)
    for name, value in before.items():
        if name not in after:
            yield from altered(value, None, (*where, name) if numbered else where)
