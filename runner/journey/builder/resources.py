"""What the catalog lends to steps: pools of values to draw from, and the hours in which people work."""

from __future__ import annotations

from runner.journey.builder.kinds import parse_time
from runner.journey.builder.notes import Notes, fields_of, items_of, text_of
from runner.journey.hours import BusinessHours
from runner.journey.yaml import Field, Fields, Value

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WORKDAYS = frozenset(range(5))


def build_pools(value: Value | None) -> dict[str, str]:
    """The file of each pool, relative to ``journeys/``."""
    fields = fields_of(value)
    return {
        field.key: file
        for field in (fields.fields if fields else ())
        if (options := fields_of(field.value)) and (file := text_of(options.get("file")))
    }


def build_hours(notes: Notes, value: Value | None, timezone: str) -> dict[str, BusinessHours]:
    """Business hours by name; ``timezone`` is that of those who name none."""
    fields = fields_of(value)
    made = {}
    for field in fields.fields if fields else ():
        options = fields_of(field.value)
        found = _hours(notes, field, options, timezone) if options else None
        if found:
            made[field.key] = found
    return made


def _hours(notes: Notes, field: Field, options: Fields, timezone: str) -> BusinessHours | None:
    from runner.journey.builder.catalog import zone_problem

    begins_text, ends_text = text_of(options.get("from")), text_of(options.get("to"))
    begins = parse_time(begins_text) if begins_text else None
    ends = parse_time(ends_text) if ends_text else None
    zone_value = options.get("timezone")
    zone = text_of(zone_value)
    if zone is not None and zone_value is not None and (trouble := zone_problem(zone)):
        notes.note("timezone/unknown", trouble[0], zone_value.span, trouble[1])
        return None
    if begins is None or ends is None:
        return None
    if begins >= ends:
        message = f"`{field.key}` ends before it begins."
        notes.note("hours/order", message, options.key_span("to"), "Hours lie within one day.")
        return None
    said = frozenset(
        DAYS.index(day) for item in items_of(options.get("days")) if (day := text_of(item)) in DAYS
    )
    return BusinessHours(
        name=field.key, begins=begins, ends=ends, days=said or WORKDAYS, timezone=zone or timezone
    )
