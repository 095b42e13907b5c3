"""What can be wrong with an expression."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from runner.problem import JourneysError


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. ``offset`` and ``length`` are in code points of the source.

    ``hint`` says how to mend it.
    """

    message: str
    code: str
    offset: int
    length: int
    hint: str | None = None


class ExpressionError(JourneysError):
    """The text is no expression of the language, or does not fit the catalog. ``findings`` has at least one."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{f.message} [{f.code}]" for f in self.findings))


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that ``word`` was probably meant to be, as a hint."""
    candidates = list(known)
    folded = {candidate.lower(): candidate for candidate in reversed(candidates)}
    if word.lower() in folded:
        return f"did you mean `{folded[word.lower()]}`?"
    close = get_close_matches(word[:100], candidates, n=1, cutoff=cutoff)
    return f"did you mean `{close[0]}`?" if close else None


def listing(words: Iterable[str], limit: int = 8) -> str:
    """A few of ``words`` in alphabetical order, for a hint."""
    ordered = sorted(words)
    return ", ".join(ordered[:limit]) + (", …" if len(ordered) > limit else "")
