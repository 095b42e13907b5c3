"""The results of messages for people (tables), for programs (JSON) and for spreadsheets (CSV)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from runner.insight.present import INDENT, decimal_text, table_lines, titled
from runner.insight.results import Comparison, JourneyResults, Result, Results, Side, ToolResults
from runner.insight.uplift import LEAST_BUYERS, LEAST_PEOPLE, Difference
from runner.journey.shown import cell, printable
from runner.store.tables import MessageStatus
from runner.store.watching.sendings import TOLD

_NO_NAME = "(no name)"
_FAILED = {
    "failed": (MessageStatus.FAILED,),
    "unknown": (MessageStatus.UNKNOWN,),
    "waiting": (MessageStatus.READY, MessageStatus.CLAIMED, MessageStatus.SENDING),
    "blocked": (MessageStatus.BLOCKED,),
    "cancelled": (MessageStatus.CANCELLED,),
    "withheld": (MessageStatus.WITHHELD,),
}
"""What became of messages that were not sent, or of which nobody can tell (which count as sent)."""


# Text --------------------------------------------------------------------------------------------------------------


def results_text(results: Results) -> str:
    """For people: a paragraph a journey, then one a tool. Columns of which nothing is known anywhere are left out."""
    parts = [_head(results)]
    parts += ["\n".join(_journey_lines(one)) for one in results.journeys]
    parts += ["\n".join(_tool_lines(one)) for one in results.tools]
    if not results.journeys and not results.tools:
        parts.append("No journey has been entered, and no other tool has told of a message.")
    return "\n\n".join(parts)


def _head(results: Results) -> str:
    days = {"from": results.since, "to": results.until}
    said = " ".join(f"{word} {day}" for word, day in days.items() if day)
    return f"Sent {said or 'at any time'}, by month ({results.timezone})"


def _journey_lines(one: JourneyResults) -> Iterator[str]:
    yield titled(one.journey, one.title)
    if one.results:
        yield from _table("message", one.results)
        yield ""
    if one.comparison is None:
        yield f"{INDENT}entered   {_side_text(one.entered, one.has_goal)}; nobody was held out"
        return
    if not one.has_goal:
        yield f"{INDENT}entered   {_side_text(one.entered, goal=False)}; the journey has no goal to compare by"
        return
    compared = one.comparison
    yield f"{INDENT}treated   {_side_text(compared.treated, goal=True)}"
    yield f"{INDENT}held out  {_side_text(compared.held_out, goal=True)}"
    yield f"{INDENT}brought   {_rate_text(compared)}"
    if compared.treated.value is not None:
        yield f"{INDENT}          {_money_text(compared)}"
    if compared.mixed:
        yield f"{INDENT}left out  {_people(compared.mixed)}, once held out and once not"


def _tool_lines(one: ToolResults) -> Iterator[str]:
    yield f"{printable(one.tool)} · campaigns of another tool"
    if one.results:
        yield from _table("campaign", one.results)
    else:
        yield f"{INDENT}nothing was sent"


def _table(what: str, results: Sequence[Result]) -> Iterator[str]:
    columns: dict[str, Callable[[Result], str]] = {
        what: lambda each: cell(each.message) or _NO_NAME,
        "channel": lambda each: each.channel,
        "month": lambda each: each.month,
        "sent": lambda each: f"{each.sent:,}",
    }
    if not any(each.channel for each in results):
        del columns["channel"]
    left = set(range(len(columns) - 1))
    for name, states in _FAILED.items():
        if any(_in(each, states) for each in results):
            columns[name] = lambda each, states=states: f"{_in(each, states):,}"  # type: ignore[misc]
    for name in TOLD:
        if any(each.told[name] for each in results):
            columns[name] = lambda each, name=name: _part(each.told[name], each.sent)  # type: ignore[misc]
    columns["people"] = lambda each: f"{each.people:,}"
    columns["reached"] = lambda each: _part(each.reached, each.people)
    columns["goals"] = lambda each: f"{each.goals:,}"
    if any(each.value is not None for each in results):
        columns["revenue"] = lambda each: "-" if each.value is None else f"{each.value:,.2f}"
    rows = [[shown(each) for shown in columns.values()] for each in results]
    yield from (INDENT + line for line in table_lines(list(columns), rows, left))


def _in(result: Result, states: Sequence[MessageStatus]) -> int:
    return sum(result.states.get(state, 0) for state in states)


def _part(count: int, whole: int) -> str:
    return f"{count:,} ({100 * count / whole:.1f} %)" if count and whole else f"{count:,}"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"


def _side_text(side: Side, goal: bool) -> str:
    if not goal or not side.people:
        return _people(side.people)
    text = f"{_people(side.people)}, {_part(side.reached, side.people)} reached the goal"
    if side.value is None or side.per_person is None:
        return text
    return f"{text}, revenue {side.value:,.2f}: {side.per_person:,.2f} a person"


def _rate_text(compared: Comparison) -> str:
    if compared.rate is None:
        return f"too few people to tell: it takes {LEAST_PEOPLE} on each side"
    points = Difference(
        value=100 * compared.rate.value, low=100 * compared.rate.low, high=100 * compared.rate.high
    )
    people = compared.rate.times(compared.treated.people)
    return (
        f"{points.value:+.1f} points (95 %: {points.low:+.1f} to {points.high:+.1f}), {people.value:+,.0f} people:"
        f" {_verdict(compared.rate)}"
    )


def _money_text(compared: Comparison) -> str:
    if compared.per_person is None:
        return f"too few goals to tell of revenue: it takes {LEAST_BUYERS} people who reached it on each side"
    one = compared.per_person
    total = one.times(compared.treated.people)
    return (
        f"{one.value:+,.2f} revenue a person (95 %: {one.low:+,.2f} to {one.high:+,.2f}), {total.value:+,.2f} in all:"
        f" {_verdict(one)}"
    )


def _verdict(difference: Difference) -> str:
    if difference.low > 0:
        return "more"
    if difference.high < 0:
        return "less"
    return "may be chance"


# JSON --------------------------------------------------------------------------------------------------------------


def results_json(results: Results) -> dict[str, object]:
    """For programs. Rates are from 0 to 1; sums of money are strings, because they are exact; ``comparison`` holds the
    ends of intervals of 95 %, and null where there are too few people to tell."""
    return {
        "timezone": results.timezone,
        "since": results.since.isoformat() if results.since else None,
        "until": results.until.isoformat() if results.until else None,
        "journeys": [
            {
                "journey": one.journey,
                "title": one.title,
                "messages": [_result_json("message", each) for each in one.results],
                "entered": _side_json(one.entered),
                "comparison": _comparison_json(one.comparison),
            }
            for one in results.journeys
        ],
        "campaigns": [
            {"tool": one.tool, "messages": [_result_json("campaign", each) for each in one.results]}
            for one in results.tools
        ],
    }


def _result_json(what: str, result: Result) -> dict[str, object]:
    return {
        what: result.message,
        **({"channel": result.channel} if result.channel else {}),
        "month": result.month,
        "sent": result.sent,
        **({name: _in(result, states) for name, states in _FAILED.items()} if result.channel else {}),
        **result.told,
        "people": result.people,
        "reached": result.reached,
        "rate": _rounded(result.rate),
        "goals": result.goals,
        "value": _money(result.value),
    }


def _side_json(side: Side) -> dict[str, object]:
    return {
        "people": side.people,
        "reached": side.reached,
        "rate": _rounded(side.rate),
        "goals": side.goals,
        "value": _money(side.value),
        "value_per_person": _rounded(side.per_person),
    }


def _comparison_json(compared: Comparison | None) -> dict[str, object] | None:
    if compared is None:
        return None
    return {
        "treated": _side_json(compared.treated),
        "held_out": _side_json(compared.held_out),
        "on_both_sides": compared.mixed,
        "rate": _difference_json(compared.rate),
        "value_per_person": _difference_json(compared.per_person),
    }


def _difference_json(one: Difference | None) -> dict[str, object] | None:
    if one is None:
        return None
    return {"difference": _rounded(one.value), "low": _rounded(one.low), "high": _rounded(one.high)}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)


def _money(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)


# CSV ---------------------------------------------------------------------------------------------------------------

_BEFORE, _AFTER = (
    ("row", "name", "message", "channel", "month", "sent"),
    ("people", "reached", "rate", "goals", "value"),
)
_COLUMNS = (*_BEFORE, *_FAILED, *TOLD, *_AFTER)


def results_csv(results: Results) -> str:
    """For spreadsheets: ``row`` says what a line is about: the messages of a journey's step (``message``), those of
    another tool's ``campaign``, or the people who were ``treated`` and ``held_out``. What does not apply is empty."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for one in results.journeys:
        for each in one.results:
            writer.writerow(_csv("message", one.journey, _result_json("message", each)))
        groups = {"treated": one.comparison.treated if one.comparison else one.entered}
        if one.comparison:
            groups["held_out"] = one.comparison.held_out
        for name, side in groups.items():
            told = _side_json(side)
            del told["value_per_person"]
            writer.writerow(_csv(name, one.journey, told))
    for tool in results.tools:
        for each in tool.results:
            told = _result_json("message", each)
            writer.writerow(_csv("campaign", tool.tool, told))
    return file.getvalue()


def _csv(row: str, name: str, told: Mapping[str, object]) -> dict[str, object]:
    cells = {"row": row, "name": _no_formula(name), **told}
    if "message" in cells:
        cells["message"] = _no_formula(str(cells["message"]))
    return cells


_FORMULA = re.compile(r"^(?=[\t\r\n])|(^|[;\t\r\n])(?=[ ]*\"?[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a spreadsheet would see a formula begin (OWASP, CSV injection): at the beginning of a cell; and behind a
semicolon or a tab, where it takes these for the end of one."""


def _no_formula(text: str) -> str:
    """What came in from outside, as a text to every spreadsheet."""
    return _FORMULA.sub(r"\1'", text)
