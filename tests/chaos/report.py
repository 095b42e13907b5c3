"""The outcomes as a table for a terminal, as JSON, and as the page of the documentation."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from tests.chaos.outcome import Outcome

COLUMNS = (
    "campaign",
    "database",
    "faults",
    "expected",
    "arrived",
    "lost",
    "duplicated",
    "unknown",
    "refused",
    "called again",
    "seconds",
    "seed",
)

TEXT = Path(__file__).with_name("page.md")
"""What the page says around the record."""


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes in columns."""
    rows = [COLUMNS, *(_cells(outcome) for outcome in outcomes)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def as_json(outcomes: Sequence[Outcome], at: datetime) -> str:
    """The outcomes with all their details."""
    record = {"at": at.isoformat(), "machine": _machine(), "campaigns": [asdict(each) for each in outcomes]}
    return json.dumps(record, indent=2, ensure_ascii=False)


def write_page(record: str, page: Path) -> None:
    """Write the page of the documentation from what ``as_json`` answered."""
    read = json.loads(record)
    outcomes = [Outcome(**{**each, "trouble": tuple(each["trouble"])}) for each in read["campaigns"]]
    parts = [
        f"## The last record\n\n{read['at'][:10]}, {read['machine']}.\n",
        "\n".join(_markdown(outcomes)) + "\n",
        "What was hit, or done (a kill may count in several):\n",
        "\n".join(_details(outcomes)),
    ]
    text = TEXT.read_text(encoding="utf-8")
    page.write_text(text.replace("{record}", "\n".join(parts)), encoding="utf-8")


def _cells(outcome: Outcome) -> tuple[str, ...]:
    values = asdict(outcome)
    return tuple(
        f"{value:,}" if isinstance(value, int) and name != "seed" else str(value)
        for name, value in ((name, values[name.replace(" ", "_")]) for name in COLUMNS)
    )


def _markdown(outcomes: Iterable[Outcome]) -> Iterable[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * 2}{'--:|' * (len(COLUMNS) - 2)}"
    yield from (f"| {' | '.join(_cells(outcome))} |" for outcome in outcomes)


def _details(outcomes: Iterable[Outcome]) -> Iterable[str]:
    for outcome in outcomes:
        if not (outcome.details or outcome.trouble):
            continue
        told = ", ".join(f"{name} {count:,}" for name, count in outcome.details.items())
        yield f"- `{outcome.campaign}` on {outcome.database}: {told}"
        yield from (f"  - **{trouble}**" for trouble in outcome.trouble)


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
