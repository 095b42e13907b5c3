"""The steps of a journey."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from runner.journey.builder.catalog import zone_problem
from runner.journey.builder.kinds import days_of, parse_time
from runner.journey.builder.notes import Notes, fields_of, items_of, text_of
from runner.journey.builder.verbs import acts, asks, decisions, flow, sends, waits, writes
from runner.journey.expression import Expression, Scope, literal_expression
from runner.journey.model import Goto, Leave, LocalTimes, Step, Verb
from runner.journey.values import BOOLEAN, STRING
from runner.journey.yaml import Fields, Value

_ZONE_NAME = re.compile(r"[A-Z][A-Za-z_]*(/[A-Za-z0-9_+-]+)*")


class StepBuilder:
    """Makes steps. ``order`` has the place of every id of the file, for jumps forward; ``topic_said`` and
    ``goal_said``: the journey names a topic and has a goal, or tries to."""

    def __init__(
        self,
        notes: Notes,
        scope: Scope,
        order: dict[str, int],
        topic: str | None,
        *,
        topic_said: bool = True,
        goal_said: bool = True,
    ) -> None:
        self.notes = notes
        self.topic_said = topic_said
        self.goal_said = goal_said
        self.scope = scope
        self.order = order
        self.topic = topic

    def steps(self, value: Value | None) -> tuple[Step, ...]:
        """The steps of a list; those that cannot be made are left out, their problems noted."""
        made = (self.step(fields) for item in items_of(value) if (fields := fields_of(item)))
        return tuple(step for step in made if step)

    def step(self, fields: Fields) -> Step | None:
        step_id = text_of(fields.get("id"))
        verbs = [verb for verb in BUILDERS if verb in fields]
        if len(verbs) != 1:
            return None
        value = fields.get(verbs[0])
        assert value is not None
        verb = BUILDERS[verbs[0]](self, value, step_id)
        if verb is None or step_id is None:
            return None
        id_value = fields.get("id")
        span = id_value.span if id_value else fields.span
        return Step(id=step_id, verb=verb, span=span, note=text_of(fields.get("note")))

    def event_and_where(self, options: Fields, key: str = "event") -> tuple[str | None, Expression | None]:
        """The event of a trigger, exit, goal or wait, which ``key`` names, and the ``where`` that narrows it."""
        value = options.get(key)
        name = text_of(value)
        if value is None or name is None:
            return None, None
        properties = self.scope.event_properties(name)
        if properties is None:
            self.notes.unknown("event", name, self.scope.event_names(), value.span)
            return None, None
        where = self.notes.expression(
            options.get("where"), replace(self.scope, event=properties), expect=BOOLEAN
        )
        self.notes.heard(name, where, options, value.span, "trigger", "contact")
        return name, where

    def local_times(self, options: Fields) -> LocalTimes | None:
        if not any(key in options for key in ("at", "days", "timezone")):
            return None
        at = text_of(options.get("at"))
        return LocalTimes(
            at=parse_time(at) if at else None,
            days=days_of(options.get("days")),
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
            return flow.goto(self, target, step_id) if target else None
        text = text_of(value)
        return Leave(text) if text in set(Leave) else None


Built = Callable[[StepBuilder, Value, str | None], Verb | None]
BUILDERS: Mapping[str, Built] = {
    "wait": waits.wait,
    "condition": decisions.condition,
    "branch": decisions.branch,
    "split": decisions.split,
    "send": sends.send,
    "update": writes.update,
    "emit": acts.emit,
    "enroll": acts.enroll,
    "consent": acts.consent,
    "draw": asks.draw,
    "call": asks.call,
    "hand_off": asks.hand_off,
    "ad_audience": asks.ad_audience,
    "goto": flow.goto,
    "exit": flow.exit,
}
"""What makes the verb of a step, by the verb's name."""
