"""What can be wrong with a file that a user wrote, and where.

One ``Problem`` is one finding. Rules and loaders yield problems and never print; reporters print and never
judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of one line of one file. ``line`` and ``column`` count from 1, in code points."""

    file: str
    line: int
    column: int
    length: int = 1

    def moved(self, offset: int, length: int) -> Span:
        """The span of ``length`` code points that begins ``offset`` code points after this one."""
        return Span(self.file, self.line, self.column + offset, max(1, length))


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One finding. ``message`` says what is wrong; ``hint`` says how to mend it."""

    code: str
    message: str
    span: Span
    hint: str | None = None
    severity: Severity = Severity.ERROR


class JourneysError(Exception):
    """An error that the user can mend. The text says what, where, why and how; never shown with a traceback.

    ``exit_code`` is what the command line ends with; a subclass says so where another code is documented.
    """

    exit_code = 1


class NothingThere(JourneysError):
    """There is no project where one was looked for."""

    exit_code = 4


class ProblemsFound(JourneysError):
    """Files were read and are wrong. ``sources`` has their texts, where known, by the files of the spans."""

    def __init__(self, problems: Iterable[Problem], sources: Mapping[str, str] | None = None) -> None:
        self.problems = tuple(problems)
        self.sources = dict(sources or {})
        super().__init__(
            "; ".join(
                f"{p.span.file}:{p.span.line}:{p.span.column}: {p.message} [{p.code}]" for p in self.problems
            )
        )
