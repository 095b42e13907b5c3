"""The numbers of journeys: who entered, where they stand, how they left, what they were sent, which goals
were reached.

The one place that computes them, for the state of a live database and for a backtest alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from runner.insight.step_names import step_names
from runner.journey.graph import walk
from runner.journey.model import Journey, Send
from runner.journey.values import MILLIONTHS
from runner.store.database import Database
from runner.store.tables import LET_GO, MessageStatus, RunStatus
from runner.store.watching import reports


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How many runs stand on a step right now."""

    step: str
    people: int


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How many runs ended for a reason."""

    reason: str
    runs: int


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """Messages that policy did not let go, and how many contacts they were meant for."""

    reason: str
    messages: int
    contacts: int


@dataclass(frozen=True, kw_only=True)
class Messages:
    """The messages of one send step on one channel. ``contacts`` counts those who were let one go."""

    step: str
    channel: str
    contacts: int
    states: Mapping[MessageStatus, int]
    blocked: tuple[Blocked, ...]

    @property
    def let_go(self) -> int:
        """How many messages policy let go, whatever became of them afterwards; those that were withheld left out."""
        let_go = sum(self.states.get(status, 0) for status in LET_GO)
        return let_go - self.states.get(MessageStatus.WITHHELD, 0)


@dataclass(frozen=True, kw_only=True)
class Goals:
    """Goals reached within their window. ``value`` is their sum; None where the goal has no value. Those of people who
    were held out are not among them: they are ``held_out``, None where nobody was."""

    conversions: int
    contacts: int
    value: Decimal | None
    held_out: Goals | None = None


@dataclass(frozen=True, kw_only=True)
class JourneyNumbers:
    """One journey's numbers. ``entered`` counts runs, ``contacts`` people, ``held_out`` those of them who were held
    out; steps and messages are in file order.
    """

    journey: str
    title: str
    entered: int
    contacts: int
    held_out: int
    active: int
    standing: tuple[Standing, ...]
    completed: int
    exits: tuple[Ended, ...]
    set_aside: tuple[Ended, ...]
    messages: tuple[Messages, ...]
    goals: Goals | None
    """None where the journey has no goal and never had one that was reached."""


def journey_numbers(database: Database, journeys: Iterable[Journey]) -> tuple[JourneyNumbers, ...]:
    """The numbers of ``journeys`` and of every other journey that has runs in the database, by name.

    A journey's send steps are all there, also those that nobody reached; steps that only older versions had
    come last. What a step counted under an earlier name is with it.
    """
    known = {journey.name: journey for journey in journeys}
    with database.read() as connection:
        names = step_names(connection, known.values())
        counts = _Counts(
            runs=reports.run_counts(connection, names),
            entries={count.journey: count for count in reports.entry_counts(connection)},
            messages=reports.message_counts(connection, names),
            recipients=reports.recipient_counts(connection, names),
            conversions={
                (count.journey, count.held_out): count for count in reports.conversion_counts(connection)
            },
        )
    return tuple(_numbers(name, known.get(name), counts) for name in sorted({*known, *counts.entries}))


def nothing_yet(journey: str) -> JourneyNumbers:
    """The numbers of a journey of which nothing is known but its name."""
    nothing = _Counts(runs=(), entries={}, messages=(), recipients={}, conversions={})
    return _numbers(journey, None, nothing)


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """The answers of the database, of all journeys together."""

    runs: Sequence[reports.RunCount]
    entries: Mapping[str, reports.EntryCount]
    messages: Sequence[reports.MessageCount]
    recipients: Mapping[tuple[str, str, str], int]
    conversions: Mapping[tuple[str, bool], reports.ConversionCount]


def _numbers(name: str, journey: Journey | None, counts: _Counts) -> JourneyNumbers:
    runs = [count for count in counts.runs if count.journey == name]
    entry = counts.entries.get(name)
    steps = tuple(walk(journey.steps)) if journey else ()
    place = {step.id: index for index, step in enumerate(steps)}
    standing = [count for count in runs if count.status is RunStatus.ACTIVE]
    standing.sort(key=lambda count: (place.get(str(count.step), len(place)), str(count.step)))
    sends = {(step.id, step.verb.channel) for step in steps if isinstance(step.verb, Send)}
    sends |= {(count.step, count.channel) for count in counts.messages if count.journey == name}
    return JourneyNumbers(
        journey=name,
        title=journey.title if journey else name,
        entered=entry.runs if entry else 0,
        contacts=entry.contacts if entry else 0,
        held_out=entry.held_out if entry else 0,
        active=sum(count.runs for count in standing),
        standing=tuple(Standing(step=str(count.step), people=count.runs) for count in standing),
        completed=sum(count.runs for count in runs if count.status is RunStatus.COMPLETED),
        exits=_ended(runs, RunStatus.EXITED),
        set_aside=_ended(runs, RunStatus.SET_ASIDE),
        messages=tuple(
            _messages(name, step, channel, counts)
            for step, channel in sorted(sends, key=lambda send: (place.get(send[0], len(place)), send))
        ),
        goals=_goals(
            journey,
            counts.conversions.get((name, False)),
            counts.conversions.get((name, True)),
            some_held_out=bool(entry and entry.held_out),
        ),
    )


def _ended(runs: Sequence[reports.RunCount], status: RunStatus) -> tuple[Ended, ...]:
    """The most frequent reason first."""
    ended = [Ended(reason=count.reason or "", runs=count.runs) for count in runs if count.status is status]
    return tuple(sorted(ended, key=lambda item: (-item.runs, item.reason)))


def _messages(journey: str, step: str, channel: str, counts: _Counts) -> Messages:
    own = [
        count
        for count in counts.messages
        if (count.journey, count.step, count.channel) == (journey, step, channel)
    ]
    blocked = [
        Blocked(reason=count.reason or "", messages=count.messages, contacts=count.contacts)
        for count in own
        if count.status is MessageStatus.BLOCKED
    ]
    states = {
        status: sum(count.messages for count in own if count.status is status) for status in MessageStatus
    }
    return Messages(
        step=step,
        channel=channel,
        contacts=counts.recipients.get((journey, step, channel), 0),
        states={status: number for status, number in states.items() if number},
        blocked=tuple(sorted(blocked, key=lambda item: (-item.messages, item.reason))),
    )


def _goals(
    journey: Journey | None,
    count: reports.ConversionCount | None,
    held_out: reports.ConversionCount | None,
    *,
    some_held_out: bool,
) -> Goals | None:
    goal = journey.goal if journey else None
    if count is None and held_out is None and goal is None:
        return None
    valued = goal is not None and goal.value is not None
    theirs = _counted(held_out, None, valued=valued) if some_held_out else None
    return _counted(count, theirs, valued=valued)


def _counted(count: reports.ConversionCount | None, held_out: Goals | None, *, valued: bool) -> Goals:
    millionths = count.value if count else None
    if millionths is None and valued:
        millionths = 0
    return Goals(
        conversions=count.conversions if count else 0,
        contacts=count.contacts if count else 0,
        value=None if millionths is None else Decimal(millionths) / MILLIONTHS,
        held_out=held_out,
    )
