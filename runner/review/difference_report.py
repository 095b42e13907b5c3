"""What a new version changes, as text for people and as values for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.journey.shown import printable
from runner.review.altered import Altered
from runner.review.reporters import counted
from runner.review.what_changed import Became, Difference, Part

LONGEST = 72
"""Code points of a value that are shown; of a longer one those around what differs."""
MOST = 60
"""Lines on one journey; of more, how many there are."""
_BEFORE = 16
"""Code points that are shown before the first one that differs, of a long value."""


def difference_lines(found: Sequence[Difference]) -> Iterator[str]:
    """A line for each thing that changes: ``+`` for what is new, ``-`` for what is gone, ``~`` for what is changed."""
    if not found:
        yield "its files say the same: this release reads them otherwise"
    lines = [line for each in found for line in _lines(each)]
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"and {len(lines) - MOST} more changes: `--format json` has them all"


def _lines(found: Difference) -> Iterator[str]:
    name = _named(found)
    match found.became:
        case Became.ADDED:
            yield f"+ {name}{_said(found)}{f', {found.place}' if found.place else ''}"
        case Became.REMOVED:
            yield f"- {name}{_said(found)}"
        case Became.CHANGED:
            if found.was is not None:
                yield f"~ {name}  is what was called {_quoted(found.part, found.was)}"
            if found.place is not None:
                yield f"~ {name}  stands elsewhere now: {found.place}"
            yield from (f"~ {name}  {_altered(each)}" for each in found.values)
            if found.says:
                yield f"~ {name}  {found.says}"
            if any(found.lines):
                fresh, gone = found.lines
                told = [f"{counted(fresh, 'line')} new"] if fresh else []
                told += [f"{counted(gone, 'line')} gone"] if gone else []
                yield f"~ {name}  text: {', '.join(told)}"


def _named(found: Difference) -> str:
    return _quoted(found.part, found.name)


def _quoted(part: Part, name: str) -> str:
    told = printable(name)
    return f"`{told}`" if part is Part.STEP else f"catalog {told}" if part is Part.CATALOG else told


def _said(found: Difference) -> str:
    return f"  {cut(printable(found.says), 0)}" if found.says else ""


def _altered(value: Altered) -> str:
    where = printable(" ".join(value.where))
    key = f"{where}: " if where else ""
    if value.before is None or value.after is None:
        said = cut(printable(value.after or value.before or ""), 0)
        return f"{key}{said or '(empty)'} ({'gone' if value.after is None else 'new'})"
    before, after = printable(value.before), printable(value.after)
    alike = next(
        (place for place, (one, other) in enumerate(zip(before, after, strict=False)) if one != other),
        min(len(before), len(after)),
    )
    return f"{key}{cut(before, alike) or '(empty)'} → {cut(after, alike) or '(empty)'}"


def cut(text: str, place: int = 0) -> str:
    """``text``, or ``LONGEST`` of it from a little before ``place`` on."""
    if len(text) <= LONGEST:
        return text
    begins = 0 if place < LONGEST - _BEFORE else place - _BEFORE
    ends = begins + LONGEST
    return f"{'…' if begins else ''}{text[begins:ends]}{'…' if ends < len(text) else ''}"


def difference_json(found: Difference) -> dict[str, object]:
    """An object with ``part``, ``name``, ``change``, ``was``, ``place``, ``says``, ``values`` (each with ``where``,
    ``before`` and ``after``), ``lines_added`` and ``lines_removed``."""
    return {
        "part": found.part.value,
        "name": found.name,
        "change": found.became.value,
        "was": found.was,
        "place": found.place,
        "says": found.says,
        "values": [
            {"where": list(each.where), "before": each.before, "after": each.after} for each in found.values
        ],
        "lines_added": found.lines[0],
        "lines_removed": found.lines[1],
    }
