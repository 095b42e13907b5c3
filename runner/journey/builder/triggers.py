"""The triggers of a journey: a builder for each form, and what ``trigger.*`` reads in a run that it has started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from runner.journey.builder.catalog import property_types
from runner.journey.builder.kinds import WRITABLE, a_kind
from runner.journey.builder.notes import Notes, fields_of, text_of
from runner.journey.builder.timed import date, schedule
from runner.journey.catalog import EVERY_CHANNEL, Topic
from runner.journey.expression import Expression, Scope
from runner.journey.expression.tree import Comparison, IsNone, Literal, Logic, Name, Node
from runner.journey.model.triggers import (
    AttributeTrigger,
    ConsentChange,
    ConsentTrigger,
    EventTrigger,
    JourneyTrigger,
    ManualTrigger,
    SegmentChange,
    SegmentTrigger,
    Trigger,
)
from runner.journey.reserved import (
    ATTRIBUTE_CHANGED,
    CONSENT_CHANGED,
    DATE_REACHED,
    ENROLLED,
    JOURNEY_ENDED,
    PROPERTIES,
    SCHEDULE_FIRED,
    SEGMENT_ENTERED,
)
from runner.journey.values import BOOLEAN, STRING, ValueType
from runner.journey.yaml import Fields, Scalar

Types = Mapping[str, ValueType]


class TriggerBuilder:
    """Makes triggers. ``journey`` is the name of the journey that they start."""

    def __init__(self, notes: Notes, journey: str) -> None:
        self.notes = notes
        self.journey = journey
        self.scope = Scope(catalog=notes.catalog)
        """A trigger is looked at before there is a run that could have values."""

    def trigger(self, fields: Fields) -> Trigger | None:
        """The trigger; None where it cannot be made, what is wrong with it noted."""
        form = _form(fields)
        return FORMS[form][0](self, fields) if form else None

    def properties(self, fields: Fields) -> Types | None:
        """What ``trigger.*`` may read in a run that it starts; None where nobody knows."""
        form = _form(fields)
        return FORMS[form][1](self, fields) if form else None

    def label(self, fields: Fields) -> str:
        """How a message names the trigger: its event, or its form."""
        form = _form(fields) or ""
        return text_of(fields.get("event")) or f"{form}: {text_of(fields.get(form)) or '…'}"

    def named(self, fields: Fields, key: str, what: str, among: Mapping[str, object]) -> str | None:
        """The name under ``key``, of something that the catalog has."""
        value = fields.get(key)
        name = text_of(value)
        if value is None or name is None:
            return None
        if name in among:
            return name
        # One that is declared, and wrong, is told there.
        if what != "segment" or name not in self.notes.catalog.unreadable_segments:
            self.notes.unknown(what, name, list(among), value.span)
        return None

    def attribute_type(self, name: str) -> ValueType | None:
        return self.scope.contact_type(name)


def _form(fields: Fields) -> str | None:
    """The form of a trigger: the key that decides for it. None where there is not exactly one."""
    forms = [form for form in FORMS if form in fields]
    return forms[0] if len(forms) == 1 else None


def _of_event(name: str, type: ValueType = STRING) -> Name:
    return Name("event", (name,), type)


def _is(name: str, value: str) -> Node:
    return Comparison("==", _of_event(name), Literal(value, STRING))


def _all(source: str, *conditions: Node) -> Expression:
    tree = conditions[0] if len(conditions) == 1 else Logic("and", conditions)
    return Expression(source, tree, BOOLEAN)


# Events -------------------------------------------------------------------------------------------------------------


def _event(builder: TriggerBuilder, fields: Fields) -> EventTrigger | None:
    value = fields.get("event")
    name = text_of(value)
    if value is None or name is None:
        return None
    properties = builder.scope.event_properties(name)
    if properties is None:
        builder.notes.unknown("event", name, builder.scope.event_names(), value.span)
        return None
    scope = replace(builder.scope, event=properties)
    where = builder.notes.expression(fields.get("where"), scope, expect=BOOLEAN)
    builder.notes.heard(name, where, fields, value.span, "contact")
    return EventTrigger(event=name, where=where)


def _event_properties(builder: TriggerBuilder, fields: Fields) -> Types | None:
    name = text_of(fields.get("event"))
    return builder.scope.event_properties(name) if name else None


# Segments -----------------------------------------------------------------------------------------------------------


def _segment(builder: TriggerBuilder, fields: Fields) -> SegmentTrigger | None:
    segments = builder.notes.catalog.segments
    name = builder.named(fields, "segment", "segment", segments)
    change = text_of(fields.get("change"))
    if name is None or change not in set(SegmentChange):
        return None
    return SegmentTrigger(
        segment=name,
        when=segments[name].when,
        refresh=segments[name].refresh,
        change=SegmentChange(change),
        where=_all(f'event.segment == "{name}"', _is("segment", name)),
    )


# Attributes ---------------------------------------------------------------------------------------------------------


def _attribute(builder: TriggerBuilder, fields: Fields) -> AttributeTrigger | None:
    value = fields.get("attribute")
    name = text_of(value)
    if value is None or name is None:
        return None
    type = _attribute_type(builder, name)
    if type is None:
        if name not in builder.notes.catalog.unreadable:
            builder.notes.unknown("attribute", name, _attribute_names(builder), value.span)
        return None
    if type.kind not in WRITABLE or name == "id":
        hint = "Make a segment of what you look for, and let the trigger name that."
        message = f"A trigger cannot watch `{name}`, {a_kind(type)}."
        builder.notes.note("trigger/attribute", message, value.span, hint)
        return None
    conditions: list[Node] = [_is("attribute", name)]
    source = f'event.attribute == "{name}"'
    becomes: Expression | None = None
    for key, member in (("from", "old"), ("to", "new")):
        given = fields.get(key)
        if not isinstance(given, Scalar):
            continue
        literal = builder.notes.literal(given, type)
        if literal is None:
            return None
        conditions.append(_equals(_of_event(member, type), literal.tree))
        source += f" and event.{member} == {literal.source}"
        if key == "to":
            known = Expression(source, _equals(Name("contact", (name,), type), literal.tree), BOOLEAN)
            becomes = known
    return AttributeTrigger(attribute=name, type=type, becomes=becomes, where=_all(source, *conditions))


def _equals(name: Node, literal: Node) -> Node:
    missing = isinstance(literal, Literal) and literal.value is None
    return IsNone(name, negated=False) if missing else Comparison("==", name, literal)


def _attribute_type(builder: TriggerBuilder, name: str) -> ValueType | None:
    return builder.attribute_type(name)


def _attribute_names(builder: TriggerBuilder) -> list[str]:
    catalog = builder.notes.catalog
    return [*catalog.attributes, "email", "phone", "timezone", "locale"]


def _attribute_properties(builder: TriggerBuilder, fields: Fields) -> Types | None:
    name = text_of(fields.get("attribute"))
    type = _attribute_type(builder, name) if name else None
    return None if type is None else {**PROPERTIES[ATTRIBUTE_CHANGED], "old": type, "new": type}


# Consent ------------------------------------------------------------------------------------------------------------


def _consent(builder: TriggerBuilder, fields: Fields) -> ConsentTrigger | None:
    catalog = builder.notes.catalog
    topic = builder.named(fields, "consent", "topic", catalog.topics)
    channel = builder.named(fields, "channel", "channel", catalog.channels)
    change = text_of(fields.get("change"))
    channel_is_wrong = "channel" in fields and channel is None
    if topic is None or channel_is_wrong or change not in set(ConsentChange):
        return None
    if not _can_become(builder, fields, catalog.topics[topic], ConsentChange(change)):
        return None
    of = channel or EVERY_CHANNEL
    return ConsentTrigger(
        topic=topic,
        channel=channel,
        change=ConsentChange(change),
        stale_after=catalog.topics[topic].stale_after if change == ConsentChange.STALE else None,
        where=_all(
            f'event.topic == "{topic}" and event.of == "{of}" and event.change == "{change}"',
            _is("topic", topic),
            _is("of", of),
            _is("change", change),
        ),
    )


def _can_become(builder: TriggerBuilder, fields: Fields, topic: Topic, change: ConsentChange) -> bool:
    """Whether the consent to ``topic`` ever becomes so; else it is noted why not."""
    value = fields.get("change")
    assert value is not None
    if topic.transactional:
        message = f"`{topic.name}` is sent without consent: no consent to it ever changes."
        builder.notes.note("trigger/consent", message, value.span)
        return False
    if change is ConsentChange.STALE and topic.stale_after is None:
        message = f"The consent to `{topic.name}` never grows stale."
        hint = "Give the topic a `stale_after` in the catalog, e.g. `stale_after: 730d`."
        builder.notes.note("trigger/consent", message, value.span, hint)
        return False
    return True


# Another journey's end, and by hand ---------------------------------------------------------------------------------


def _journey(_: TriggerBuilder, fields: Fields) -> JourneyTrigger | None:
    value = fields.get("journey")
    name, outcome = text_of(value), text_of(fields.get("outcome"))
    if value is None or name is None:
        return None
    conditions, source = [_is("journey", name)], f'event.journey == "{name}"'
    if outcome is not None:
        conditions.append(_is("outcome", outcome))
        source += f' and event.outcome == "{outcome}"'
    return JourneyTrigger(journey=name, outcome=outcome, where=_all(source, *conditions), span=value.span)


def _manual(builder: TriggerBuilder, fields: Fields) -> ManualTrigger:
    declared = fields_of(fields.get("properties"))
    return ManualTrigger(
        properties=property_types(builder.notes, declared) if declared else {},
        where=_all(f'event.journey == "{builder.journey}"', _is("journey", builder.journey)),
    )


def _manual_properties(builder: TriggerBuilder, fields: Fields) -> Types:
    declared = fields_of(fields.get("properties"))
    # What is wrong with them is noted when the trigger itself is built.
    quiet = Notes(builder.notes.catalog)
    return {**PROPERTIES[ENROLLED], **(property_types(quiet, declared) if declared else {})}


def _always(event: str) -> Read:
    return lambda _builder, _fields: PROPERTIES[event]


Made = Callable[[TriggerBuilder, Fields], Trigger | None]
Read = Callable[[TriggerBuilder, Fields], Types | None]
FORMS: Mapping[str, tuple[Made, Read]] = {
    "event": (_event, _event_properties),
    "segment": (_segment, _always(SEGMENT_ENTERED)),
    "attribute": (_attribute, _attribute_properties),
    "consent": (_consent, _always(CONSENT_CHANGED)),
    "schedule": (schedule, _always(SCHEDULE_FIRED)),
    "date": (date, _always(DATE_REACHED)),
    "journey": (_journey, _always(JOURNEY_ENDED)),
    "manual": (_manual, _manual_properties),
}
"""Of each form, by the key that decides for it: what makes the trigger, and what ``trigger.*`` reads."""
