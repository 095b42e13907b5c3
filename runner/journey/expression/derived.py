"""What the catalog makes of a contact: its stage and its scores, as expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runner.journey.catalog import SCORE_ADDED, SCORE_PROPERTIES, ScoreRule, Segment, Stage
from runner.journey.expression import Expression, tree
from runner.journey.expression.tree import Node
from runner.journey.values import MILLIONTHS, NONE, NUMBER, STRING, Kind, ValueType

HOUR = 3_600_000_000


def stage_expression(stages: Iterable[Stage]) -> Expression:
    """The name of the last stage whose condition holds; None where none does."""
    value: Node = tree.Literal(None, NONE)
    names: list[str] = []
    for stage in stages:
        names.append(stage.name)
        type = ValueType(Kind.STRING, one_of=tuple(names))
        value = tree.Conditional(stage.when.tree, tree.Literal(stage.name, STRING), value, type)
    return Expression("contact.stage", value, value.type)


def persona_expression(segments: Iterable[Segment]) -> Expression:
    """The name of the first segment that is a persona and holds; None where none does."""
    value: Node = tree.Literal(None, NONE)
    names: list[str] = []
    for segment in reversed([segment for segment in segments if segment.persona]):
        names.insert(0, segment.name)
        type = ValueType(Kind.STRING, one_of=tuple(names))
        value = tree.Conditional(segment.when.tree, tree.Literal(segment.name, STRING), value, type)
    return Expression("contact.persona", value, value.type)


def score_expression(name: str, rules: Sequence[ScoreRule]) -> Expression:
    """The sum of what the events of the rules add, and of what was added by hand; None without any consent."""
    added: Node = tree.Total(
        event=SCORE_ADDED,
        path=("add",),
        where=tree.Comparison(
            "==",
            tree.Name("event", ("score",), SCORE_PROPERTIES["score"]),
            tree.Literal(name, STRING),
        ),
    )
    for rule in rules:
        added = tree.Arithmetic("+", added, _points(rule))
    value = tree.Conditional(tree.AnyConsent(), added, tree.Literal(None, NONE), NUMBER)
    return Expression(f"contact.score.{name}", value, NUMBER)


def _points(rule: ScoreRule) -> Node:
    where = rule.where.tree if rule.where else None
    add = tree.Literal(rule.add, NUMBER)
    if rule.fades is None:
        return tree.Arithmetic("*", tree.Count(event=rule.event, where=where), add)
    left = tree.HoursLeft(event=rule.event, within=rule.fades * HOUR, where=where)
    # All hours are added up before they are divided, so that nothing is rounded twice.
    whole = tree.Literal(rule.fades * MILLIONTHS, NUMBER)
    return tree.Arithmetic("/", tree.Arithmetic("*", left, add), whole)
