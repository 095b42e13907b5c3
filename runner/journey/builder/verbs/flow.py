"""Jumps and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.journey.builder.notes import text_of
from runner.journey.model import Exit, Goto
from runner.journey.words import called_now, did_you_mean
from runner.journey.yaml import Value

if TYPE_CHECKING:
    from runner.journey.builder.steps import StepBuilder


def goto(build: StepBuilder, value: Value, step_id: str | None) -> Goto | None:
    target = text_of(value)
    if target is None:
        return None
    if target not in build.order:
        renamed = next((id for id, former in build.scope.former.items() if target in former), None)
        hint = called_now(renamed) or did_you_mean(target, build.order)
        build.notes.note("goto/unknown", f'No step has the id "{target}".', value.span, hint)
        return None
    if step_id is not None and build.order[target] <= build.order.get(step_id, -1):
        build.notes.note(
            "goto/backward",
            f"`{target}` stands before this step; a journey only goes forward.",
            value.span,
            "For something that repeats, end the run and let a trigger start another.",
        )
        return None
    return Goto(target)


def exit(_build: StepBuilder, value: Value, _: str | None) -> Exit | None:
    reason = text_of(value)
    return Exit(reason=reason) if reason else None
