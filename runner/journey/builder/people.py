"""What the catalog makes of people: segments, stages, scores, and the steps of the funnel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from runner.journey.builder.notes import Notes, fields_of, items_of, text_of
from runner.journey.builder.segments import Asked, asked_segments, in_order
from runner.journey.catalog import Catalog, FunnelStep, Score, ScoreRule, Segment, Stage
from runner.journey.circles import circles
from runner.journey.expression import Expression, Scope
from runner.journey.expression.derived import HOUR, persona_expression, score_expression, stage_expression
from runner.journey.fit import millionths
from runner.journey.values import BOOLEAN, NUMBER
from runner.journey.yaml import Fields, Scalar, Value

Refresh = Callable[[Fields | None], Mapping[str, object]]
"""Reads what a segment says about being looked at anew."""


def build_people(notes: Notes, root: Fields, catalog: Catalog, refresh: Refresh) -> Catalog:
    """``catalog`` with segments, stages and scores. Each section may speak of what stands above it in the file, and
    segments of each other but in no circle, so that nothing can contain itself; the funnel may speak of all of them."""
    builder = _People(notes, catalog)
    for field in root.fields:
        if field.key == "segments":
            builder.segments(field.value, refresh)
        elif field.key == "stages":
            builder.stages(field.value)
        elif field.key == "scores":
            builder.scores(field.value)
    return replace(builder.catalog, funnel=builder.funnel(root.get("funnel")))


class _People:
    """``catalog`` holds what has been built so far."""

    def __init__(self, notes: Notes, catalog: Catalog) -> None:
        self.notes = notes
        self.catalog = catalog

    def when(self, options: Fields | None) -> Expression | None:
        condition = options.get("when") if options else None
        return self.notes.expression(condition, Scope(catalog=self.catalog), expect=BOOLEAN)

    def segments(self, value: Value, refresh: Refresh) -> None:
        fields = fields_of(value)
        asked = asked_segments(fields) if fields else {}
        for circle in circles(asked, lambda each: each.name):
            self.circle(circle)
        made: dict[str, Segment] = {}
        # What is wrong with a segment is told there; whoever asks for it is not to blame.
        self.unbuilt(frozenset(asked))
        for name in in_order(asked):
            options = fields_of(fields.get(name)) if fields else None
            when = self.when(options)
            if when:
                persona = options.get("persona") if options else None
                is_persona = isinstance(persona, Scalar) and persona.value is True
                made[name] = Segment(name=name, when=when, persona=is_persona, **refresh(options))  # type: ignore[arg-type]
                self.catalog = replace(self.catalog, segments=made)
        in_file_order = {name: made[name] for name in asked if name in made}
        self.catalog = replace(self.catalog, segments=in_file_order)
        self.unbuilt(frozenset(asked) - frozenset(made))
        if any(segment.persona for segment in self.catalog.segments.values()):
            self.catalog = replace(self.catalog, persona=persona_expression(self.catalog.segments.values()))

    def unbuilt(self, names: frozenset[str]) -> None:
        self.catalog = replace(self.catalog, unreadable_segments=names)
        self.notes.catalog = replace(self.notes.catalog, unreadable_segments=names)

    def circle(self, circle: Sequence[Asked]) -> None:
        first = circle[0]
        told = ", ".join(f"`{asked.by}` for `{asked.name}`" for asked in circle)
        message = f"These segments ask for each other in a circle: {told}."
        if len(circle) == 1:
            message = f"The segment `{first.name}` asks for itself."
        self.notes.note("segment/circle", message, first.span, "Let one of them say by itself who is in it.")

    def stages(self, value: Value) -> None:
        named = self.named(value, "stage")
        found = [
            Stage(name=name, when=when) for options, name in named if (when := self.when(options)) is not None
        ]
        if len(found) < len(named):
            # What is wrong with a stage has been told; whoever reads `contact.stage` is not to blame.
            self.catalog = replace(self.catalog, unreadable=self.catalog.unreadable | {"stage"})
            self.notes.catalog = replace(self.notes.catalog, unreadable=self.catalog.unreadable)
        elif found:
            self.catalog = replace(self.catalog, stages=tuple(found), stage=stage_expression(found))

    def named(self, value: Value | None, section: str) -> list[tuple[Fields, str]]:
        """The entries of a list, each with its name; a name that stands twice is told."""
        found: list[tuple[Fields, str]] = []
        for item in items_of(value):
            options = fields_of(item)
            name = text_of(options.get("name")) if options else None
            if options is None or name is None:
                continue
            if any(name == other for _, other in found):
                message = f'The name "{name}" is taken by an entry above.'
                self.notes.note(
                    f"{section}/duplicate", message, options.key_span("name"), "Rename one of them."
                )
            else:
                found.append((options, name))
        return found

    def scores(self, value: Value) -> None:
        fields = fields_of(value)
        made: dict[str, Score] = {}
        for field in fields.fields if fields else ():
            rules = tuple(rule for item in items_of(field.value) if (rule := self.rule(fields_of(item))))
            value_of = score_expression(field.key, rules)
            made[field.key] = Score(name=field.key, rules=rules, value=value_of)
        self.catalog = replace(self.catalog, scores=made)

    def rule(self, options: Fields | None) -> ScoreRule | None:
        event_value = options.get("event") if options else None
        event = text_of(event_value)
        if options is None or event_value is None or event is None:
            return None
        scope = Scope(catalog=self.catalog)
        properties = scope.event_properties(event)
        if properties is None:
            self.notes.unknown("event", event, scope.event_names(), event_value.span)
            return None
        where = self.notes.expression(options.get("where"), replace(scope, event=properties), expect=BOOLEAN)
        add, fades = self.points(options.get("add")), self.fades(options.get("fades"))
        return ScoreRule(event=event, add=add, where=where, fades=fades) if add else None

    def points(self, value: Value | None) -> int | None:
        if not isinstance(value, Scalar):
            return None
        add = millionths(value.value) if isinstance(value.value, int | Decimal) else None
        if add == 0:
            self.notes.note("score/nothing", "This adds nothing to the score.", value.span)
        return add

    def fades(self, value: Value | None) -> int | None:
        duration = self.notes.duration(value)
        if value is None or duration is None:
            return None
        if duration.elapsed % HOUR:
            message = f"`{text_of(value)}` is no number of whole hours."
            self.notes.note(
                "score/fades", message, value.span, "A score fades hour by hour: write 12h or 30d."
            )
            return None
        return duration.elapsed // HOUR

    def funnel(self, value: Value | None) -> tuple[FunnelStep, ...]:
        scope = Scope(catalog=self.catalog)
        return tuple(
            FunnelStep(
                name=name,
                when=when,
                probability=self.probability(options.get("probability")),
                value=self.notes.expression(options.get("value"), scope, expect=NUMBER),
            )
            for options, name in self.named(value, "funnel")
            if (when := self.when(options)) is not None
        )

    def probability(self, value: Value | None) -> Decimal | None:
        number = value.value if isinstance(value, Scalar) else None
        return Decimal(number) if isinstance(number, int | Decimal) else None
