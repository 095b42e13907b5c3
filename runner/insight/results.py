"""What messages led to: by journey, message and month, those who were treated against those who were held out, and what
other tools sent beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from runner.insight.step_names import step_names
from runner.insight.uplift import (
    LEAST_BUYERS,
    LEAST_PEOPLE,
    Difference,
    mean_difference,
    rate_difference,
)
from runner.journey.business import Campaigns
from runner.journey.graph import walk
from runner.journey.model import Journey
from runner.journey.project import Project
from runner.journey.values import MILLIONTHS, Kind
from runner.journey.words import did_you_mean, listed
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.tables import MessageStatus
from runner.store.watching.campaigns import campaign_span, campaigns_led
from runner.store.watching.control import Group, Sides, sides
from runner.store.watching.sendings import Led, Period, message_span, messages_led


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the messages of one step, or of one campaign, led to that were sent in ``month`` (``2026-03``).

    ``people`` were sent one; ``reached`` of them reached the goal after it, ``goals`` times, for ``value``, which is
    None where no goal had one. ``told`` counts messages that were delivered, opened, clicked …"""

    message: str
    channel: str
    month: str
    sent: int
    people: int
    reached: int
    goals: int
    value: Decimal | None
    told: Mapping[str, int]
    states: Mapping[MessageStatus, int]

    @property
    def rate(self) -> float | None:
        """The part of the people who reached the goal."""
        return self.reached / self.people if self.people else None


@dataclass(frozen=True, kw_only=True)
class Side:
    """People who entered a journey, and what they did: see ``Result``."""

    people: int
    reached: int
    goals: int
    value: Decimal | None

    @property
    def rate(self) -> float | None:
        return self.reached / self.people if self.people else None

    @property
    def per_person(self) -> float | None:
        """The value a person who entered."""
        return None if self.value is None or not self.people else float(self.value) / self.people


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``rate`` and ``per_person`` are None where there are too few people to tell, or nothing to compare. ``mixed``
    people were on both sides, and count on neither."""

    treated: Side
    held_out: Side
    mixed: int
    rate: Difference | None
    per_person: Difference | None


@dataclass(frozen=True, kw_only=True)
class JourneyResults:
    """``entered`` are all who entered and were not held out; ``comparison`` is None where nobody was."""

    journey: str
    title: str
    has_goal: bool
    results: tuple[Result, ...]
    entered: Side
    comparison: Comparison | None


@dataclass(frozen=True, kw_only=True)
class ToolResults:
    """The campaigns of another tool."""

    tool: str
    results: tuple[Result, ...]


@dataclass(frozen=True, kw_only=True)
class Results:
    """``since`` and ``until`` are days of the zone ``timezone``, both included; None for no such end."""

    timezone: str
    since: date | None
    until: date | None
    journeys: tuple[JourneyResults, ...]
    tools: tuple[ToolResults, ...]


def read_results(
    database: Database,
    project: Project,
    *,
    since: date | None = None,
    until: date | None = None,
    journey: str | None = None,
) -> Results:
    """The results of the messages sent, and of the people entered, from ``since`` to ``until``. Raises JourneysError
    where nobody knows ``journey``."""
    catalog = project.catalog
    zone = ZoneInfo(catalog.timezone)
    period = Period(
        since=_midnight(since, zone) if since else None,
        until=_midnight(until + timedelta(days=1), zone) if until else None,
    )
    with database.read() as connection:
        spans = [message_span(connection, period)]
        spans += [campaign_span(connection, tool, period) for tool in catalog.campaigns]
        months = _months([instant for span in spans for instant in span], zone)
        begins = list(months.values())
        led = messages_led(
            connection, period, begins, journey, step_names(connection, project.journeys.values())
        )
        people = sides(connection, period, journey, comparable=False)
        compared = sides(connection, period, journey, comparable=True)
        tools = {
            tool.tool: (tool, campaigns_led(connection, tool, period, begins, timezone=catalog.timezone))
            for tool in catalog.campaigns
        }
    names = {*project.journeys, *people, *(each.name for each in led)}
    if journey is not None and journey not in names:
        there_are = f". There are: {listed(sorted(names), 'and')}" if names else ""
        near = did_you_mean(journey, sorted(names))
        raise JourneysError(
            f"there is no journey {journey!r}, and nobody ever entered one of that name"
            f"{f'. {near}' if near else there_are}"
        )
    labels = list(months)
    return Results(
        timezone=catalog.timezone,
        since=since,
        until=until,
        journeys=tuple(
            _journey(
                name,
                project.journeys.get(name),
                [each for each in led if each.name == name],
                labels,
                people.get(name),
                compared.get(name),
            )
            for name in ([journey] if journey else sorted(names))
        ),
        tools=tuple(
            ToolResults(tool=name, results=_campaigns(tool, rows, labels))
            for name, (tool, rows) in tools.items()
        ),
    )


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _months(instants: Iterable[datetime], zone: ZoneInfo) -> dict[str, datetime]:
    """The months from the first to the last of ``instants``, and when each begins."""
    found = [instant.astimezone(zone) for instant in instants]
    if not found:
        return {}
    month, last = min(found).date().replace(day=1), max(found).date()
    months: dict[str, datetime] = {}
    while month <= last:
        months[f"{month:%Y-%m}"] = _midnight(month, zone)
        month = (month + timedelta(days=31)).replace(day=1)
    return months


def _journey(
    name: str,
    journey: Journey | None,
    led: Sequence[Led],
    months: Sequence[str],
    people: Sides | None,
    compared: Sides | None,
) -> JourneyResults:
    place = {step.id: index for index, step in enumerate(walk(journey.steps))} if journey else {}
    ordered = sorted(
        led, key=lambda each: (place.get(each.step, len(place)), each.step, each.channel, each.month)
    )
    nobody = Sides(treated=Group(), held_out=Group(), mixed=0)
    valued = journey is not None and journey.goal is not None and journey.goal.value is not None
    everybody = people or nobody
    return JourneyResults(
        journey=name,
        title=journey.title if journey else name,
        has_goal=(journey is not None and journey.goal is not None) or any(each.goals for each in led),
        results=tuple(_result(each, each.step, months, valued=valued) for each in ordered),
        entered=_side(everybody.treated, valued=valued),
        comparison=_comparison(compared or nobody, valued=valued)
        if everybody.held_out.people or everybody.mixed
        else None,
    )


def _campaigns(tool: Campaigns, led: Sequence[Led], months: Sequence[str]) -> tuple[Result, ...]:
    valued = tool.goal is not None and tool.goal.value is not None
    ordered = sorted(led, key=lambda each: (each.month, each.step))
    return tuple(_result(each, _label(tool, each.step), months, valued=valued) for each in ordered)


def _label(tool: Campaigns, stored: str) -> str:
    """The campaign as people know it: numbers are stored in millionths."""
    if tool.type.kind is Kind.NUMBER and stored:
        text = f"{Decimal(stored) / MILLIONTHS:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return stored


def _result(led: Led, message: str, months: Sequence[str], *, valued: bool) -> Result:
    return Result(
        message=message,
        channel=led.channel,
        month=months[led.month],
        sent=led.sent,
        people=led.people,
        reached=led.reached,
        goals=led.goals,
        value=_value(led.value, valued=valued),
        told=led.told,
        states=led.states,
    )


def _value(millionths: int | None, *, valued: bool) -> Decimal | None:
    if millionths is None:
        return Decimal(0) if valued else None
    return Decimal(millionths) / MILLIONTHS


def _side(group: Group, *, valued: bool) -> Side:
    return Side(
        people=group.people,
        reached=group.reached,
        goals=group.goals,
        value=_value(group.value, valued=valued),
    )


def _comparison(found: Sides, *, valued: bool) -> Comparison:
    treated, held_out = found.treated, found.held_out
    ours, theirs = _side(treated, valued=valued), _side(held_out, valued=valued)
    rate = per_person = None
    if min(treated.people, held_out.people) >= LEAST_PEOPLE:
        rate = rate_difference(treated.reached, treated.people, held_out.reached, held_out.people)
        if ours.value is not None and min(treated.reached, held_out.reached) >= LEAST_BUYERS:
            per_person = mean_difference(
                float(ours.value),
                treated.squares,
                treated.people,
                float(theirs.value or 0),
                held_out.squares,
                held_out.people,
            )
    return Comparison(treated=ours, held_out=theirs, mixed=found.mixed, rate=rate, per_person=per_person)
