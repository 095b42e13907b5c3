"""Builds the triggers that time itself pulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.journey.builder.catalog import zone_problem
from runner.journey.builder.kinds import a_kind, parse_time
from runner.journey.builder.notes import text_of
from runner.journey.cron import CronError, parse_cron
from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.expression.tree import Comparison, Conditional, IsNone, Literal, Logic, Name, Node
from runner.journey.model.timed import CatchUp, DateTrigger, IfPast, ScheduleTrigger
from runner.journey.values import BOOLEAN, STRING, Kind
from runner.journey.yaml import Fields

if TYPE_CHECKING:
    from runner.journey.builder.triggers import TriggerBuilder

LONGEST_YEARLY_OFFSET = 366


def schedule(builder: TriggerBuilder, fields: Fields) -> ScheduleTrigger | None:
    notes = builder.notes
    value, text = fields.get("schedule"), text_of(fields.get("schedule"))
    audience_value = fields.get("audience")
    audience = notes.expression(audience_value, builder.scope, expect=BOOLEAN)
    zone, zone_is_known = _zone(builder, fields)
    if (
        value is None
        or text is None
        or not zone_is_known
        or (audience_value is not None and audience is None)
    ):
        return None
    try:
        cron = parse_cron(text)
    except CronError as error:
        notes.note("trigger/schedule", str(error), value.span, error.hint)
        return None
    cause = f"{builder.journey} schedule {cron.canonical} {zone or 'contact'}"
    catch_up = text_of(fields.get("catch_up"))
    return ScheduleTrigger(
        cause=cause,
        cron=cron,
        timezone=zone,
        audience=audience,
        catch_up=CatchUp(catch_up) if catch_up in set(CatchUp) else CatchUp.ONCE,
        where=_of_cause(builder, cause, audience, own_zone=zone is None),
    )


def _zone(builder: TriggerBuilder, fields: Fields) -> tuple[str | None, bool]:
    """The zone that the schedule names, None for the contact's own; and whether there is one."""
    value = fields.get("timezone")
    name = text_of(value)
    if value is None or name is None:
        return builder.notes.catalog.timezone, True
    if name == "contact":
        return None, True
    trouble = zone_problem(name)
    if trouble:
        hint = trouble[1] or "Write an IANA name, e.g. Europe/Berlin, or `contact`."
        builder.notes.note("timezone/unknown", trouble[0], value.span, hint)
        return None, False
    return name, True


def _of_cause(
    builder: TriggerBuilder, cause: str, audience: Expression | None = None, *, own_zone: bool = False
) -> Expression:
    """True of the events of one cause, for those for whom it holds. Somebody who has moved to another zone before the
    event took its turn is no longer where the clock showed that time."""
    # Made, not parsed: in a project with mistakes, a cause may hold anything.
    source = f'event.cause == "{cause}"'
    tree: Node = Comparison("==", Name("event", ("cause",), STRING), Literal(cause, STRING))
    if own_zone:
        own, otherwise = Name("contact", ("timezone",), STRING), builder.notes.catalog.timezone
        zone = Conditional(IsNone(own, negated=True), own, Literal(otherwise, STRING), STRING)
        source += f' and event.zone == (contact.timezone if contact.timezone is not None else "{otherwise}")'
        tree = Logic("and", (tree, Comparison("==", Name("event", ("zone",), STRING), zone)))
    if audience is None:
        return Expression(source, tree, BOOLEAN)
    return Expression(f"{source} and ({audience.source})", Logic("and", (tree, audience.tree)), BOOLEAN)


def date(builder: TriggerBuilder, fields: Fields) -> DateTrigger | None:
    notes = builder.notes
    value = fields.get("date")
    found = notes.expression(value, builder.scope)
    offset = notes.duration(fields.get("offset"), negative=True, zero=True)
    if value is None or found is None or ("offset" in fields and offset is None):
        return None
    tree = found.tree
    if not (isinstance(tree, Name) and tree.source == "contact"):
        hint = "Write it as contact.NAME; what else there is to ask, a `condition` may ask."
        notes.note("trigger/date", "The date of a trigger is an attribute of the contact.", value.span, hint)
        return None
    if found.type.kind not in (Kind.DATE, Kind.DATETIME):
        message = f"`date` must be a date, and `{found.source}` is {a_kind(found.type)}."
        notes.note("trigger/date", message, value.span)
        return None
    yearly = "every" in fields
    offset = offset or Duration()
    offset_value = fields.get("offset")
    if yearly and offset_value and abs(offset.elapsed) > LONGEST_YEARLY_OFFSET * 86_400_000_000:
        message = "A date of every year is moved by a year at most."
        notes.note("trigger/date", message, offset_value.span)
        return None
    at, if_past = text_of(fields.get("at")), text_of(fields.get("if_past"))
    when = f"{offset.days}d{offset.microseconds} {at or ''}"
    how = "yearly" if yearly else "once"
    zone = notes.catalog.timezone
    cause = f"{builder.journey} date {'.'.join(tree.path)} {found.type.kind.value} {how} {when} {zone}"
    return DateTrigger(
        cause=cause,
        date=found,
        yearly=yearly,
        offset=offset,
        at=parse_time(at) if at else None,
        if_past=IfPast(if_past) if if_past in set(IfPast) else IfPast.SKIP,
        where=_of_cause(builder, cause),
    )
