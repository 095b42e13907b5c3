"""Where in the author's files something stands that the built journey no longer knows the place of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from runner.journey.builder.notes import fields_of
from runner.journey.builder.outline import find_step
from runner.journey.project import Project, journey_path
from runner.journey.yaml import Fields, Items, Scalar, Value, split_lines
from runner.problem import Span
from runner.review.template_places import occurrences

_NESTED_STEPS = frozenset({"steps", "else", "then", "timeout", "if_blocked"})


def value_span(project: Project, journey: str, step_id: str, *path: str) -> Span:
    """Where the value at ``path`` within a step stands, or the nearest value above it."""
    place = _step(project, journey, step_id)
    for key in path:
        inner = place.get(key) if isinstance(place, Fields) else None
        place = inner or place
    return place.span


def text_in_step(project: Project, journey: str, step_id: str, pattern: str) -> Span | None:
    """Where ``pattern`` first matches in a value of the step itself, not of the steps nested in it."""
    for scalar in _own_scalars(_step(project, journey, step_id)):
        match = re.search(pattern, scalar.text)
        if match:
            return scalar.place(match.start(), len(match[0]))
    return None


def text_in_tree(tree: Value, pattern: str) -> Span | None:
    """Where ``pattern`` first matches in a value of a file."""
    if isinstance(tree, Scalar):
        match = re.search(pattern, tree.text)
        return tree.place(match.start(), len(match[0])) if match else None
    inner: tuple[Value, ...] = ()
    if isinstance(tree, Fields):
        inner = tuple(field.value for field in tree.fields)
    elif isinstance(tree, Items):
        inner = tree.items
    return next((found for each in inner if (found := text_in_tree(each, pattern)) is not None), None)


def text_in_lines(file: str, text: str, line: int, pattern: str, last: int | None = None) -> Span:
    """Where ``pattern`` first matches on the lines ``line`` to ``last`` (from 1) of a file; else all of
    ``line``."""
    lines = _lines(text)
    for number in range(line, min(last or line, len(lines)) + 1):
        match = re.search(pattern, lines[number - 1])
        if match:
            return Span(file, number, match.start() + 1, max(1, len(match[0])))
    shown = lines[line - 1] if line <= len(lines) else ""
    return Span(file, line, len(shown) - len(shown.lstrip()) + 1, max(1, len(shown.strip())))


def word_in_lines(file: str, text: str, line: int, word: str, nth: int, last: int | None = None) -> Span:
    """Where ``word`` stands for the ``nth`` time (from 0) in the tags of the first of the lines ``line`` to ``last``
    (from 1) of a template that has it; else all of ``line``. What is put in several times is counted on from the
    first."""
    lines = _lines(text)
    for number in range(line, min(last or line, len(lines)) + 1):
        offsets = occurrences(lines[number - 1], word)
        if offsets:
            return Span(file, number, offsets[nth % len(offsets)] + 1, len(word))
    return text_in_lines(file, text, line, re.escape(word), last)


@lru_cache(maxsize=4)
def _lines(text: str) -> list[str]:
    """The lines of a file: where there is one problem in it, there are often several."""
    return split_lines(text)


def _step(project: Project, journey: str, step_id: str) -> Value:
    root = fields_of(project.trees[journey_path(journey)])
    step = find_step(root.get("steps"), step_id) if root else None
    if step is None:
        raise KeyError(step_id)
    return step


def _own_scalars(value: Value) -> Iterator[Scalar]:
    if isinstance(value, Scalar):
        yield value
    elif isinstance(value, Fields):
        for field in value.fields:
            if field.key not in _NESTED_STEPS:
                yield from _own_scalars(field.value)
    elif isinstance(value, Items):
        for item in value.items:
            yield from _own_scalars(item)
