"""Problems as text for people and as JSON for programs. Reporters print what they are given and never
judge.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

from runner.journey.shown import printable
from runner.journey.yaml import split_lines
from runner.problem import Problem, Severity

WIDEST = 140
"""Code points of a source line that are shown; a longer one is cut around the place."""

_BOLD, _DIM, _RED, _YELLOW, _CYAN, _PLAIN = (
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[31m",
    "\x1b[33m",
    "\x1b[36m",
    "\x1b[0m",
)


def text_report(
    problems: Sequence[Problem],
    sources: Mapping[str, str] | None = None,
    *,
    colour: bool = False,
    folded: bool = False,
) -> str:
    """``file:line:col: message [code]``, the source line, a caret under the place, and the hint, for each
    problem.

    ``sources`` maps files to their texts; a problem of another file is shown without its line. ``folded``: of those
    that say the same of several places the first is shown, and how many more there are.
    """
    lines = {file: split_lines(text) for file, text in (sources or {}).items()}
    alike: dict[tuple[object, ...], list[Problem]] = {}
    for place, each in enumerate(problems):
        same = (each.severity, each.code, each.message, each.hint)
        alike.setdefault(same if folded else (place,), []).append(each)
    return "\n\n".join(
        _entry(first, lines.get(first.span.file, ()), colour, more) for first, *more in alike.values()
    )


def summary(problems: Iterable[Problem]) -> str:
    """``3 errors and 1 warning in 2 files.``"""
    found = list(problems)
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    counts = [counted(errors, "error"), counted(len(found) - errors, "warning")]
    files = counted(len({problem.span.file for problem in found}), "file")
    return f"{' and '.join(count for count in counts if not count.startswith('0 '))} in {files}."


def json_report(problems: Iterable[Problem], journeys: int) -> str:
    """An object with ``journeys`` (how many were looked at) and ``problems``, a list in file order.

    A problem is what ``problem_json`` answers.
    """
    return _json({"journeys": journeys, "problems": _entries(problems)})


def refused_json(problems: Iterable[Problem]) -> str:
    """What ``apply`` answers programs where it has applied nothing: an object without ``journeys``, with ``problems``
    as ``json_report`` has them."""
    return _json({"journeys": [], "empty_pools": [], "problems": _entries(problems)})


def _entries(problems: Iterable[Problem]) -> list[dict[str, object]]:
    return [problem_json(problem) for problem in problems]


def _json(told: Mapping[str, object]) -> str:
    return json.dumps(told, indent=2, ensure_ascii=False)


def problem_json(problem: Problem) -> dict[str, object]:
    """An object with file, line, column and length (from 1, in code points), code, severity, message and hint."""
    return {
        "file": problem.span.file,
        "line": problem.span.line,
        "column": problem.span.column,
        "length": problem.span.length,
        "code": problem.code,
        "severity": problem.severity.value,
        "message": problem.message,
        "hint": problem.hint,
    }


def counted(count: int, what: str) -> str:
    """``1 journey``, ``2,000 journeys``."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _entry(problem: Problem, lines: Sequence[str], colour: bool, more: Sequence[Problem]) -> str:
    span = problem.span
    warning = problem.severity is Severity.WARNING
    paint = _painter(colour)
    place = f"{printable(span.file)}:{span.line}:{span.column}:"
    kind = paint("warning: ", _YELLOW) if warning else ""
    message = printable(problem.message, keep="\t")
    parts = [f"{paint(place, _BOLD)} {kind}{message} {paint(f'[{problem.code}]', _DIM)}"]
    if 1 <= span.line <= len(lines) and lines[span.line - 1].strip():
        source, column = _window(lines[span.line - 1], span.column)
        number = f"{span.line:>5} | "
        before = "".join(_blank(character) for character in source[: column - 1])
        marked = source[column - 1 : column - 1 + span.length]
        carets = "^" * max(1, sum(_width(character) for character in marked))
        parts.append(paint(number, _DIM) + printable(source, keep="\t"))
        parts.append(paint("      | ", _DIM) + before + paint(carets, _YELLOW if warning else _RED))
    if problem.hint:
        parts.append(paint("      = ", _DIM) + paint(printable(problem.hint, keep="\t"), _CYAN))
    if more:
        parts.append(paint(f"      = and {counted(len(more), 'more place')}", _DIM))
    return "\n".join(parts)


def _painter(colour: bool) -> Callable[[str, str], str]:
    return lambda text, style: f"{style}{text}{_PLAIN}" if colour else text


def _window(line: str, column: int) -> tuple[str, int]:
    """The part of ``line`` that is shown, and where ``column`` is in it."""
    line = line.rstrip()
    if len(line) <= WIDEST:
        return line, min(column, len(line) + 1)
    start = max(0, min(column - 1 - WIDEST // 2, len(line) - WIDEST))
    shown = line[start : start + WIDEST]
    shown = ("…" if start else "") + shown + ("…" if start + WIDEST < len(line) else "")
    return shown, column - start + (1 if start else 0)


def _blank(character: str) -> str:
    return "\t" if character == "\t" else " " * _width(character)


def _width(character: str) -> int:
    """Cells that a character takes on a terminal."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
