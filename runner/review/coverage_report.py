"""What scenarios reach, for people and for programs."""

from __future__ import annotations

from runner.journey.shown import printable
from runner.review.coverage import Coverage, Kind

_COLUMNS = {Kind.STEP: "steps", Kind.WAY: "ways", Kind.RULE: "rules", Kind.TEXT: "texts"}


def coverage_text(coverage: Coverage) -> str:
    """A line a journey, the total in percent, and what no scenario reaches, each with its place."""
    journeys = list(dict.fromkeys(item.journey for item in coverage.items))
    rows = [("coverage", *_COLUMNS.values())]
    rows += [
        (name, *(_share(coverage.of(journey=name, kind=kind)) for kind in _COLUMNS)) for name in journeys
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines.append(f"{coverage.percent} %: {_share(coverage)}")
    if coverage.missed:
        lines += ["", "no scenario reaches"]
        lines += [f"  {item.span.file}:{item.span.line}: {printable(item.title)}" for item in coverage.missed]
    return "\n".join(lines)


def coverage_object(coverage: Coverage) -> dict[str, object]:
    """An object with ``percent`` (whole, rounded down), ``reached`` and ``all`` (counts), the same of each journey by
    kind, and ``missed``, a list in the order of journeys and files."""
    journeys = list(dict.fromkeys(item.journey for item in coverage.items))
    return {
        **_counts(coverage),
        "journeys": [
            {
                "journey": name,
                **_counts(coverage.of(journey=name)),
                **{title: _counts(coverage.of(journey=name, kind=kind)) for kind, title in _COLUMNS.items()},
            }
            for name in journeys
        ],
        "missed": [
            {
                "journey": item.journey,
                "kind": item.kind.value,
                "name": item.name,
                "way": item.way or None,
                "title": item.title,
                "file": item.span.file,
                "line": item.span.line,
            }
            for item in coverage.missed
        ],
    }


def _share(coverage: Coverage) -> str:
    return f"{coverage.reached} of {len(coverage.items)}" if coverage.items else "-"


def _counts(coverage: Coverage) -> dict[str, int]:
    return {"percent": coverage.percent, "reached": coverage.reached, "all": len(coverage.items)}
