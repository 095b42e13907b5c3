"""One thing that is wrong with a deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runner.insight.examined import Examined


class Level(StrEnum):
    ERROR = "error"  # something does not happen that should
    WARNING = "warning"  # somebody has to look, or it will become an error
    NOTE = "note"  # good to know


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong. ``code`` is stable and for programs, ``what`` a sentence without its full stop,
    ``where`` whom or what it concerns, ``since`` an aware instant, ``mend`` what to do, with the command."""

    code: str
    level: Level
    what: str
    mend: str
    where: str | None = None
    since: datetime | None = None


Rule = Callable[[Examined], Iterator[Finding]]
"""A rule yields what it finds wrong with one deployment, and asks nothing."""


def span_text(span: timedelta) -> str:
    """A length of time for people: ``45 s``, ``12 min``, ``3 h``, ``2 d``."""
    seconds = span.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
