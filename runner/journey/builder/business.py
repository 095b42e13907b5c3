"""Costs, goals and links of the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from runner.journey.builder.notes import Notes, fields_of, items_of, text_of
from runner.journey.builder.policies import share_of
from runner.journey.business import PLACEHOLDERS, BusinessGoal, Cost, LinkSettings, Metric, Period
from runner.journey.words import did_you_mean, listed
from runner.journey.yaml import Fields, Scalar, Value


def build_costs(value: Value | None) -> tuple[Cost, ...]:
    """What is paid beside the messages."""
    return tuple(
        Cost(name=name, amount=amount, per=Period(per))
        for fields in _each(value)
        if (name := text_of(fields.get("name")))
        and (amount := amount_of(fields.get("amount"))) is not None
        and (per := text_of(fields.get("per"))) in set(Period)
    )


def build_goals(notes: Notes, value: Value | None) -> tuple[BusinessGoal, ...]:
    """What journeys are to bring. Which journeys there are is looked at with the whole project."""
    return tuple(goal for fields in _each(value) if (goal := _goal(notes, fields)))


def _goal(notes: Notes, fields: Fields) -> BusinessGoal | None:
    name, metric = text_of(fields.get("name")), text_of(fields.get("metric"))
    target, by = amount_of(fields.get("target")), _date(notes, fields.get("by"))
    share = share_of(notes, fields.get("alert_below"))
    if not name or metric not in set(Metric) or target is None or by is None:
        return None
    return BusinessGoal(
        name=name,
        metric=Metric(metric),
        target=target,
        by=by,
        journeys=tuple(text for item in items_of(fields.get("journeys")) if (text := text_of(item))),
        alert_below=None if share is None else Decimal(share) / 10_000,
    )


def build_links(notes: Notes, value: Value | None) -> LinkSettings:
    """How links are written and tagged."""
    fields = fields_of(value)
    utm = fields_of(fields.get("utm")) if fields else None
    tags = {field.key: text for field in (utm.fields if utm else ()) if (text := text_of(field.value))}
    for field in utm.fields if utm else ():
        for match in re.finditer(r"\{([^{}]*)\}", tags.get(field.key, "")):
            if match[1] not in PLACEHOLDERS:
                hint = did_you_mean(match[1], PLACEHOLDERS) or f"There are {listed(PLACEHOLDERS, 'and')}."
                message = f"Nothing stands for `{match[0]}`."
                assert isinstance(field.value, Scalar)
                notes.note(
                    "links/placeholder", message, field.value.place(match.start(), len(match[0])), hint
                )
    return LinkSettings(domain=text_of(fields.get("domain")) if fields else None, utm=tags)


def amount_of(value: Value | None) -> Decimal | None:
    """An amount of money or of anything else; None for what is no number."""
    number = value.value if isinstance(value, Scalar) else None
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        return None
    return Decimal(number)


def _date(notes: Notes, value: Value | None) -> date | None:
    text = text_of(value)
    if value is None or not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        notes.note("goal/date", f"`{text}` is no day.", value.span, "Write 2027-02-21.")
        return None


def _each(value: Value | None) -> Iterator[Fields]:
    for item in items_of(value):
        fields = fields_of(item)
        if fields is not None:
            yield fields
