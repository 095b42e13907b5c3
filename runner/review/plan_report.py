"""A plan as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from runner.journey.model import Timers
from runner.journey.words import listed
from runner.review.difference_report import difference_json, difference_lines
from runner.review.introduction import introduction_lines
from runner.review.planned import AtStep, Change, Going, InVersion, JourneyPlan, Plan
from runner.review.reporters import problem_json, summary, text_report
from runner.review.unsaid_renames import UnsaidRename
from runner.store.tables import JourneyState

SHORT_HASH = 12
"""Digits of a version's hash that are shown to people."""
_MINUTE = timedelta(minutes=1)


def compared_with_nothing(database: str) -> str:
    """What is said where nothing is at the URL of the database."""
    return f"There is no database at {database}: compared with nothing."


def plan_text(plan: Plan, sources: Mapping[str, str] | None = None, *, colour: bool = False) -> str:
    """A paragraph for each journey that changes, or is removed while people are in it, then the others, then what
    ``apply`` would refuse."""
    brief = {Change.UNCHANGED: list[str](), Change.REMOVED: list[str]()}
    parts = []
    for each in plan.journeys:
        if each.change in brief and not each.versions:
            brief[each.change].append(each.journey)
        else:
            parts.append("\n".join(_lines(each)))
    parts += [f"{change.value}: {', '.join(names)}" for change, names in brief.items() if names]
    if found := (*plan.problems, *plan.warnings):
        parts += [text_report(found, sources, colour=colour, folded=True), summary(found)]
    elif not plan.changes:
        parts.append("Nothing to apply.")
    return "\n\n".join(parts)


def _lines(found: JourneyPlan) -> Iterator[str]:
    hashes = [_short(each) for each in (found.before, found.after) if each is not None]
    stays = "" if found.state is JourneyState.LIVE else f"  ({found.state.value}, and stays so)"
    yield f"{found.journey}  {found.change.value}  {' → '.join(dict.fromkeys(hashes))}{stays}"
    if found.introduction is not None:
        yield from (f"  {line}" for line in introduction_lines(found.introduction))
    if found.differences is not None:
        yield from (f"  {line}" for line in difference_lines(found.differences))
    for version in found.versions:
        yield f"  {_heading(version, found.timers)}:"
        width = max(len(each.step) for each in version.steps)
        numbers = max(len(f"{each.people:,}") for each in version.steps)
        for each in version.steps:
            yield f"    {each.step:<{width}}  {each.people:>{numbers},}  {_going(each)}".rstrip()
        for template, reason in version.old_texts.items():
            yield f"    they read the old text of `{template}`, since {reason}"
        if version.delivery is not None:
            yield f"    `delivery: {version.delivery.value}` goes on for them, as their version says"
    for wait in found.recomputed:
        was = f", was {full_minute(wait.before)}" if wait.before is not None else ""
        yield f"  the last wait at `{wait.step}` ends {full_minute(wait.after)}{was}"
    for kept in found.kept:
        yield (
            f"  the waits of those at `{kept.step}` end when they would have ended,"
            f" by {full_minute(kept.until)} at the latest: `timers` is `keep`"
        )
    if found.overdue is None:
        yield "  how many are overdue by the new version is not known: the user of the database may only read"
    elif found.overdue:
        assert found.released_until is not None
        yield (
            f"  {people(found.overdue)} {_are(found.overdue)} overdue by the new version:"
            f" released one after the other until {full_minute(found.released_until)}"
        )
    yield from (f"  {_asked(each)}" for each in found.unsaid)
    if found.existing is not None:
        matches = "matches" if found.existing.people == 1 else "match"
        enters = "enters" if found.existing.people == 1 else "enter"
        enter = (
            f"and {enters}"
            if found.existing.enter
            else f"and do{'es' if matches[-2:] == 'es' else ''} not enter"
        )
        yield f"  {people(found.existing.people)} {matches} its trigger already, {enter}"


def _asked(unsaid: UnsaidRename) -> str:
    has = "has" if unsaid.people == 1 else "have"
    like = "with the same text" if unsaid.same_text else "in its place"
    else_ = "else they get it again" if unsaid.same_text else "else they get it, too"
    return (
        f"`{unsaid.gone}`, which {people(unsaid.people)} {has} passed, is gone, and `{unsaid.new}` is new {like}:"
        f" if it is a rename, say `moved: {{{unsaid.gone}: {unsaid.new}}}`;"
        f" {else_ if unsaid.again else 'else nothing knows that they have had it'}"
    )


_WAITS = {
    Timers.KEEP: "",
    Timers.RECOMPUTE: ", whose waits are computed anew, each from when it began",
    Timers.RESTART: ", whose waits begin anew",
}


def _heading(version: InVersion, timers: Timers) -> str:
    who, name = people(version.people), f"version {_short(version.hash)}"
    if any(each.going is not Going.FINISHES for each in version.steps):
        come = any(each.going in (Going.STAYS, Going.MOVES) for each in version.steps)
        return f"{who} in {name}{_WAITS[timers] if come else ''}"
    finish = "finishes" if version.people == 1 else "finish"
    if version.endless is not None:
        why = (
            f"`{version.endless}` may take any time"
            if version.put_off_by is None
            else f"a reader may put `{version.endless}` off by the link `{version.put_off_by}`"
        )
        return f"{who} {finish} {name}; nobody can tell by when, for {why}"
    assert version.until is not None
    return f"{who} {finish} {name}, by {full_minute(version.until)} at the latest"


def _going(at: AtStep) -> str:
    match at.going:
        case Going.STAYS:
            return f"carried over{_skipping(at)}"
        case Going.MOVES:
            return f"moved to `{at.to}`{_skipping(at)}"
        case Going.LEAVES:
            return f"ended: {at.to}"
        case Going.NOWHERE:
            return "nothing says where they go"
        case Going.FINISHES:
            return ""


def _skipping(at: AtStep) -> str:
    return f", skipping {listed(at.skipped, 'and')}" if at.skipped else ""


def people(count: int) -> str:
    """``1 person``, ``2,000 people``."""
    return "1 person" if count == 1 else f"{count:,} people"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _short(hash_: str) -> str:
    return hash_[:SHORT_HASH]


def full_minute(instant: datetime) -> str:
    """The first full minute by which it is past."""
    rounded = instant.astimezone(UTC).replace(second=0, microsecond=0)
    return f"{rounded if rounded == instant else rounded + _MINUTE:%Y-%m-%d %H:%M} UTC"


def plan_json(plan: Plan, *, database: str | None, found: bool) -> str:
    """An object with ``database`` (its ``url``, without secrets, None where it was not looked at; and whether it was
    ``found``, else everything is new), ``changes`` (whether there is something to apply), ``journeys``, ``problems``
    as ``check`` prints them. Instants are ISO 8601 in UTC."""
    told = {
        "database": {"url": database, "found": found},
        "changes": plan.changes,
        "journeys": [_journey(each) for each in plan.journeys],
        "problems": [problem_json(each) for each in (*plan.problems, *plan.warnings)],
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _journey(found: JourneyPlan) -> dict[str, object]:
    existing = found.existing
    return {
        "journey": found.journey,
        "change": found.change.value,
        "before": found.before,
        "after": found.after,
        "state": found.state.value,
        "introduction": None if found.introduction is None else asdict(found.introduction),
        "differences": [difference_json(each) for each in found.differences or ()],
        "versions": [
            {
                "version": version.hash,
                "people": version.people,
                "until": _instant(version.until),
                "endless": version.endless,
                "put_off_by": version.put_off_by,
                "old_texts": dict(version.old_texts),
                "delivery": version.delivery,
                "steps": [
                    {
                        "step": each.step,
                        "people": each.people,
                        "going": each.going.value,
                        "to": each.to,
                        "skipped": list(each.skipped),
                    }
                    for each in version.steps
                ],
            }
            for version in found.versions
        ],
        "timers": found.timers.value,
        "recomputed": [
            {"step": each.step, "before": _instant(each.before), "after": _instant(each.after)}
            for each in found.recomputed
        ],
        "kept": [{"step": each.step, "until": _instant(each.until)} for each in found.kept],
        "overdue": found.overdue,
        "released_until": _instant(found.released_until),
        "unsaid_renames": [
            {
                "gone": each.gone,
                "new": each.new,
                "people": each.people,
                "same_text": each.same_text,
                "again": each.again,
            }
            for each in found.unsaid
        ],
        "existing": None if existing is None else {"people": existing.people, "enter": existing.enter},
    }


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
