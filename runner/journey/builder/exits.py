"""The rules that end a run, whatever step it stands on."""

from __future__ import annotations

from runner.journey.builder.notes import fields_of, items_of, sentence, text_of
from runner.journey.builder.steps import StepBuilder
from runner.journey.catalog import CONSENT_WITHDRAWN, EVERY_CHANNEL, MESSAGE_REPLIED
from runner.journey.expression import Expression, Scope, parse_expression, turn_problem
from runner.journey.expression.tree import Comparison, IsNone, Literal, Logic, Members, Membership, Name, Node
from runner.journey.graph import walk
from runner.journey.model import ExitRule, Send, Step
from runner.journey.values import BOOLEAN, STRING, Kind, ValueType
from runner.journey.yaml import Fields, Value


def build_exits(builder: StepBuilder, value: Value | None, steps: tuple[Step, ...]) -> tuple[ExitRule, ...]:
    """The rules of the list ``value``, in their order. ``steps`` are those of the journey."""
    made = []
    for item in items_of(value):
        fields = fields_of(item)
        reason = text_of(fields.get("reason")) if fields else None
        if fields is None:
            continue
        rule = _rule(builder, fields, reason or "", steps)
        if rule is not None and reason:
            made.append(rule)
    return tuple(made)


def _rule(builder: StepBuilder, fields: Fields, reason: str, steps: tuple[Step, ...]) -> ExitRule | None:
    if "consent" in fields:
        return _on_withdrawal(builder, fields, reason, steps)
    if "replied" in fields:
        replied = _about_event(builder, MESSAGE_REPLIED, "event.bot is None or not event.bot")
        return ExitRule(reason=reason, event=MESSAGE_REPLIED, where=replied, of_run=True)
    event, where = builder.event_and_where(fields)
    condition = fields.get("when")
    when = builder.notes.expression(condition, builder.scope, expect=BOOLEAN)
    if condition is not None and when is not None and (problem := turn_problem(when)) is not None:
        builder.notes.note("exit/no-turn", sentence(problem), condition.span)
    return ExitRule(reason=reason, event=event, where=where, when=when) if event or when else None


def _on_withdrawal(
    builder: StepBuilder, fields: Fields, reason: str, steps: tuple[Step, ...]
) -> ExitRule | None:
    """A consent is withdrawn that a send of the journey needs: to its topic, and for its channel or for all."""
    value = fields.get("consent")
    assert value is not None
    topics = builder.notes.catalog.topics
    sent = {(step.verb.topic, step.verb.channel) for step in walk(steps) if isinstance(step.verb, Send)}
    needed = sorted(each for each in sent if each[0] in topics and not topics[each[0]].transactional)
    if not needed:
        # A send without a topic, or of one that is unknown, has been told of: which consent it needs is not known yet.
        told = any(problem.code == "send/no-topic" for problem in builder.notes.problems)
        if steps and not told and all(topic in topics for topic, _ in sent):
            message = "No send of this journey needs a consent that could be withdrawn."
            builder.notes.note("exit/consent", message, value.span)
        return None
    # Made, not parsed: there may be more of them than an expression of an author may be long.
    each = [_withdrawn(topic, channel) for topic, channel in needed]
    where = Expression("consent withdrawn", each[0] if len(each) == 1 else Logic("or", tuple(each)), BOOLEAN)
    return ExitRule(reason=reason, event=CONSENT_WITHDRAWN, where=where)


def _withdrawn(topic: str, channel: str) -> Node:
    """Whether the event withdraws a consent to the topic, for that channel or for all."""
    named = Name("event", ("channel",), STRING)
    of_channel = Members((EVERY_CHANNEL, channel), ValueType(Kind.LIST, items=STRING))
    heard = Logic("or", (IsNone(named, negated=False), Membership(named, of_channel, negated=False)))
    return Logic("and", (Comparison("==", Name("event", ("topic",), STRING), Literal(topic, STRING)), heard))


def _about_event(builder: StepBuilder, event: str, source: str) -> Expression:
    scope = Scope(catalog=builder.notes.catalog, event=builder.scope.event_properties(event))
    return parse_expression(source, scope, expect=BOOLEAN)
