"""What came of scenarios, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from runner.journey.shown import printable
from runner.review.coverage import Coverage
from runner.review.coverage_report import coverage_object
from runner.review.reporters import counted
from runner.review.scenarios import Outcome
from runner.review.suggestion import Suggestion
from runner.review.timeline import comparison_text, offset_text

INDENT = "    "


def failure_text(outcome: Outcome) -> str:
    """A failed scenario: its name and place, both timelines side by side, and what decided."""
    scenario = outcome.scenario
    place = f"{scenario.span.file}:{scenario.span.line}"
    lines = [f"FAILED {scenario.journey}: {printable(scenario.name)}", f"{INDENT}{place}", ""]
    lines += [
        INDENT + line if line else "" for line in comparison_text(scenario, outcome.comparison).split("\n")
    ]
    return "\n".join(lines)


def summary_text(outcomes: Sequence[Outcome]) -> str:
    """A line a journey, then the total."""
    journeys = list(dict.fromkeys(outcome.scenario.journey for outcome in outcomes))
    width = max(map(len, journeys), default=0)
    lines = [
        f"{name.ljust(width)}  {_counts([one for one in outcomes if one.scenario.journey == name])}"
        for name in journeys
    ]
    return "\n".join([*lines, f"{counted(len(outcomes), 'scenario')}: {_counts(outcomes)}"])


def _counts(outcomes: Sequence[Outcome]) -> str:
    passed = sum(outcome.passed for outcome in outcomes)
    failed = len(outcomes) - passed
    return f"{passed} passed" + (f", {failed} failed" if failed else "")


def outcomes_json(
    outcomes: Sequence[Outcome], coverage: Coverage | None = None, suggested: Suggestion | None = None
) -> str:
    """An object with ``passed`` and ``failed`` (counts) and ``scenarios``, a list in the order of journeys
    and files; and ``coverage`` and ``suggestion``, where these were asked for.

    ``at`` is ISO 8601 in UTC, ``after`` the time since the start; ``mark`` is ok, wrong or context.
    """
    passed = sum(outcome.passed for outcome in outcomes)
    report: dict[str, object] = {
        "passed": passed,
        "failed": len(outcomes) - passed,
        "scenarios": [_json(outcome) for outcome in outcomes],
    }
    if coverage is not None:
        report["coverage"] = coverage_object(coverage)
    if suggested is not None:
        report["suggestion"] = asdict(suggested)
    return json.dumps(report, indent=2, ensure_ascii=False)


def _json(outcome: Outcome) -> dict[str, object]:
    scenario, comparison = outcome.scenario, outcome.comparison

    def moment(at: datetime | None) -> dict[str, str | None]:
        if at is None:
            return {"at": None, "after": None}
        return {"at": at.isoformat().replace("+00:00", "Z"), "after": offset_text(at - scenario.start)}

    return {
        "journey": scenario.journey,
        "name": scenario.name,
        "file": scenario.span.file,
        "line": scenario.span.line,
        "passed": outcome.passed,
        "timeline": [
            {
                "mark": row.mark.name.lower(),
                **moment(row.at),
                "expected": row.expected or None,
                "happened": row.happened or None,
                "why": row.why or None,
            }
            for row in comparison.rows
        ],
        "decisions": [
            {
                **moment(decision.at),
                "step": decision.step,
                "expression": decision.source,
                "outcome": decision.outcome,
                "values": dict(decision.values),
            }
            for decision in comparison.decisions
        ],
    }
