"""The numbers of journeys for people (tables) and for programs (JSON values with a fixed order of keys)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from runner.insight.report import Ended, Goals, JourneyNumbers, Messages
from runner.journey.shown import printable
from runner.store.journeys.states import NEVER
from runner.store.tables import MessageStatus

INDENT = "  "


def instant_text(instant: datetime) -> str:
    """ISO 8601 in UTC; parts of a second only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def reason_text(
    reason: str | None,
    available_at: datetime | None,
    let_go_at: datetime,
    lease_until: datetime | None = None,
) -> str:
    """Why a message is as it is; of one that waits to be handed over (again), also until when, and of one that is
    being handed over, until when that may take."""
    waits = available_at is not None and available_at > let_go_at
    if available_at is not None and available_at >= NEVER:
        until = "kept back: the journey is paused"
    elif lease_until is not None:
        until = f"leased until {lease_until:%Y-%m-%d %H:%M:%S}"
    else:
        until = f"next attempt {available_at:%Y-%m-%d %H:%M:%S}" if waits else ""
    return "; ".join(text for text in (reason, until) if text)


def decimal_text(value: Decimal) -> str:
    """Without an exponent and without trailing zeros: ``1234.5``, ``0``."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def journey_json(numbers: JourneyNumbers) -> dict[str, object]:
    """One journey. ``value`` is a string, because sums of money are exact and a JSON number need not be."""
    goals = numbers.goals
    return {
        "journey": numbers.journey,
        "title": numbers.title,
        "entered": numbers.entered,
        "contacts": numbers.contacts,
        "held_out": numbers.held_out,
        "active": numbers.active,
        "standing": [{"step": item.step, "people": item.people} for item in numbers.standing],
        "completed": numbers.completed,
        "exits": [{"reason": item.reason, "runs": item.runs} for item in numbers.exits],
        "set_aside": [{"reason": item.reason, "runs": item.runs} for item in numbers.set_aside],
        "messages": [_messages_json(item) for item in numbers.messages],
        "goal": None
        if goals is None
        else {
            **_goals_json(goals),
            "held_out": None if goals.held_out is None else _goals_json(goals.held_out),
        },
    }


def _goals_json(goals: Goals) -> dict[str, object]:
    return {
        "conversions": goals.conversions,
        "contacts": goals.contacts,
        "value": None if goals.value is None else decimal_text(goals.value),
    }


def _messages_json(messages: Messages) -> dict[str, object]:
    return {
        "step": messages.step,
        "channel": messages.channel,
        "sent": messages.let_go,
        "contacts": messages.contacts,
        "blocked": [
            {"reason": item.reason, "messages": item.messages, "contacts": item.contacts}
            for item in messages.blocked
        ],
        "states": {status.value: count for status, count in messages.states.items()},
    }


def journey_text(numbers: JourneyNumbers, *, states: bool, facts: Sequence[tuple[str, str]] = ()) -> str:
    """One journey as a paragraph, which begins with ``facts`` (names and texts), and a table of its messages.

    With ``states`` the table has a column for each state that a message is in; otherwise one for what policy
    let go.
    """
    facts = [*facts, ("entered", _entered(numbers))]
    if numbers.active:
        standing = ", ".join(f"{item.step} {item.people:,}" for item in numbers.standing)
        facts.append(("in flight", f"{numbers.active:,} on: {standing}"))
    facts.append(("completed", f"{numbers.completed:,}"))
    facts.append(("exited", _ended(numbers.exits)))
    if numbers.set_aside:
        facts.append(("set aside", _ended(numbers.set_aside)))
    if numbers.goals is not None:
        facts.append(("goal", _goal(numbers.goals)))
        if numbers.goals.held_out is not None:
            facts.append(("held out", _goal(numbers.goals.held_out)))
    width = max(len(name) for name, _ in facts)
    lines = [titled(numbers.journey, numbers.title)]
    lines += [f"{INDENT}{name.ljust(width)}  {text}" for name, text in facts]
    if numbers.messages:
        lines += ["", *(INDENT + line for line in _message_table(numbers.messages, states))]
    return "\n".join(lines)


def titled(name: str, title: str) -> str:
    """A journey's name, and its title where that is another."""
    return printable(f"{name} · {title}" if title != name else name)


def _entered(numbers: JourneyNumbers) -> str:
    if not numbers.entered:
        return "0"
    text = f"{numbers.entered:,} by {count_text(numbers.contacts, 'contact')}"
    return f"{text}, {numbers.held_out:,} of them held out" if numbers.held_out else text


def _ended(ended: Sequence[Ended]) -> str:
    total = sum(item.runs for item in ended)
    return f"{total:,}: " + ", ".join(f"{item.reason} {item.runs:,}" for item in ended) if ended else "0"


def _goal(goals: Goals) -> str:
    if not goals.conversions:
        return "0"
    text = f"{goals.conversions:,} by {count_text(goals.contacts, 'contact')}"
    return text if goals.value is None else f"{text}, value {Decimal(decimal_text(goals.value)):,}"


def _message_table(messages: Sequence[Messages], states: bool) -> list[str]:
    if states:
        present = {status for item in messages for status in item.states} | {MessageStatus.SENT}
        seen = [status for status in MessageStatus if status in present]
        header = ["message", "channel", *(status.value for status in seen)]
        rows = [
            [item.step, item.channel, *(f"{item.states.get(status, 0):,}" for status in seen)]
            for item in messages
        ]
    else:
        also = [MessageStatus.BLOCKED]
        if any(item.states.get(MessageStatus.WITHHELD) for item in messages):
            also.insert(0, MessageStatus.WITHHELD)
        header = ["message", "channel", "sent", "contacts", *(status.value for status in also)]
        rows = [
            [
                item.step,
                item.channel,
                f"{item.let_go:,}",
                f"{item.contacts:,}",
                *(f"{item.states.get(status, 0):,}" for status in also),
            ]
            for item in messages
        ]
    notes = [
        ", ".join(
            f"{blocked.reason} {blocked.messages:,} ({count_text(blocked.contacts, 'contact')})"
            for blocked in item.blocked
        )
        for item in messages
    ]
    if any(notes):
        header.append("why blocked")
        rows = [[*row, note] for row, note in zip(rows, notes, strict=True)]
    return table_lines(header, rows, left={0, 1, len(header) - 1 if any(notes) else 0})


def table_lines(header: Sequence[str], rows: Iterable[Sequence[str]], left: set[int]) -> list[str]:
    """Lines of columns, each as wide as its widest cell; columns in ``left`` begin at the left, numbers end
    at the right.
    """
    table = [list(header), *([printable(each) for each in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def count_text(number: int, noun: str) -> str:
    """``1 contact``, ``1,238 contacts``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
