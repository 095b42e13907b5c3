"""What a journey says about people in flight: ``in_flight``, ``moved``, ``timers``, ``content``, ``retired``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from runner.journey.builder.notes import Notes, fields_of, text_of
from runner.journey.graph import walk
from runner.journey.model import Exit, Step
from runner.journey.model.in_flight import Content, Followers, InFlight, Retired, Timers
from runner.journey.renames import Renames, all_names, ends, leading_to
from runner.journey.words import did_you_mean
from runner.journey.yaml import Field, Fields
from runner.problem import Severity

Choice = TypeVar("Choice", bound=StrEnum)


def former_ids(
    root: Fields, ids: Mapping[str, bool], renames: Renames | None = None
) -> Mapping[str, tuple[str, ...]]:
    """By step of the journey, the names that it had before: as ``renames`` have it, or, where nothing is known of
    earlier versions, as people move to it. ``ids`` are those of all steps, and whether each sends: more is not known of
    them yet."""
    if renames is None:
        moved = fields_of(root.get("moved"))
        direct = {field.key: _target(field) for field in (moved.fields if moved else ())}
        renames = {was: target for was, target in direct.items() if isinstance(target, str)}
    found: dict[str, list[str]] = {}
    for was, step in sorted(leading_to(renames, ids).items()):
        found.setdefault(step, []).append(was)
    return {step: tuple(former) for step, former in found.items()}


def build_in_flight(
    notes: Notes, root: Fields, steps: Sequence[Step], renames: Renames | None = None
) -> InFlight:
    """What the file says; ``steps`` are the journey's, ``renames`` those of its earlier versions, if they are known."""
    followers = _chosen(root, "in_flight", Followers) or Followers.FINISH
    moved = fields_of(root.get("moved"))
    said = moved.fields if moved else ()
    by_id = {step.id: step for step in walk(tuple(steps))}
    kinds = {id: type(step.verb) for id, step in by_id.items()}
    targets, between = _moved(notes, said, by_id)
    first = targets.keys() - between
    for key in ("moved", "timers"):
        if key in root and followers is Followers.FINISH:
            message = f"`{key}` is about people who follow into a new version, and nobody follows."
            hint = f"Add `in_flight: follow`, or leave out `{key}`."
            notes.note("in-flight/nobody", message, root.key_span(key), hint, Severity.WARNING)
    return InFlight(
        followers=followers,
        moved=targets,
        places={field.key: field.key_span for field in said if field.key in first},
        renamed=None if renames is None else leading_to(renames, kinds),
        names=all_names(renames or {}, kinds),
        timers=_chosen(root, "timers", Timers) or Timers.KEEP,
        content=_chosen(root, "content", Content) or Content.LATEST,
        retired=_chosen(root, "retired", Retired),
    )


def _chosen(root: Fields, key: str, kind: type[Choice]) -> Choice | None:
    said = text_of(root.get(key))
    return kind(said) if said in set(kind) else None


def _moved(
    notes: Notes, said: Sequence[Field], steps: Mapping[str, Step]
) -> tuple[dict[str, str | Exit], set[str]]:
    """Where each leads in the end: a step that is gone may lead to another that is gone, and so on; and those that are
    passed on the way."""
    direct = {field.key: target for field in said if (target := _target(field)) is not None}
    led = ends(direct, steps)
    between = {target for target in direct.values() if target in direct and target not in steps}
    found: dict[str, str | Exit] = {}
    for field in said:
        if field.key not in led:
            continue
        target = led[field.key]
        if target is None:
            notes.note("moved/circle", f"`{field.key}` leads back to itself.", field.value.span)
        elif isinstance(target, str) and target not in steps:
            if steps:
                hint = (
                    did_you_mean(target, steps) or "They go to a step of this journey, or to {exit: REASON}."
                )
                notes.note("moved/unknown", f'No step has the id "{target}".', field.value.span, hint)
        elif isinstance(target, str) and _carries_itself(steps, field.key, target):
            message = f"There is a step `{field.key}` of the same kind: whoever stands there stays there."
            hint = f"Leave out `{field.key}`: `moved` is about steps that are gone, or of another kind now."
            notes.note("moved/still-there", message, field.key_span, hint)
        else:
            found[field.key] = target
    return found, between


def _target(field: Field) -> str | Exit | None:
    inside = fields_of(field.value)
    if inside is None:
        return text_of(field.value)
    reason = text_of(inside.get("exit"))
    return Exit(reason=reason) if reason else None


def _carries_itself(steps: Mapping[str, Step], gone: str, target: str) -> bool:
    return gone in steps and type(steps[gone].verb) is type(steps[target].verb)
