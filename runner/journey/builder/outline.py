"""The steps of a journey file as they nest, before they are built."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from runner.journey.builder.notes import fields_of, items_of, text_of
from runner.journey.yaml import Fields, Value


def step_outline(steps: Value | None) -> Iterator[Fields]:
    """Every step below ``steps``, a step before the steps nested in it: the order of the program."""
    for item in items_of(steps):
        step = fields_of(item)
        if step is None:
            continue
        yield step
        for nested in (*_nested_in_wait(step), *_nested(step)):
            yield from step_outline(nested)


_ASKING: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("draw", ("if_empty",)),
    ("call", ("on_error",)),
    ("hand_off", ("accepted", "rejected", "escalate")),
)


def _nested(step: Fields) -> Iterator[Value | None]:
    for asked, lists in _ASKING:
        options = fields_of(step.get(asked))
        yield from (options.get(key) for key in lists if options)
    for verb, keys in (("condition", ("else",)), ("wait", ("then", "timeout")), ("send", ("if_blocked",))):
        options = fields_of(step.get(verb))
        if options:
            # Not in the order of the file: this is the order of the program, by which `goto` goes forward.
            yield from (options.get(key) for key in keys)
    for case in items_of(step.get("branch")):
        options = fields_of(case)
        if options:
            yield options.get("steps")
            yield options.get("else")
    split = fields_of(step.get("split"))
    for arm in items_of(split.get("arms") if split else None):
        options = fields_of(arm)
        if options:
            yield options.get("steps")


def _nested_in_wait(step: Fields) -> Iterator[Value | None]:
    """Those that stand before what a wait has as other steps have it."""
    wait = fields_of(step.get("wait"))
    for item in items_of(wait.get("any") if wait else None):
        option = fields_of(item)
        if option:
            yield option.get("then")
    yield wait.get("if_empty") if wait else None


def find_step(steps: Value | None, step_id: str) -> Fields | None:
    """The step of that id."""
    return _by_id(_Itself(steps)).get(step_id)


class _Itself:
    """A value told from others by what it is, not by what it holds."""

    def __init__(self, value: Value | None) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@lru_cache(maxsize=1)
def _by_id(steps: _Itself) -> dict[str | None, Fields]:
    """The steps of one file by their ids: whoever asks for one asks for others. Of several, the first."""
    found: dict[str | None, Fields] = {}
    for step in step_outline(steps.value):
        found.setdefault(text_of(step.get("id")), step)
    return found
