"""The sales funnel: how many people stand on each step of the catalog, and the revenue to be expected of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from runner.insight.present import decimal_text, table_lines
from runner.journey.catalog import Catalog
from runner.journey.values import MILLIONTHS
from runner.store.database import Database
from runner.store.watching.funnel import funnel_counts


@dataclass(frozen=True, kw_only=True)
class FunnelRow:
    """A step: who has come so far and no farther, ``held_out`` of whom get nothing of any journey, what the sales of
    all of them would be worth, and how probable they are, from 0 to 1; a step that gives no probability forecasts
    nothing."""

    name: str
    people: int
    held_out: int
    value: Decimal
    probability: Decimal | None

    @property
    def forecast(self) -> Decimal:
        """The revenue to be expected."""
        return self.value * (self.probability or Decimal(0))


def read_funnel(database: Database, catalog: Catalog, now: datetime) -> tuple[FunnelRow, ...]:
    """The steps of the catalog's funnel in their order, with the people who stand on each at ``now``."""
    with database.read() as connection:
        counts = funnel_counts(connection, catalog.funnel, now, timezone=catalog.timezone)
    found = {each.step: each for each in counts}
    return tuple(
        FunnelRow(
            name=step.name,
            people=found[number].people if number in found else 0,
            held_out=found[number].held_out if number in found else 0,
            value=Decimal(found[number].value if number in found else 0) / MILLIONTHS,
            probability=step.probability,
        )
        for number, step in enumerate(catalog.funnel)
    )


def funnel_json(rows: Sequence[FunnelRow]) -> dict[str, object]:
    """For programs; sums of money are strings, because they are exact."""
    return {
        "steps": [
            {
                "step": row.name,
                "people": row.people,
                "held_out": row.held_out,
                "value": decimal_text(row.value),
                "probability": None if row.probability is None else decimal_text(row.probability),
                "forecast": decimal_text(row.forecast),
            }
            for row in rows
        ],
        "forecast": decimal_text(_total(rows)),
    }


def funnel_text(rows: Sequence[FunnelRow]) -> str:
    """For people: a table, and below it the sum of what is forecast; how many are held out where somebody is."""
    held_out = any(row.held_out for row in rows)
    header = ["step", "people", *(["held out"] if held_out else []), "value", "probability", "forecast"]
    lines = [
        [
            row.name,
            f"{row.people:,}",
            *([f"{row.held_out:,}"] if held_out else []),
            f"{row.value:,.2f}",
            "-" if row.probability is None else f"{decimal_text(row.probability * 100)} %",
            f"{row.forecast:,.2f}",
        ]
        for row in rows
    ]
    lines.append([*[""] * (len(header) - 1), f"{_total(rows):,.2f}"])
    return "\n".join(table_lines(header, lines, left={0}))


def _total(rows: Sequence[FunnelRow]) -> Decimal:
    return sum((row.forecast for row in rows), Decimal(0))
