"""The functions that ask for what is recorded of a contact, beside its past: messages, journeys, segments, consents,
colleagues."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.journey.catalog import (
    ADDRESS_OF,
    MESSAGE_CLICKED,
    MESSAGE_OPENED,
    MESSAGE_PROPERTIES,
    MESSAGE_REPLIED,
)
from runner.journey.expression import tree
from runner.journey.expression.arguments import check_arguments, written_text
from runner.journey.expression.finding import did_you_mean, listing
from runner.journey.expression.history import is_by_account
from runner.journey.expression.tree import Node
from runner.journey.values import STRING

if TYPE_CHECKING:
    from runner.journey.expression.build import Builder

EXAMPLES = {
    "people": 'people(contact.stage == "validation", by="account")',
    "sent": 'sent("remind")',
    "opened": 'opened("remind")',
    "clicked": 'clicked("remind", link="cart")',
    "replied": 'replied("remind")',
    "in_segment": 'in_segment("vip")',
    "in_journey": 'in_journey("welcome")',
    "completed": 'completed("welcome")',
    "consented": 'consented("offers", "email")',
    "consent_age": 'consent_age("offers", "email")',
    "reachable": 'reachable("sms")',
}


def _known(
    builder: Builder, node: ast.expr, what: str, name: str, known: Collection[str], else_: str
) -> bool:
    """Whether ``name`` is one of ``known``; reported where it is not."""
    if name in known:
        return True
    hint = did_you_mean(name, sorted(known)) or (f"known: {listing(known)}" if known else else_)
    builder.report(node, f"unknown-{what}", f'the catalog has no {what} "{name}"', hint)
    return False


# Messages -------------------------------------------------------------------------------------------------------


def _message_step(builder: Builder, node: ast.Call, function: str) -> tuple[str | None, str] | None:
    """The journey (None for this run's own) and the step whose message is meant."""
    written = written_text(builder, node.args[0], "the id of a step")
    if written is None:
        return None
    scope, place = builder.scope, node.args[0]
    other, slash, step = written.rpartition("/")
    if slash:
        # Whether there is such a journey is asked where all of them are at hand: in a review.
        return other, step
    if scope.of_colleague:
        elsewhere = f'of another journey: `{function}("journey/step")`'
        builder.report(node, "not-here", "a colleague has no part in this run and its messages", elsewhere)
        return None
    if scope.trigger is None:
        builder.report(node, "not-here", f"no run exists here, so nothing was `{function}` by it")
        return None
    if step not in scope.sends:
        known = sorted(scope.sends)
        renamed = next((each for each in known if step in scope.former.get(each, ())), None)
        hint = did_you_mean(step, known) or (f"steps that send: {listing(known)}" if known else None)
        if renamed is not None:
            hint = f"it is called `{renamed}` now"
        builder.report(place, "unknown-step", f'no step "{step}" of this journey sends', hint)
        return None
    return None, step


def build_sent(builder: Builder, node: ast.Call) -> Node | None:
    if check_arguments(builder, node, 1, example=EXAMPLES["sent"]) is None:
        return None
    found = _message_step(builder, node, "sent")
    if found is None:
        return None
    journey, step = found
    return tree.Sent(step=step, journey=journey, former=_former(builder, journey, step))


def _former(builder: Builder, journey: str | None, step: str) -> tuple[str, ...]:
    return builder.scope.former.get(step, ()) if journey is None else ()


def build_opened(builder: Builder, node: ast.Call) -> Node | None:
    return _reaction(builder, node, "opened", MESSAGE_OPENED)


def build_clicked(builder: Builder, node: ast.Call) -> Node | None:
    return _reaction(builder, node, "clicked", MESSAGE_CLICKED, ("link",))


def build_replied(builder: Builder, node: ast.Call) -> Node | None:
    return _reaction(builder, node, "replied", MESSAGE_REPLIED)


def _reaction(
    builder: Builder, node: ast.Call, function: str, event: str, keywords: tuple[str, ...] = ()
) -> Node | None:
    given = check_arguments(builder, node, 1, keywords, example=EXAMPLES[function])
    if given is None:
        return None
    found = _message_step(builder, node, function)
    link = written_text(builder, given["link"], "the name of a link") if "link" in given else None
    if found is None or ("link" in given and link is None):
        return None
    journey, step = found
    of_run = (_property("run"), tree.RunNumber())
    of_journey = (_property("journey"), tree.Literal(journey, STRING))
    wanted: list[tuple[Node, Node]] = [of_run if journey is None else of_journey]
    if link is not None:
        wanted.append((_property("link"), tree.Literal(link, STRING)))
    steps = [
        tree.Comparison("==", _property("step"), tree.Literal(each, STRING))
        for each in (step, *_former(builder, journey, step))
    ]
    of_step: Node = steps[0] if len(steps) == 1 else tree.Logic("or", tuple(steps))
    which = [*(tree.Comparison("==", one, other) for one, other in wanted), of_step]
    where = tree.Logic("and", (*which, tree.Not(_property("bot"))))
    return tree.Reaction(function, step, journey, link, tree.Did(event=event, where=where))


def _property(name: str) -> Node:
    return tree.Name("event", (name,), MESSAGE_PROPERTIES[name])


# Journeys and segments ------------------------------------------------------------------------------------------


def build_in_journey(builder: Builder, node: ast.Call) -> Node | None:
    return _in_journey(builder, node, "in_journey")


def build_completed(builder: Builder, node: ast.Call) -> Node | None:
    return _in_journey(builder, node, "completed")


def _in_journey(builder: Builder, node: ast.Call, function: str) -> Node | None:
    if check_arguments(builder, node, 1, example=EXAMPLES[function]) is None:
        return None
    name = written_text(builder, node.args[0], "the name of a journey")
    return None if name is None else tree.InJourney(name, completed=function == "completed")


def build_in_segment(builder: Builder, node: ast.Call) -> Node | None:
    if check_arguments(builder, node, 1, example=EXAMPLES["in_segment"]) is None:
        return None
    name = written_text(builder, node.args[0], "the name of a segment")
    if name is None:
        return None
    segment = builder.scope.catalog.segments.get(name)
    if segment is None:
        known = builder.scope.catalog.segments
        hint = did_you_mean(name, known) or (
            f"segments: {listing(known)}" if known else "declare it in the catalog"
        )
        builder.report(node.args[0], "unknown-segment", f'the catalog has no segment "{name}"', hint)
        return None
    return tree.InSegment(name, segment.when.tree)


# Consent --------------------------------------------------------------------------------------------------------


def build_consented(builder: Builder, node: ast.Call) -> Node | None:
    found = _topic_and_channel(builder, node, "consented")
    return None if found is None else tree.Consented(*found)


def build_consent_age(builder: Builder, node: ast.Call) -> Node | None:
    found = _topic_and_channel(builder, node, "consent_age")
    return None if found is None else tree.ConsentAge(*found)


def _topic_and_channel(builder: Builder, node: ast.Call, function: str) -> tuple[str, str] | None:
    if check_arguments(builder, node, 2, example=EXAMPLES[function]) is None:
        return None
    topic = written_text(builder, node.args[0], "the name of a topic")
    channel = written_text(builder, node.args[1], "the name of a channel")
    if topic is None or channel is None:
        return None
    catalog, declare = builder.scope.catalog, "declare it in the catalog"
    good = _known(builder, node.args[0], "topic", topic, catalog.topics, declare)
    good = _known(builder, node.args[1], "channel", channel, catalog.channels, declare) and good
    return (topic, channel) if good else None


def build_reachable(builder: Builder, node: ast.Call) -> Node | None:
    if check_arguments(builder, node, 1, example=EXAMPLES["reachable"]) is None:
        return None
    channel = written_text(builder, node.args[0], "the name of a channel")
    declare = "declare it in the catalog"
    if channel is None or not _known(
        builder, node.args[0], "channel", channel, builder.scope.catalog.channels, declare
    ):
        return None
    field = ADDRESS_OF.get(channel)
    conditions: list[Node] = [tree.AnyConsent(channel), tree.Not(tree.Suppressed(channel, field))]
    if field is not None:
        address = tree.Name("contact", (field,), STRING)
        conditions.insert(0, tree.Comparison("!=", address, tree.Literal("", STRING)))
    return tree.Reachable(channel, tree.Logic("and", tuple(conditions)))


# Colleagues -----------------------------------------------------------------------------------------------------


def build_people(builder: Builder, node: ast.Call) -> Node | None:
    given = check_arguments(builder, node, 1, ("by",), example=EXAMPLES["people"])
    if given is None:
        return None
    if "by" not in given:
        hint = f"write it like `{EXAMPLES['people']}`"
        builder.report(node, "bad-arguments", "`people` must say by what it counts", hint)
        return None
    good = is_by_account(builder, given["by"])
    condition = builder.within(replace(builder.scope, of_colleague=True)).condition(node.args[0])
    return tree.People(condition) if condition is not None and good else None
