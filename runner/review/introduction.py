"""What a journey is that is new: who enters it, how many steps and messages it has, when time first starts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from runner.journey.graph import walk
from runner.journey.model import Journey, Send, Trigger
from runner.journey.model.timed import DateTrigger, ScheduleTrigger
from runner.journey.project import Project, journey_path
from runner.journey.shown import printable
from runner.journey.template import templates_sent
from runner.journey.yaml import Fields
from runner.review.altered import inline
from runner.review.difference_report import cut
from runner.review.reporters import counted
from runner.store.journeys.standing import people_with
from runner.store.local_time.wall_clock import next_firing
from runner.store.statement import Connection


@dataclass(frozen=True, kw_only=True)
class Messages:
    """How many messages go by a channel, and the locales in which they are written."""

    channel: str
    count: int
    locales: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FirstFiring:
    """``local`` is what the clock shows when a schedule fires first (``2026-03-02T09:00``), in ``timezone``, or where
    each contact lives, which is None."""

    local: str
    timezone: str | None


@dataclass(frozen=True, kw_only=True)
class Introduction:
    """``trigger`` is as its author wrote it, on one line. ``dated`` are the contacts that have the date of its first
    date trigger; None where it has none, or there is no database."""

    trigger: str
    steps: int
    messages: tuple[Messages, ...]
    firings: tuple[FirstFiring, ...] = ()
    dated: int | None = None


def introduction(
    project: Project, journey: Journey, now: datetime, connection: Connection | None
) -> Introduction:
    """Of the journey as it would be applied to the database of ``connection`` at ``now``. Reads all contacts where they
    enter by a date."""
    tree = project.trees[journey_path(journey.name)]
    said = tree.get("trigger") if isinstance(tree, Fields) else None
    dates = [each.date for each in journey.triggers if isinstance(each, DateTrigger)]
    zone = project.catalog.timezone
    return Introduction(
        trigger=inline(said) if said is not None else "",
        steps=sum(1 for _ in walk(journey.steps)),
        messages=tuple(_messages(project, journey)),
        firings=tuple(each for trigger in journey.triggers for each in _firings(trigger, zone, now)),
        dated=people_with(connection, dates[0], zone, now) if dates and connection is not None else None,
    )


def _messages(project: Project, journey: Journey) -> Iterator[Messages]:
    sends: dict[str, list[Send]] = {}
    for step in walk(journey.steps):
        if isinstance(step.verb, Send):
            sends.setdefault(step.verb.channel, []).append(step.verb)
    for channel, by_it in sends.items():
        written = templates_sent(project.templates[journey.name], by_it)
        locales = tuple(sorted({each.written_in for each in written}))
        yield Messages(channel=channel, count=len(by_it), locales=locales)


def _firings(trigger: Trigger, zone: str, now: datetime) -> Iterator[FirstFiring]:
    if isinstance(trigger, ScheduleTrigger):
        firing = next_firing(trigger.cron, trigger.timezone or zone, now)
        if firing is not None:
            yield FirstFiring(local=firing.nominal, timezone=trigger.timezone)


def introduction_lines(found: Introduction) -> Iterator[str]:
    """One for who enters it, and when; one for what it does."""
    first = [f"fires first at {_clock(each)}" for each in found.firings]
    dated = [f"{counted(found.dated, 'contact')} with its date"] if found.dated is not None else []
    yield ", ".join([f"trigger: {cut(printable(found.trigger))}", *first, *dated])
    yield ", ".join([counted(found.steps, "step"), *(_told(each) for each in found.messages)])


def _clock(first: FirstFiring) -> str:
    return f"{first.local.replace('T', ' ')} {first.timezone or 'where each contact lives'}"


def _told(messages: Messages) -> str:
    written = f" ({' '.join(messages.locales)})" if messages.locales else ""
    return f"{counted(messages.count, 'message')} by {messages.channel}{written}"
