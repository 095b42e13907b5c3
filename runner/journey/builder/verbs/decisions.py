"""Decisions: condition, branch and split."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from runner.journey.builder.kinds import WRITABLE, a_kind, percent
from runner.journey.builder.notes import fields_of, items_of, text_of
from runner.journey.expression import Expression
from runner.journey.model import Arm, Branch, Case, Condition, Experiment, Split
from runner.journey.values import BOOLEAN
from runner.journey.yaml import Fields, Scalar, Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder

WHOLE = 10_000
"""All arms together, in hundredths of a percent."""


def condition(build: StepBuilder, value: Value, _: str | None) -> Condition | None:
    options = fields_of(value)
    test = build.notes.expression(options.get("if") if options else value, build.scope, expect=BOOLEAN)
    otherwise = build.steps(options.get("else")) if options and "else" in options else None
    return Condition(test=test, otherwise=otherwise) if test else None


def branch(build: StepBuilder, value: Value, _: str | None) -> Branch | None:
    cases = [fields for item in items_of(value) if (fields := fields_of(item))]
    made = [case for fields in cases if (case := _case(build, fields))]
    last = len(cases) - 1
    for index, fields in enumerate(cases):
        if "else" in fields and index != last:
            message = "The else case must be the last: no case after it is ever looked at."
            build.notes.note("branch/else-not-last", message, fields.key_span("else"))
    if cases and not any("else" in fields for fields in cases):
        build.notes.note(
            "branch/no-else",
            "This branch has no else case.",
            value.span,
            "End it with `- {name: rest, else: []}`: who fits no case then goes on after the branch.",
        )
    elif len(cases) == 1:
        message = "This branch has an else case alone: there is nothing to choose."
        build.notes.note("branch/one-case", message, value.span, "Add a case with `when` above it.")
    _distinct_names(build, cases, "case")
    return Branch(cases=tuple(made)) if made and made[-1].when is None else None


def _case(build: StepBuilder, fields: Fields) -> Case | None:
    name = text_of(fields.get("name"))
    if "else" in fields:
        return Case(name=name or "else", steps=build.steps(fields.get("else")), when=None)
    when = build.notes.expression(fields.get("when"), build.scope, expect=BOOLEAN)
    steps = build.steps(fields.get("steps"))
    return Case(name=name, steps=steps, when=when) if name and when else None


def _distinct_names(build: StepBuilder, cases: list[Fields], what: str) -> None:
    """Reports tell cases and arms apart by name."""
    seen: set[str] = set()
    for fields in cases:
        value = fields.get("name")
        name = text_of(value) or ("else" if "else" in fields else None)
        if name in seen:
            span = value.span if value else fields.key_span("else")
            build.notes.note(f"{what}/duplicate", f"Another {what} is named `{name}` already.", span)
        seen.add(name or "")


def split(build: StepBuilder, value: Value, _: str | None) -> Split | None:
    options = fields_of(value)
    items = items_of(options.get("arms") if options else None)
    arms = [fields for item in items if (fields := fields_of(item))]
    _distinct_names(build, arms, "arm")
    made = [arm for fields in arms if (arm := _arm(build, fields))]
    if not arms or len(made) < len(arms):
        return None
    total = sum(arm.share for arm in made)
    if total != WHOLE and options is not None:
        message = f"The arms add up to {percent(total)} %, not 100 %."
        rest = percent(abs(WHOLE - total))
        hint = (
            f"Give {rest} % more to one of them, or add an arm with `percent: {rest}`."
            if total < WHOLE
            else f"Take {rest} % from one of them."
        )
        build.notes.note("split/sum", message, options.key_span("arms"), hint)
    experiment = fields_of(options.get("experiment")) if options else None
    return Split(arms=tuple(made), experiment=_experiment(build, experiment) if experiment else None)


def _experiment(build: StepBuilder, fields: Fields) -> Experiment:
    if not build.goal_said:
        build.notes.note(
            "split/no-goal",
            "This journey has no goal, so no arm can win.",
            fields.key_span("metric"),
            "Add `goal:` to the journey: what is to happen after its messages.",
        )
    by: list[Expression] = []
    for item in items_of(fields.get("by")):
        made = build.notes.expression(item, build.scope)
        if made is not None and made.type.kind not in WRITABLE:
            message = f"People are told apart by single values, not by {a_kind(made.type)}."
            build.notes.note("split/by", message, item.span)
        elif made is not None:
            by.append(made)
    return Experiment(by=tuple(by), guarded=text_of(fields.get("guardrail")) is not None)


def _arm(build: StepBuilder, fields: Fields) -> Arm | None:
    name = text_of(fields.get("name"))
    steps = build.steps(fields.get("steps"))
    share = fields.get("percent")
    number = share.value if isinstance(share, Scalar) else None
    if share is None or not isinstance(number, int | Decimal) or isinstance(number, bool) or name is None:
        return None
    hundredths = Decimal(number) * 100
    if not 0 < hundredths <= WHOLE:
        return None
    if hundredths != int(hundredths):
        build.notes.note("split/percent", "A percentage has two decimals at most.", share.span)
        return None
    return Arm(name=name, share=int(hundredths), steps=steps)
