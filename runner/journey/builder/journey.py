"""A journey: who enters, what ends it, what it is measured by, and its steps."""

from __future__ import annotations

from dataclasses import replace

from runner.journey.builder.exits import build_exits
from runner.journey.builder.in_flight import build_in_flight, former_ids
from runner.journey.builder.kinds import WRITABLE, a_kind
from runner.journey.builder.launch import build_launch
from runner.journey.builder.links import asked_values, build_links
from runner.journey.builder.notes import Notes, fields_of, text_of
from runner.journey.builder.outline import step_outline
from runner.journey.builder.steps import StepBuilder
from runner.journey.builder.triggers import TriggerBuilder
from runner.journey.builder.verbs.asks import saved_by_asking
from runner.journey.builder.verbs.waits import saved_values
from runner.journey.builder.verbs.writes import run_value_type
from runner.journey.catalog import Catalog
from runner.journey.expression import Expression, Scope
from runner.journey.model import Again, Entry, Goal, Journey, Reentry, Trigger
from runner.journey.model.triggers import ExistingPeople, finds_people, repeats
from runner.journey.renames import Renames
from runner.journey.values import NUMBER, ValueType
from runner.journey.words import did_you_mean
from runner.journey.yaml import Fields, Items, Scalar, Value
from runner.problem import Problem, Severity, Span


def build_journey(
    tree: Value, catalog: Catalog, folder: str, renames: Renames | None = None
) -> tuple[Journey | None, tuple[Problem, ...]]:
    """The journey of the file in ``folder``, and what is wrong with it beyond its schema. ``renames`` are those of its
    earlier versions, if they are known.

    With errors the journey is None, or one that lacks what could not be made: not to be used then.
    """
    root = fields_of(tree)
    if root is None:
        return None, ()
    builder = _JourneyBuilder(root, Notes(catalog), folder, renames)
    return builder.journey(), tuple(builder.notes.problems)


class _JourneyBuilder:
    def __init__(self, root: Fields, notes: Notes, folder: str, renames: Renames | None) -> None:
        self.root = root
        self.notes = notes
        self.folder = folder
        self.renames = renames
        self.order = self._order()
        sends = self._sends()
        scope = Scope(
            catalog=notes.catalog,
            trigger=self._trigger_properties(),
            sends=sends,
            former=former_ids(root, {id: id in sends for id in self.order}, renames),
        )
        self.scope = replace(scope, run_values=self._run_values(scope))
        said = {
            key: any(did_you_mean(field.key, [key]) for field in root.fields) for key in ("topic", "goal")
        }
        self.steps = StepBuilder(
            notes,
            self.scope,
            self.order,
            self._topic(),
            topic_said=said["topic"],
            goal_said=said["goal"],
        )

    def journey(self) -> Journey | None:
        name = self._name()
        stage = self._stage()
        triggers = self._triggers()
        entry = self._entry(triggers)
        goal = self._goal()
        steps = self.steps.steps(self.root.get("steps"))
        links = build_links(self.steps, self.root.get("links"))
        exits = build_exits(self.steps, self.root.get("exit"), steps)
        launch = build_launch(self.notes, self.root)
        in_flight = build_in_flight(self.notes, self.root, steps, self.renames)
        if name is None or not triggers or not steps:
            return None
        return Journey(
            name=name,
            title=text_of(self.root.get("title")) or name,
            owner=text_of(self.root.get("owner")),
            topic=text_of(self.root.get("topic")),
            stage=stage,
            triggers=triggers,
            entry=entry,
            exits=exits,
            goal=goal,
            existing=self._existing(triggers),
            steps=steps,
            links=links,
            span=self.root.key_span("journey"),
            holdout=launch.holdout,
            delivery=launch.delivery,
            seeds=launch.seeds,
            ramp=launch.ramp,
            in_flight=in_flight,
        )

    def _order(self) -> dict[str, int]:
        """The place of every id; an id that stands twice keeps its first."""
        order: dict[str, int] = {}
        lines: dict[str, Span] = {}
        for index, step in enumerate(step_outline(self.root.get("steps"))):
            value = step.get("id")
            step_id = text_of(value)
            if value is None or step_id is None:
                continue
            if step_id in order:
                message = f"The id `{step_id}` is taken by the step on line {lines[step_id].line}."
                hint = "Ids are unique in the file, whatever the nesting."
                self.notes.note("step/duplicate-id", message, value.span, hint)
            else:
                order[step_id] = index
                lines[step_id] = value.span
        return order

    def _sends(self) -> frozenset[str]:
        outline = step_outline(self.root.get("steps"))
        return frozenset(
            step_id for step in outline if "send" in step and (step_id := text_of(step.get("id")))
        )

    def _run_values(self, scope: Scope) -> dict[str, ValueType]:
        """Name → type of the values that steps write to the run; the first that has a type gives it."""
        types: dict[str, ValueType] = dict(asked_values(self.root.get("links")))
        for step in step_outline(self.root.get("steps")):
            for name, saved in saved_values(step.get("wait"), scope):
                if saved is not None:
                    types.setdefault(name, saved)
                else:
                    self.notes.unsure |= {f"run.{name}"}
            quiet = StepBuilder(Notes(scope.catalog), scope, {}, None)
            types = {**dict(saved_by_asking(step, quiet)), **types}
            update = fields_of(step.get("update"))
            written = fields_of(update.get("run")) if update else None
            for field in written.fields if written else ():
                if field.key in types:
                    continue
                # What is wrong with the expression is noted when the step itself is built.
                quiet = StepBuilder(Notes(scope.catalog), replace(scope, run_values=dict(types)), {}, None)
                type = run_value_type(quiet, field.value)
                if type is not None:
                    types[field.key] = type
                else:
                    self.notes.unsure |= {f"run.{field.key}"}
        return types

    def _trigger_fields(self) -> list[Fields]:
        value = self.root.get("trigger")
        values = value.items if isinstance(value, Items) else (value,)
        return [fields for each in values if (fields := fields_of(each))]

    def _trigger_properties(self) -> dict[str, ValueType]:
        """What ``trigger.*`` may read: the properties that every trigger has, with one type."""
        builder, given = self._trigger_builder(), self._trigger_fields()
        found = [(builder.label(fields), builder.properties(fields)) for fields in given]
        each = [(label, properties) for label, properties in found if properties is not None]
        everything = {key: type for _, properties in each for key, type in properties.items()}
        lacking = {
            key: list(dict.fromkeys(label for label, properties in each if properties.get(key) != type))
            for key, type in everything.items()
        }
        if len(each) < len(found) or not found:
            self.notes.unsure |= {"trigger."}
        self.notes.lacking = {key: lacks for key, lacks in lacking.items() if lacks}
        return {key: type for key, type in everything.items() if not lacking[key]}

    def _name(self) -> str | None:
        value = self.root.get("journey")
        name = text_of(value)
        if value is not None and name is not None and name != self.folder:
            message = f'The journey is named "{name}", its folder "{self.folder}".'
            self.notes.note("journey/name", message, value.span, "Give both the same name.")
        return name

    def _topic(self) -> str | None:
        value = self.root.get("topic")
        topic = text_of(value)
        if value is not None and topic is not None and topic not in self.notes.catalog.topics:
            self.notes.unknown("topic", topic, list(self.notes.catalog.topics), value.span)
        return topic

    def _stage(self) -> str | None:
        value = self.root.get("stage")
        stage = text_of(value)
        stages = [stage.name for stage in self.notes.catalog.stages]
        if value is not None and stage is not None and stage not in stages:
            self.notes.unknown("stage", stage, stages, value.span)
        return stage

    def _trigger_builder(self) -> TriggerBuilder:
        return TriggerBuilder(self.notes, self.folder)

    def _triggers(self) -> tuple[Trigger, ...]:
        builder = self._trigger_builder()
        made = (builder.trigger(fields) for fields in self._trigger_fields())
        return tuple(trigger for trigger in made if trigger)

    def _entry(self, triggers: tuple[Trigger, ...]) -> Entry:
        fields = fields_of(self.root.get("entry"))
        again_and_again = bool(triggers) and all(repeats(trigger) for trigger in triggers)
        by_itself = Reentry.ALWAYS if again_and_again else Reentry.NEVER
        if fields is None:
            return Entry(reentry=by_itself)
        before = replace(self.scope, run_values={}, sends=frozenset())
        per_value = fields.get("per")
        per = self.notes.expression(per_value, before)
        if per_value is not None and per is not None and per.type.kind not in WRITABLE:
            message = f"`per` tells runs apart by one value, not by {a_kind(per.type)}."
            self.notes.note("entry/per", message, per_value.span)
        again = text_of(fields.get("again"))
        reentry_value = fields.get("reentry")
        reentry = text_of(reentry_value)
        duration = self.notes.duration(reentry_value) if reentry not in set(Reentry) else None
        return Entry(
            per=per,
            by_account=text_of(fields.get("by")) == "account",
            again=Again(again) if again in set(Again) else Again.IGNORE,
            reentry=Reentry(reentry) if reentry in set(Reentry) else duration or by_itself,
        )

    def _existing(self, triggers: tuple[Trigger, ...]) -> ExistingPeople:
        value = self.root.get("existing")
        if value is None or text_of(value) != ExistingPeople.ENTER:
            return ExistingPeople.SKIP
        if triggers and not any(finds_people(trigger) for trigger in triggers):
            message = "Nobody can be found for whom a trigger of this journey holds already."
            hint = "`existing: enter` is for `segment` with `change: enter`, `attribute` with `to`, and `consent`."
            self.notes.note("existing/nobody", message, value.span, hint)
        return ExistingPeople.ENTER

    def _goal(self) -> Goal | None:
        fields = fields_of(self.root.get("goal"))
        if fields is None:
            return None
        event, where = self.steps.event_and_where(fields)
        within = self.notes.duration(fields.get("within"))
        value = self._goal_value(fields, event)
        if event is None or within is None:
            return None
        exits = text_of(fields.get("then")) == "exit"
        return Goal(event=event, where=where, within=within, value=value, exits=exits)

    def _goal_value(self, fields: Fields, event: str | None) -> Expression | None:
        value = fields.get("value")
        properties = self.scope.event_properties(event) if event else None
        if not isinstance(value, Scalar) or properties is None:
            return None
        made = self.notes.expression(value, replace(self.scope, event=properties), expect=NUMBER)
        if made and value.value == 0:
            message = "A goal that is worth nothing needs no value."
            self.notes.note("goal/value", message, value.span, severity=Severity.WARNING)
        return made
