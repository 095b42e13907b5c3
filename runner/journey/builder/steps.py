"""The steps of a journey."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from runner.journey.builder.catalog import zone_problem
from runner.journey.builder.kinds import (
    WRITABLE,
    a_kind,
    literal_type,
    may_be_missing,
    parse_time,
    percent,
)
from runner.journey.builder.notes import Notes, fields_of, is_assigned_expression, items_of, text_of
from runner.journey.builder.outline import VERBS
from runner.journey.catalog import CONTACT_FIELDS
from runner.journey.duration import Duration
from runner.journey.expression import Expression, Scope, literal_expression
from runner.journey.model import (
    Arm,
    Branch,
    Case,
    Condition,
    Exit,
    Goto,
    Leave,
    LocalTimes,
    Send,
    Split,
    Step,
    Update,
    Verb,
    WaitEvent,
    WaitFor,
    WaitUntil,
)
from runner.journey.values import BOOLEAN, STRING, Kind, ValueType
from runner.journey.words import did_you_mean
from runner.journey.yaml import Fields, Scalar, Value

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WHOLE = 10_000
"""All arms together, in hundredths of a percent."""

_ZONE_NAME = re.compile(r"[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+)*")


class StepBuilder:
    """Makes steps. ``order`` has the place of every id of the file, for jumps forward; ``topic_said``: the
    journey names a topic, or tries to."""

    def __init__(
        self, notes: Notes, scope: Scope, order: dict[str, int], topic: str | None, *, topic_said: bool = True
    ) -> None:
        self.notes = notes
        self.topic_said = topic_said
        self.scope = scope
        self.order = order
        self.topic = topic

    def steps(self, value: Value | None) -> tuple[Step, ...]:
        """The steps of a list; those that cannot be made are left out, their problems noted."""
        made = (self.step(fields) for item in items_of(value) if (fields := fields_of(item)))
        return tuple(step for step in made if step)

    def step(self, fields: Fields) -> Step | None:
        step_id = text_of(fields.get("id"))
        verbs = [verb for verb in VERBS if verb in fields]
        if len(verbs) != 1:
            return None
        value = fields.get(verbs[0])
        assert value is not None
        verb: Verb | None = getattr(self, verbs[0])(value, step_id)
        if verb is None or step_id is None:
            return None
        id_value = fields.get("id")
        span = id_value.span if id_value else fields.span
        return Step(id=step_id, verb=verb, span=span, note=text_of(fields.get("note")))

    def wait(self, value: Value, step_id: str | None) -> Verb | None:
        options = fields_of(value)
        if options is None:
            duration = self.notes.duration(value)
            return WaitFor(duration=duration) if duration else None
        if "event" in options:
            return self.wait_event(options)
        if "until" in options:
            return self.wait_until(options, step_id)
        local = self.local_times(options)
        # `{for: 0m, at: "10:00"}` is the next ten o'clock.
        duration = self.notes.duration(options.get("for"), zero=local is not None)
        return WaitFor(duration=duration, local=local) if duration else None

    def wait_until(self, options: Fields, step_id: str | None) -> WaitUntil | None:
        until = options.get("until")
        date = self.notes.expression(until, self.scope)
        offset = self.notes.duration(options.get("offset"), negative=True, zero=True)
        local = self.local_times(options)
        if_past = self.leave(options.get("if_past"), step_id)
        if_missing = self.leave(options.get("if_missing"), step_id)
        if until is None or date is None:
            return None
        if date.type.kind not in (Kind.DATE, Kind.DATETIME):
            message = f"`until` must be a date, not {a_kind(date.type)}."
            self.notes.note("wait/no-date", message, until.span)
            return None
        if "if_missing" not in options and may_be_missing(date.tree):
            self.notes.note(
                "wait/if-missing",
                "This date may be missing; nothing says what happens then.",
                until.span,
                "Add `if_missing: continue`, `exit`, `wait` or `{goto: ID}`.",
            )
        return WaitUntil(
            date=date,
            offset=offset or Duration(),
            local=local,
            if_past=if_past or Leave.CONTINUE,
            if_missing=if_missing or Leave.CONTINUE,
        )

    def wait_event(self, options: Fields) -> WaitEvent | None:
        event, where = self.event_and_where(options)
        up_to = self.notes.duration(options.get("up_to"))
        then, timeout = self.steps(options.get("then")), self.steps(options.get("timeout"))
        if event is None or up_to is None:
            return None
        return WaitEvent(event=event, where=where, up_to=up_to, then=then, timeout=timeout)

    def event_and_where(self, options: Fields) -> tuple[str | None, Expression | None]:
        """The event of a trigger, exit, goal or wait, and the ``where`` that narrows it."""
        value = options.get("event")
        name = text_of(value)
        if value is None or name is None:
            return None, None
        properties = self.scope.event_properties(name)
        if properties is None:
            self.notes.unknown("event", name, self.scope.event_names(), value.span)
            return None, None
        return name, self.notes.expression(
            options.get("where"), replace(self.scope, event=properties), expect=BOOLEAN
        )

    def local_times(self, options: Fields) -> LocalTimes | None:
        if not any(key in options for key in ("at", "days", "timezone")):
            return None
        at = text_of(options.get("at"))
        days = frozenset(
            DAYS.index(day) for item in items_of(options.get("days")) if (day := text_of(item)) in DAYS
        )
        return LocalTimes(
            at=parse_time(at) if at else None,
            days=days or frozenset(range(7)),
            timezone=self.timezone(options.get("timezone")),
        )

    def timezone(self, value: Value | None) -> Expression | None:
        """Whose clock: None for the contact's own."""
        text = text_of(value)
        if value is None or text is None or text == "contact":
            return None
        if not _ZONE_NAME.fullmatch(text):
            return self.notes.expression(value, self.scope, expect=STRING)
        trouble = zone_problem(text)
        if trouble:
            self.notes.note("timezone/unknown", trouble[0], value.span, trouble[1])
            return None
        return literal_expression(text, STRING)

    def leave(self, value: Value | None, step_id: str | None) -> Leave | Goto | None:
        options = fields_of(value)
        if options is not None:
            target = options.get("goto")
            return self.goto(target, step_id) if target else None
        text = text_of(value)
        return Leave(text) if text in set(Leave) else None

    def condition(self, value: Value, _: str | None) -> Condition | None:
        options = fields_of(value)
        test = self.notes.expression(options.get("if") if options else value, self.scope, expect=BOOLEAN)
        otherwise = self.steps(options.get("else")) if options and "else" in options else None
        return Condition(test=test, otherwise=otherwise) if test else None

    def branch(self, value: Value, _: str | None) -> Branch | None:
        cases = [fields for item in items_of(value) if (fields := fields_of(item))]
        made = [case for fields in cases if (case := self.case(fields))]
        last = len(cases) - 1
        for index, fields in enumerate(cases):
            if "else" in fields and index != last:
                message = "The else case must be the last: no case after it is ever looked at."
                self.notes.note("branch/else-not-last", message, fields.key_span("else"))
        if cases and not any("else" in fields for fields in cases):
            self.notes.note(
                "branch/no-else",
                "This branch has no else case.",
                value.span,
                "End it with `- {name: rest, else: []}`: who fits no case then goes on after the branch.",
            )
        elif len(cases) == 1:
            message = "This branch has an else case alone: there is nothing to choose."
            self.notes.note("branch/one-case", message, value.span, "Add a case with `when` above it.")
        self.distinct_names(cases, "case")
        return Branch(cases=tuple(made)) if made and made[-1].when is None else None

    def case(self, fields: Fields) -> Case | None:
        name = text_of(fields.get("name"))
        if "else" in fields:
            return Case(name=name or "else", steps=self.steps(fields.get("else")), when=None)
        when = self.notes.expression(fields.get("when"), self.scope, expect=BOOLEAN)
        steps = self.steps(fields.get("steps"))
        return Case(name=name, steps=steps, when=when) if name and when else None

    def distinct_names(self, cases: list[Fields], what: str) -> None:
        """Reports tell cases and arms apart by name."""
        seen: set[str] = set()
        for fields in cases:
            value = fields.get("name")
            name = text_of(value) or ("else" if "else" in fields else None)
            if name in seen:
                span = value.span if value else fields.key_span("else")
                self.notes.note(f"{what}/duplicate", f"Another {what} is named `{name}` already.", span)
            seen.add(name or "")

    def split(self, value: Value, _: str | None) -> Split | None:
        options = fields_of(value)
        items = items_of(options.get("arms") if options else None)
        arms = [fields for item in items if (fields := fields_of(item))]
        self.distinct_names(arms, "arm")
        made = [arm for fields in arms if (arm := self.arm(fields))]
        if not arms or len(made) < len(arms):
            return None
        total = sum(arm.share for arm in made)
        if total != WHOLE and options is not None:
            message = f"The arms add up to {percent(total)} %, not 100 %."
            self.notes.note("split/sum", message, options.key_span("arms"))
        return Split(arms=tuple(made))

    def arm(self, fields: Fields) -> Arm | None:
        name = text_of(fields.get("name"))
        steps = self.steps(fields.get("steps"))
        share = fields.get("percent")
        number = share.value if isinstance(share, Scalar) else None
        if share is None or not isinstance(number, int | Decimal) or isinstance(number, bool) or name is None:
            return None
        hundredths = Decimal(number) * 100
        if not 0 < hundredths <= WHOLE:
            return None
        if hundredths != int(hundredths):
            self.notes.note("split/percent", "A percentage has two decimals at most.", share.span)
            return None
        return Arm(name=name, share=int(hundredths), steps=steps)

    def send(self, value: Value, step_id: str | None) -> Send | None:
        options = fields_of(value)
        channel_value = options.get("channel") if options else value
        channel = text_of(channel_value)
        if channel_value is None or channel is None:
            return None
        if channel not in self.scope.catalog.channels:
            self.notes.unknown("channel", channel, list(self.scope.catalog.channels), channel_value.span)
        valid_for = self.notes.duration(options.get("valid_for")) if options else None
        template = text_of(options.get("template")) if options else None
        topic_value = options.get("topic") if options else None
        topic = text_of(topic_value)
        if topic_value is not None and topic is not None and topic not in self.scope.catalog.topics:
            self.notes.unknown("topic", topic, list(self.scope.catalog.topics), topic_value.span)
        if topic_value is None and not self.topic_said:
            self.notes.note(
                "send/no-topic",
                "This message belongs to no topic, so nobody can consent to it.",
                channel_value.span,
                "Add `topic:` to the journey, or write `send: {channel: …, topic: …}`.",
            )
        topic = topic or self.topic
        if step_id is None or topic is None:
            return None
        made = Send(channel=channel, template=template or step_id, topic=topic)
        return replace(made, valid_for=valid_for) if valid_for else made

    def update(self, value: Value, _: str | None) -> Update | None:
        options = fields_of(value)
        if options is None:
            return None
        added, removed = self.tags(options.get("add_tags")), self.tags(options.get("remove_tags"))
        both = sorted(set(added) & set(removed))
        if both:
            message = f'The tag "{both[0]}" is added and removed in one step.'
            self.notes.note("update/tag", message, options.key_span("remove_tags"))
        return Update(
            attributes=tuple(self.attributes(options)),
            values=tuple(self.run_values(options)),
            add_tags=added,
            remove_tags=removed,
        )

    def tags(self, value: Value | None) -> tuple[str, ...]:
        made = []
        for item in items_of(value):
            text = text_of(item)
            if text is None:
                continue
            if is_assigned_expression(item):
                self.notes.note("update/tag", "A tag is a text, not an expression.", item.span)
            made.append(text)
        return tuple(dict.fromkeys(made))

    def attributes(self, options: Fields) -> Iterator[tuple[str, Expression]]:
        fields = fields_of(options.get("set"))
        for field in fields.fields if fields else ():
            type = self.scope.contact_type(field.key)
            if type is None and field.key in self.scope.catalog.unreadable:
                continue
            if type is None:
                names = [*self.scope.catalog.attributes, *CONTACT_FIELDS]
                hint = did_you_mean(field.key, names) or "Declare it in catalog.yaml, under `attributes`."
                message = f'Unknown attribute "{field.key}".'
                self.notes.note("attribute/unknown", message, field.key_span, hint)
            elif field.key == "id":
                self.notes.note("update/id", "The id of a contact cannot be changed.", field.key_span)
            elif field.key == "tags":
                hint = "Use `add_tags` and `remove_tags`."
                self.notes.note("update/tag", "Tags are not set as a whole.", field.key_span, hint)
            elif type.kind in (Kind.LIST, Kind.OBJECT):
                message = f"`{field.key}` is {a_kind(type)}; a step can only write single values."
                self.notes.note("update/list", message, field.key_span)
            else:
                written = self.notes.assigned(field.value, self.scope, type)
                if written:
                    yield field.key, written

    def run_values(self, options: Fields) -> Iterator[tuple[str, Expression]]:
        fields = fields_of(options.get("run"))
        for field in fields.fields if fields else ():
            type = self.scope.run_values.get(field.key)
            if type is None:
                # Nothing but this file gives it a type, and no value of it has one: tell why.
                if is_assigned_expression(field.value):
                    self.run_value_type(field.value)
                continue
            written = self.notes.assigned(field.value, self.scope, type)
            if written:
                yield field.key, written

    def run_value_type(self, value: Value) -> ValueType | None:
        """The type that a value of the run takes from what is written to it, or None where it gives none."""
        if not isinstance(value, Scalar):
            return None
        if is_assigned_expression(value):
            written = self.notes.expression(value, self.scope)
            if written is None:
                return None
            if written.type.kind in WRITABLE:
                return ValueType(written.type.kind)
            message = f"A value of the run cannot be {a_kind(written.type)}."
            self.notes.note("update/list", message, value.span)
            return None
        return literal_type(value)

    def goto(self, value: Value, step_id: str | None) -> Goto | None:
        target = text_of(value)
        if target is None:
            return None
        if target not in self.order:
            hint = did_you_mean(target, self.order)
            self.notes.note("goto/unknown", f'No step has the id "{target}".', value.span, hint)
            return None
        if step_id is not None and self.order[target] <= self.order.get(step_id, -1):
            self.notes.note(
                "goto/backward",
                f"`{target}` stands before this step; a journey only goes forward.",
                value.span,
                "For something that repeats, end the run and let a trigger start another.",
            )
            return None
        return Goto(target)

    def exit(self, value: Value, _: str | None) -> Exit | None:
        reason = text_of(value)
        return Exit(reason=reason) if reason else None
