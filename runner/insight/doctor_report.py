"""The doctor's findings for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from runner.insight.finding import Finding, Level, span_text
from runner.insight.present import count_text, instant_text
from runner.journey.shown import printable

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_COLOURS = {Level.ERROR: "\x1b[31m", Level.WARNING: "\x1b[33m", Level.NOTE: "\x1b[36m"}


def findings_text(findings: Sequence[Finding], now: datetime, *, colour: bool = False) -> str:
    """A block each, and a last line that counts them."""
    return "\n\n".join([*(_block(finding, now, colour) for finding in findings), summary(findings)])


def summary(findings: Iterable[Finding]) -> str:
    """``2 errors, 1 warning, 1 note.``"""
    levels = [finding.level for finding in findings]
    counts = [count_text(levels.count(level), level.value) for level in Level if level in levels]
    if set(levels) <= {Level.NOTE}:
        return f"Nothing is wrong{f' ({counts[0]})' if counts else ''}."
    return f"{', '.join(counts)}."


def findings_json(findings: Iterable[Finding], now: datetime) -> dict[str, object]:
    """``at`` and ``since`` are ISO 8601 in UTC; ``where`` and ``since`` may be null."""
    return {
        "at": instant_text(now),
        "findings": [
            {
                "code": finding.code,
                "level": finding.level.value,
                "what": finding.what,
                "where": finding.where,
                "since": None if finding.since is None else instant_text(finding.since),
                "mend": finding.mend,
            }
            for finding in findings
        ],
    }


def _block(finding: Finding, now: datetime, colour: bool) -> str:
    start, end = (f"{_BOLD}{_COLOURS[finding.level]}", _PLAIN) if colour else ("", "")
    lines = [f"{start}{finding.level.value}{end}: {printable(finding.what)} [{finding.code}]"]
    if finding.where is not None:
        lines.append(f"  where  {printable(finding.where)}")
    if finding.since is not None:
        ago = span_text(now - finding.since)
        lines.append(f"  since  {finding.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {ago} ago")
    lines.append(f"  mend   {printable(finding.mend)}")
    return "\n".join(lines)
