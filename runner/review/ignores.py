"""Findings that the author has looked at and keeps: ``# journeys: ignore[CODE] reason``.

The comment stands on the line on which a step begins, ``- id: …``, or on the line above, and hides the findings of that
code within the step. It may stand by any key and any item of a list; above the first key of a file it is about the
whole file. Warnings can be ignored, and those errors alone that leave a journey its meaning. A comment that hides
nothing is a finding itself, so that none outlives what it was written for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runner.journey.comments import Comment, comments, lines_of
from runner.journey.project import Project
from runner.journey.words import did_you_mean, listed, nearest
from runner.journey.yaml import Value, load_yaml, split_lines
from runner.problem import Problem, Severity, Span

IGNORABLE = frozenset(
    {
        *("step/unreachable", "sent/too-early", "opened/no-wait", "run/too-early"),
        *("condition/always-false", "branch/covered", "send/window-in-quiet-hours"),
    }
)
"""Errors that can be ignored: the journey does something all the same, and its author may want just that."""

EXAMPLE = "`# journeys: ignore[step/unreachable] comes back in spring`"

_SAID = re.compile(r"#[ \t]*journeys[ \t]*:")
_DIRECTIVE = re.compile(r"#[ \t]*journeys[ \t]*:[ \t]*(?P<word>[A-Za-z]+)[ \t]*(?P<rest>.*)")
_CODES = re.compile(r"\[(?P<codes>[^\]]*)\](?P<reason>.*)")


@dataclass(frozen=True, kw_only=True)
class Ignore:
    """``codes`` are hidden on the lines ``first`` to ``last`` (None: the end of the file)."""

    codes: tuple[str, ...]
    span: Span
    first: int
    last: int | None

    def covers(self, problem: Problem) -> bool:
        """Whether ``problem`` stands where this comment is about."""
        span = problem.span
        return (
            span.file == self.span.file
            and self.first <= span.line
            and (self.last is None or span.line <= self.last)
        )


def heeding(project: Project, problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """``problems`` without those that the authors ignore, and what is wrong with the ignoring itself."""
    ignores: list[Ignore] = []
    wrong: list[Problem] = []
    for path, text in project.files.items():
        if path.endswith(".yaml") and _SAID.search(text):
            _read(path, text, ignores, wrong)
    if not ignores:
        return (*problems, *wrong)
    hidden = {problem for problem in problems if can_be_ignored(problem) and _hides(ignores, problem)}
    # Of files with errors the rules know too little: what they do not find there may be there all the same.
    whole = all(problem.severity is not Severity.ERROR for problem in project.problems)
    for ignore in ignores:
        within = [problem for problem in problems if ignore.covers(problem)]
        for code in ignore.codes:
            wrong += _in_vain(ignore, code, within, whole=whole)
    return (*(problem for problem in problems if problem not in hidden), *wrong)


def can_be_ignored(problem: Problem) -> bool:
    """Whether an author may keep what ``problem`` is about."""
    return problem.severity is Severity.WARNING or problem.code in IGNORABLE


def _hides(ignores: Iterable[Ignore], problem: Problem) -> bool:
    return any(problem.code in ignore.codes and ignore.covers(problem) for ignore in ignores)


def _in_vain(ignore: Ignore, code: str, within: Sequence[Problem], *, whole: bool) -> Iterator[Problem]:
    """That an ignore cannot hide, or does not."""
    meant = [problem for problem in within if problem.code == code]
    refused = next((problem for problem in meant if not can_be_ignored(problem)), None)
    if refused:
        message = f"`{code}` is an error that cannot be ignored."
        hint = f"Mend what is wrong on line {refused.span.line}."
        yield Problem(code="ignore/refused", message=message, span=ignore.span, hint=hint)
    elif not meant and whole:
        others = sorted({problem.code for problem in within if can_be_ignored(problem)} - set(ignore.codes))
        there = f"Found here: {listed(others, 'and')}." if others else "Remove the comment."
        yield Problem(
            code="ignore/unused",
            message=f"This hides nothing: `{code}` is not found here.",
            span=ignore.span,
            hint=did_you_mean(code, others) or there,
            severity=Severity.WARNING,
        )


def _read(path: str, text: str, ignores: list[Ignore], wrong: list[Problem]) -> None:
    """The ignores of one file, and what is wrong with how they are written."""
    tree, _ = load_yaml(path, text)
    if tree is None:
        return
    said = comments(tree, text)
    lines_alone = {comment.span.line for comment in said if comment.alone}
    for comment in said:
        directive = _DIRECTIVE.match(comment.text)
        if directive is None or not (directive["word"] == "ignore" or _seems_meant(directive)):
            continue
        written = _CODES.match(directive["rest"]) if directive["word"] == "ignore" else None
        codes = tuple(
            code for part in (written["codes"] if written else "").split(",") if (code := part.strip())
        )
        if written is None or not codes:
            message = "This is not how a finding is ignored."
            hint = f"Write it like {EXAMPLE}."
            wrong.append(Problem(code="ignore/syntax", message=message, span=comment.span, hint=hint))
            continue
        if not written["reason"].strip():
            message = "This does not say why the finding is ignored."
            hint = f"Write the reason behind the bracket: {EXAMPLE}."
            wrong.append(Problem(code="ignore/no-reason", message=message, span=comment.span, hint=hint))
            continue
        lines = _about(tree, text, comment, lines_alone)
        if lines is None:
            message = "No step, key or item of a list begins here that this could be about."
            hint = "Write it on the line of a step, `- id: …`, or on the line above."
            wrong.append(Problem(code="ignore/place", message=message, span=comment.span, hint=hint))
        else:
            ignores.append(Ignore(codes=codes, span=comment.span, first=lines[0], last=lines[1]))


def _seems_meant(directive: re.Match[str]) -> bool:
    return directive["rest"].startswith("[") or nearest(directive["word"], ["ignore"]) is not None


def _about(tree: Value, text: str, comment: Comment, lines_alone: set[int]) -> tuple[int, int | None] | None:
    """The lines that a comment is about: what begins on its own line, or, where it stands alone, on the next line that
    says something."""
    line = comment.span.line
    if comment.alone:
        lines = split_lines(text.removeprefix("\ufeff"))
        said = (number for number in range(line + 1, len(lines) + 1) if lines[number - 1].strip())
        line = next((number for number in said if number not in lines_alone), line)
    return lines_of(tree, line)
